"""The WSGI application of the web server."""

import os
from typing import Any

from django.core.handlers.wsgi import WSGIRequest
from django.core.wsgi import get_wsgi_application

from jobrec_site.metrics import share_counters

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "jobrec_site.settings")


class Request(WSGIRequest):
    """A request that accepts a malformed Content-Type, so that the view can answer with an error."""

    def _set_content_type_params(self, meta: dict[str, Any]) -> None:
        try:
            super()._set_content_type_params(meta)  # type: ignore[misc]  # not in the stubs
        except (ValueError, LookupError):  # an unknown encoding, or one that is not for text
            self.content_type, self.content_params, self._encoding = "", {}, None


share_counters()
application = get_wsgi_application()
application.request_class = Request

# Imported after Django is set up, so that the first request of each process need not wait for schema and
# pages.
import jobrec_site.urls  # noqa: E402, F401
from jobrec_site.statements import limit_statements  # noqa: E402

limit_statements()
