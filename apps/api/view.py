"""The HTTP end of GraphQL."""

import logging
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import CsrfViewMiddleware
from django.utils.decorators import method_decorator
from django.views.decorators.csrf import csrf_exempt
from graphene_django.views import GraphQLView, HttpError
from graphql import GraphQLError

from apps.api.graphiql import ASSETS

logger = logging.getLogger(__name__)


class _SessionCsrf(CsrfViewMiddleware):
    """Django's check, asked only for requests that a session cookie authenticates."""

    def _reject(self, request: HttpRequest, reason: str) -> str:
        return reason


@method_decorator(csrf_exempt, name="dispatch")
class ApiView(GraphQLView):
    """GraphQL for sessions and for anonymous readers, with GraphiQL in a browser.

    CSRF: a front end's server that reads without a cookie needs no token; a signed-in browser does.
    """

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if request.method == "POST" and request.user.is_authenticated:
            check = _SessionCsrf(lambda _: HttpResponse())
            check.process_request(request)
            reason = check.process_view(request, lambda *_: HttpResponse(), (), {})
            if reason is not None:
                return self._refused(request, f"CSRF: {reason} Send the cookie's token as X-CSRFToken.")
        response: HttpResponse = super().dispatch(request, *args, **kwargs)
        return response

    def render_graphiql(self, request: HttpRequest, **data: Any) -> HttpResponse:
        page: HttpResponse = super().render_graphiql(request, **data, assets=ASSETS)
        return page

    def _refused(self, request: HttpRequest, message: str) -> HttpResponse:
        body = self.json_encode(
            request, {"errors": [{"message": message, "extensions": {"code": "FORBIDDEN"}}]}
        )
        return HttpResponse(body, status=403, content_type="application/json")

    @staticmethod
    def format_error(error: Exception) -> dict[str, Any]:
        """As GraphQL says, with `extensions.code`. The text of an unexpected error stays in the log."""
        if isinstance(error, HttpError):
            return {"message": str(error.message), "extensions": {"code": "BAD_REQUEST"}}
        if not isinstance(error, GraphQLError):
            logger.error("GraphQL request failed", exc_info=error)
            return {"message": "internal error", "extensions": {"code": "INTERNAL"}}
        formatted: dict[str, Any] = dict(error.formatted)
        original = error.original_error
        if original is not None and not isinstance(original, GraphQLError):
            logger.error("resolving %s failed", error.path, exc_info=original)
            return formatted | {"message": "internal error", "extensions": {"code": "INTERNAL"}}
        code = {"code": "GRAPHQL_VALIDATION_FAILED"} if error.path is None else {"code": "BAD_USER_INPUT"}
        return formatted | {"extensions": code | dict(formatted.get("extensions") or {})}


def api_view() -> Any:
    return ApiView.as_view(graphiql=settings.GRAPHIQL)
