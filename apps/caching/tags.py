"""Tags: what a cached value depends on.

Incrementing the generation of any tag of a value makes the value unreachable. A namespace such as `postings`
has three kinds of tags:

    postings        of a list of postings: incremented when any posting changes
    postings:*      of a value about one posting: incremented when all postings are invalidated together
    postings:17     of a value about posting 17: incremented when posting 17 changes
"""

from collections.abc import Iterable

NAMESPACES = frozenset({"postings", "candidates", "skills"})


def of_list(namespace: str) -> tuple[str, ...]:
    """Tags of a list over `namespace`, which any of its rows may enter."""
    return (_known(namespace),)


def of_row(namespace: str, row_id: int) -> tuple[str, ...]:
    """Tags of a value about one row of `namespace`."""
    return (f"{_known(namespace)}:*", f"{namespace}:{row_id}")


MAX_NAMED_ROWS = 100  # more rows are invalidated together with all others of their namespace


def changed(namespaces: Iterable[str], ids: Iterable[int] = (), *, lists: bool = True) -> list[str]:
    """Tags to increment after rows changed: the rows `ids`, or all rows if `ids` is empty or too long.

    Without `lists`, only tags of rows. Raises ValueError for an unknown namespace.
    """
    named = sorted({int(row_id) for row_id in ids})
    if len(named) > MAX_NAMED_ROWS:
        named = []
    tags: list[str] = []
    for namespace in sorted({_known(name) for name in namespaces}):
        if lists:
            tags.append(namespace)
        tags.extend(f"{namespace}:{row_id}" for row_id in named)
        if not named:
            tags.append(f"{namespace}:*")
    return tags


def _known(namespace: str) -> str:
    if namespace not in NAMESPACES:
        raise ValueError(f"unknown cache namespace {namespace!r}: one of {', '.join(sorted(NAMESPACES))}")
    return namespace
