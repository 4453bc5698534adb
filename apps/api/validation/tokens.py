"""Limits on tokens and on nested brackets, checked before parsing: the parser recurses with each bracket."""

from django.conf import settings
from graphql import Source, TokenKind
from graphql.language import Lexer

from apps.api.errors import LimitError
from apps.api.validation.depth import too_deep

OPENING = frozenset({TokenKind.BRACE_L, TokenKind.BRACKET_L, TokenKind.PAREN_L})
CLOSING = frozenset({TokenKind.BRACE_R, TokenKind.BRACKET_R, TokenKind.PAREN_R})
MAX_ARGUMENT_NESTING = 10  # brackets in the arguments of the innermost field


def check_tokens(query: str) -> None:
    """Raises LimitError, or GraphQLSyntaxError for what is no token.

    Comments count, so the lexer is asked for each token: its `advance` passes over them.
    """
    lexer = Lexer(Source(query))
    tokens = nesting = 0
    token = lexer.token
    while (token := lexer.read_next_token(token.end)).kind != TokenKind.EOF:
        tokens += 1
        nesting += (token.kind in OPENING) - (token.kind in CLOSING)
        if tokens > settings.GRAPHQL_MAX_TOKENS:
            raise LimitError(
                "QUERY_TOO_LARGE",
                "the query has too many tokens",
                limit="GRAPHQL_MAX_TOKENS",
                bound=settings.GRAPHQL_MAX_TOKENS,
            )
        if nesting > settings.GRAPHQL_MAX_DEPTH + MAX_ARGUMENT_NESTING:
            raise too_deep("brackets")
