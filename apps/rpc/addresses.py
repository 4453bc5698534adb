"""The format of gRPC addresses. Does not import gRPC, so that the settings can use it."""

import re


def is_address(text: str) -> bool:
    """Whether `text` is `host:port`, with an IPv6 host in brackets, or `unix:path`."""
    if text.startswith("unix:"):
        return len(text) > len("unix:")
    match = re.fullmatch(r"(?:[^\s:/\[\]]+|\[[0-9A-Fa-f:.]+\]):([0-9]{1,5})", text)
    return match is not None and 0 < int(match[1]) < 65_536
