"""Memory that torch has freed and the C library keeps."""

import ctypes
from functools import cache
from typing import Any


def give_back() -> None:
    """Returns freed memory to the system, where the C library can (glibc).

    Tensors of ever other sizes leave gaps between those in use: without this, a worker's memory grows for hours.
    """
    if trim := _trim():
        trim(0)


@cache
def _trim() -> Any:
    try:
        return ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):
        return None
