"""The HTTP end of GraphQL."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.decorators import method_decorator
from django.views.decorators.csrf import csrf_exempt
from graphene_django.views import GraphQLView

from apps.api.execution import respond
from apps.api.graphiql import ASSETS
from apps.api.responses import spoken


@method_decorator(csrf_exempt, name="dispatch")
class ApiView(GraphQLView):
    """GraphQL for bearer tokens, for sessions and for anonymous readers; for a browser graphene-django's GraphiQL.

    CSRF: a program with a token, or a front end's server that reads without a cookie, needs no CSRF token; a
    signed-in browser does, and gets it with the GraphiQL page or from the admin.
    """

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if self.graphiql and request.method == "GET" and self.can_display_graphiql(request, {}):
            page: HttpResponse = super().dispatch(request, *args, **kwargs)
            return page
        return spoken(lambda: respond(request))

    def render_graphiql(self, request: HttpRequest, **data: Any) -> HttpResponse:
        page: HttpResponse = super().render_graphiql(request, **data, assets=ASSETS)
        return page


def api_view() -> Any:
    return ApiView.as_view(graphiql=settings.GRAPHIQL)
