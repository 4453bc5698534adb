"""The URLs of the web server."""

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.templatetags.static import static
from django.urls import path
from django.views.generic import RedirectView

from apps.api.view import graphql_view
from jobrec_site.health import ReadyView
from jobrec_site.metrics import metrics
from jobrec_site.operators import for_operators


def alive(_request: HttpRequest) -> HttpResponse:
    """The liveness check: 200 from any web process that can answer."""
    return HttpResponse("alive\n", content_type="text/plain")


admin.autodiscover()
urlpatterns = [
    path("", RedirectView.as_view(url="/admin/", permanent=False)),
    path("admin/", admin.site.urls),
    path("graphql", graphql_view, name="graphql"),
    path("favicon.ico", RedirectView.as_view(url=static("jobrec_site/favicon.svg"))),
    path("healthz", alive),
    path("readyz", for_operators(ReadyView.as_view())),
    path("metrics", for_operators(metrics)),
]
