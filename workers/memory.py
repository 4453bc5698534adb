"""Memory that a process has freed and the C library keeps."""

import ctypes
from functools import cache
from typing import Any


def give_back() -> None:
    """Returns freed memory to the system, where the C library can (glibc).

    Tensors and answers of ever other sizes leave gaps between those in use: without this, the memory of a process that
    works now and then grows for long.
    """
    if trim := _trim():
        trim(0)


@cache
def _trim() -> Any:
    try:
        return ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):
        return None
