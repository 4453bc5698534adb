"""What Python and the C library do with memory, where a long-lived process knows better."""

import ctypes
import gc
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any


def give_back() -> None:
    """Returns freed memory to the system, where the C library can (glibc).

    Tensors and answers of ever other sizes leave gaps between those in use: without this, the memory of a process that
    works now and then grows for long.
    """
    if trim := _trim():
        trim(0)


@contextmanager
def made_to_stay() -> Iterator[None]:
    """What is made meanwhile, and all that was made before, is left out of every garbage collection to come."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_on:
            gc.enable()


@cache
def _trim() -> Any:
    try:
        return ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):
        return None
