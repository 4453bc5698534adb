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

    A program with a bearer token needs no CSRF token, nor does an anonymous reader. A signed-in browser needs one,
    which it gets with the GraphiQL page or from the admin; `Reader.identify` checks it.
    """
    request = attached_request(http)
    if request is None:
        return render(http, "api/graphiql.html")
    return as_graphql_response(lambda: respond(request, http))
