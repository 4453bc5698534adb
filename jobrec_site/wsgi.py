import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "jobrec_site.settings")

application = get_wsgi_application()

# Django had to be set up before. Without the URLs, the first reader of each process would wait for schema and pages.
import jobrec_site.urls  # noqa: E402, F401
from jobrec_site.statements import limit_statements  # noqa: E402

limit_statements()
