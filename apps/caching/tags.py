"""What a cached answer depends on.

An answer names its tags; raising the generation of any of them makes the answer unreachable. There are three
kinds for a namespace such as `postings`:

    postings        a list over postings: drops when any posting changes
    postings:*      something about one posting: drops when all postings are invalidated together
    postings:17     something about posting 17: drops when posting 17 is named
"""

from collections.abc import Iterable

NAMESPACES = frozenset({"postings", "candidates", "skills"})


def of_list(namespace: str) -> tuple[str, ...]:
    """Tags of an answer that any row of `namespace` may enter."""
    return (_known(namespace),)


def of_row(namespace: str, row_id: int) -> tuple[str, ...]:
    """Tags of an answer about one row of `namespace`."""
    return (f"{_known(namespace)}:*", f"{namespace}:{row_id}")


MANY = 100  # rows; more are not named one by one


def changed(namespaces: Iterable[str], ids: Iterable[int] = (), *, lists: bool = True) -> list[str]:
    """Tags to raise when rows changed: those `ids`, or all of the namespaces where `ids` is empty or names MANY.

    Without `lists`, only the tags of the rows.

    Raises ValueError for an unknown namespace.
    """
    named = sorted({int(row_id) for row_id in ids})
    if len(named) > MANY:
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
