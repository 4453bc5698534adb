"""Headers that tell a browser what a page may load and do."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

_PAGE = (
    "default-src 'self'; script-src 'self'{scripts}; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "font-src 'self' data:; object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
)
# The theme of the admin evaluates the attributes of Alpine.js, and sets styles inline.
ADMIN = _PAGE.format(scripts=" 'unsafe-eval'")
# The form of a periodic task, from django-celery-beat, contains a script.
ADMIN_WITH_SCRIPT = _PAGE.format(scripts=" 'unsafe-eval' 'unsafe-inline'")
SCRIPT_PAGES = "/admin/django_celery_beat/periodictask/"
NOTHING = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'"
PERMISSIONS = ", ".join(
    f"{feature}=()"
    for feature in (
        "accelerometer",
        "browsing-topics",
        "camera",
        "display-capture",
        "geolocation",
        "gyroscope",
        "magnetometer",
        "microphone",
        "midi",
        "payment",
        "usb",
    )
)


class PageHeaders:
    """Set Content-Security-Policy and Permissions-Policy, unless the view has set its own."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Set the headers of every response, errors and static files included."""
        response = self._get_response(request)
        path = request.path_info
        policy = NOTHING
        if path.startswith("/admin/"):
            policy = ADMIN_WITH_SCRIPT if path.startswith(SCRIPT_PAGES) else ADMIN
        response.headers.setdefault("Content-Security-Policy", policy)
        response.headers.setdefault("Permissions-Policy", PERMISSIONS)
        return response
