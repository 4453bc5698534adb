import os
from typing import Any

from django.core.handlers.wsgi import WSGIRequest
from django.core.wsgi import get_wsgi_application

from jobrec_site.metrics import share_counters

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "jobrec_site.settings")


class Request(WSGIRequest):
    """Django reads the Content-Type before anything could answer what is wrong with it."""

    def _set_content_type_params(self, meta: dict[str, Any]) -> None:
        try:
            super()._set_content_type_params(meta)  # type: ignore[misc]  # Django's own, and in no stub
        except (
            ValueError,
            LookupError,
        ):  # parameters in an encoding that nobody knows, or that is none of text
            self.content_type, self.content_params, self._encoding = "", {}, None


share_counters()
application = get_wsgi_application()
application.request_class = Request

# Django had to be set up before. Without the URLs, the first reader of each process would wait for schema and pages.
import jobrec_site.urls  # noqa: E402, F401
from jobrec_site.statements import limit_statements  # noqa: E402

limit_statements()
