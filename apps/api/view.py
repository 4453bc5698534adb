"""The HTTP endpoint of GraphQL, which is GraphiQL in a browser."""

import base64
import hashlib
import re
from functools import cache

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.views.decorators.csrf import csrf_exempt

from apps.api.execution import respond
from apps.api.request import attached_request
from apps.api.response import as_graphql_response


@cache
def graphiql_policy() -> str:
    """Return the policy of GraphiQL's page, which allows its own script by hash, and no other inline."""
    [script] = re.findall(r"<script>(.*?)</script>", render_to_string("api/graphiql.html"), re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return (
        f"default-src 'self'; script-src 'self' 'sha256-{digest}'; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data:; font-src 'self' data:; object-src 'none'; base-uri 'self'; "
        "form-action 'self'; frame-ancestors 'none'"
    )


@csrf_exempt
def graphql_view(http: HttpRequest) -> HttpResponse:
    """Answer a request that the middleware could not answer from the cache.

    Programs with a bearer token and anonymous readers need no CSRF token. A signed-in browser does, and gets
    it with the GraphiQL page or from the admin. `Reader.identify` checks it.
    """
    request = attached_request(http)
    if request is None:
        page = render(http, "api/graphiql.html")
        page["Content-Security-Policy"] = graphiql_policy()
        return page
    return as_graphql_response(lambda: respond(request, http))
