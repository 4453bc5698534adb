"""The middleware that makes the GraphQL request and answers it from the response cache where it can.

It stands before sessions, authentication and everything else that an anonymous reader does not need.
"""

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from apps.api.cache import cached_response
from apps.api.request import attach_request
from apps.api.response import as_graphql_response, negotiated

ENDPOINT = "/graphql"


class GraphQLMiddleware:
    """Attaches the GraphQL request for the view. Public requests go through the response cache."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, http: HttpRequest) -> HttpResponse:
        """Respond to a GraphQL request; pass every other request on."""
        if http.path_info != ENDPOINT or is_for_graphiql(http):
            return self._get_response(http)
        return negotiated(as_graphql_response(lambda: self._respond(http)), http)

    def _respond(self, http: HttpRequest) -> HttpResponse:
        request = attach_request(http)
        if request.namespaces is None:
            return self._get_response(http)
        return cached_response(request, http, lambda: self._get_response(http))


def is_for_graphiql(http: HttpRequest) -> bool:
    """Whether a browser wants to show a page."""
    return (
        settings.GRAPHIQL
        and http.method == "GET"
        and "text/html" in http.META.get("HTTP_ACCEPT", "")
        and http.get_preferred_type(["application/json", "text/html"]) == "text/html"
    )
