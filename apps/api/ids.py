"""Relay's global ids, and bare primary keys in their place."""

from graphql_relay import from_global_id

from apps.api.errors import bad_field

MAX_DIGITS = 18  # of a primary key: PostgreSQL's bigint holds every number of so many


def primary_key(value: str, *, of: str, argument: str) -> int:
    """The primary key in the global id `value` of a node of type `of`. A bare primary key is accepted too.

    Raises BadInputError, which names `argument`.
    """
    if _is_key(value):
        return int(value)
    name, key = type_and_key(value, argument=argument)
    if name != of:
        raise bad_field(argument, f"{value[:40]!r} is not the id of a {of}")
    return key


def type_and_key(value: str, *, argument: str) -> tuple[str, int]:
    """The type's name and the primary key in a global id. Raises BadInputError, which names `argument`."""
    try:
        name, key = from_global_id(value)
    except ValueError as error:
        raise bad_field(argument, f"{value[:40]!r} is not an id") from error
    if not _is_key(key):
        raise bad_field(argument, f"{value[:40]!r} is not an id")
    return name, int(key)


def bare_key(value: str, *, argument: str) -> int:
    """A primary key, given as a number. Raises BadInputError, which names `argument`."""
    if not _is_key(value):
        raise bad_field(argument, f"{value[:40]!r} is not a primary key, such as 17")
    return int(value)


def _is_key(value: str) -> bool:
    return value.isascii() and value.isdigit() and len(value) <= MAX_DIGITS
