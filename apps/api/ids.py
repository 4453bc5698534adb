"""Relay's global ids."""

from graphql_relay import from_global_id

from apps.api.errors import bad_field


def primary_key(value: str, *, of: str, argument: str) -> int:
    """The primary key in the global id `value` of a node of type `of`; a bare number is taken too.

    Raises BadInputError, naming `argument`.
    """
    if value.isascii() and value.isdigit() and len(value) < 19:
        return int(value)
    try:
        node, key = from_global_id(value)
    except ValueError as error:
        raise bad_field(argument, f"{value[:40]!r} is no id") from error
    if node != of or not (key.isascii() and key.isdigit() and len(key) < 19):
        raise bad_field(argument, f"{value[:40]!r} is no id of a {of}")
    return int(key)
