"""The HTTP request of the web server."""

from io import BytesIO
from typing import Any

from django.conf import settings
from django.core.handlers.wsgi import WSGIRequest


class Request(WSGIRequest):
    """A request with two tolerances.

    A malformed Content-Type is accepted, so that the view can answer with an error. A body in chunks is
    read here, since Django reads only as many bytes as Content-Length announces. One byte beyond the bound is
    enough for the error about a body that is too large.
    """

    def __init__(self, environ: dict[str, Any]) -> None:
        if "chunked" in environ.get("HTTP_TRANSFER_ENCODING", "").lower():
            body = environ["wsgi.input"].read(settings.DATA_UPLOAD_MAX_MEMORY_SIZE + 1)
            environ["wsgi.input"] = BytesIO(body)
            environ["CONTENT_LENGTH"] = str(len(body))
        super().__init__(environ)

    def _set_content_type_params(self, meta: dict[str, Any]) -> None:
        try:
            super()._set_content_type_params(meta)  # type: ignore[misc]  # not in the stubs
        except (ValueError, LookupError):  # an unknown encoding, or one that is not for text
            self.content_type, self.content_params, self._encoding = "", {}, None
