"""Relay's global ids."""

from graphql_relay import from_global_id

from apps.api.errors import bad_field


def primary_key(value: str, *, of: str, argument: str) -> int:
    """The primary key in the global id `value` of a node of type `of`; a bare number is taken too.

    Raises BadInputError, naming `argument`.
    """
    if _is_key(value):
        return int(value)
    try:
        node, key = from_global_id(value)
    except ValueError as error:
        raise bad_field(argument, f"{value[:40]!r} is no id") from error
    if node != of or not _is_key(key):
        raise bad_field(argument, f"{value[:40]!r} is no id of a {of}")
    return int(key)


def bare_key(value: str, *, argument: str) -> int:
    """A primary key that is given as such. Raises BadInputError, naming `argument`."""
    if not _is_key(value):
        raise bad_field(argument, f"{value[:40]!r} is no primary key, such as 17")
    return int(value)


def _is_key(value: str) -> bool:
    return value.isascii() and value.isdigit() and len(value) < 19
