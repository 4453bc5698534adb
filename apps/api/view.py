"""The HTTP endpoint of GraphQL, which is GraphiQL in a browser."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.csrf import csrf_exempt

from apps.api.execution import respond
from apps.api.request import attached_request
from apps.api.response import as_graphql_response


@csrf_exempt
def graphql_view(http: HttpRequest) -> HttpResponse:
    """Answer a request that the middleware could not answer from the cache.

    Programs with a bearer token and anonymous readers need no CSRF token. A signed-in browser does, and gets
    it with the GraphiQL page or from the admin. `Reader.identify` checks it.
    """
    request = attached_request(http)
    if request is None:
        return render(http, "api/graphiql.html")
    return as_graphql_response(lambda: respond(request, http))
