"""The WSGI application of the web server."""

import os
import threading

from django.core.wsgi import get_wsgi_application

from jobrec_site.metrics import share_counters
from jobrec_site.request import Request

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "jobrec_site.settings")


share_counters()
application = get_wsgi_application()
application.request_class = Request

# Imported after Django is set up, so that the first request of each process need not wait for schema and
# pages.
import jobrec_site.urls  # noqa: E402, F401
from apps.records.normalizing.place_names import names_of  # noqa: E402
from jobrec_site.statements import limit_statements  # noqa: E402

limit_statements()
# Where the user has no cache folder, the names of all cities are computed; no filter should wait for that.
threading.Thread(target=names_of, args=["Berlin"], daemon=True).start()
