"""The GraphQL API. It translates between GraphQL and the apps; no other package imports graphene.

A request passes through these modules, in this order:

    middleware    makes the GraphQLRequest and looks up its response
    request       the query and its variables, parsed from HTTP
    admission     who sends it, and whether the rate limit allows it
    document      the query, parsed and validated (see validation)
    cache         the response, if it is public and was computed before
    view          the endpoint, behind sessions and authentication
    execution     the response, if it was not cached
    response      the HTTP response
"""
