"""The baseline of bench/serve.py: a Django view without any middleware that answers the bytes of a file."""

import os
from pathlib import Path

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse
from django.urls import path

settings.configure(ROOT_URLCONF=__name__, MIDDLEWARE=[], ALLOWED_HOSTS=["*"], SECRET_KEY="bare")
BODY = Path(os.environ["BARE_BODY"]).read_bytes()


def bare(_request: HttpRequest) -> HttpResponse:
    """Answer the bytes."""
    return HttpResponse(BODY, content_type="application/json", headers={"Content-Length": str(len(BODY))})


urlpatterns = [path("graphql", bare)]
application = get_wsgi_application()
