"""Addresses of gRPC servers, for who must not load gRPC, such as the settings."""

import re


def is_address(text: str) -> bool:
    """Whether `text` is of the form `host:port`, with an IPv6 host in brackets, or `unix:path`."""
    if text.startswith("unix:"):
        return len(text) > len("unix:")
    match = re.fullmatch(r"(?:[^\s:/\[\]]+|\[[0-9A-Fa-f:.]+\]):([0-9]{1,5})", text)
    return match is not None and 0 < int(match[1]) < 65_536
