"""The environment's variables, as settings are read from them."""

from collections.abc import Collection
from typing import Any, TypeVar
from urllib.parse import urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured

from apps.rpc.addresses import is_address

NumberT = TypeVar("NumberT", int, float)
MOST_PORT = 65_535

_SAID = {int: "a whole number", float: "a number", bool: "1 or 0"}
_BOOLEANS = {"0": False, "false": False, "no": False, "off": False} | dict.fromkeys(
    ("1", "true", "yes", "on"), True
)


class Variables(environ.Env):
    """django-environ, but a value that cannot be understood is an error that names its variable, not False or a guess,
    and one that begins with a dollar sign is that, and not the name of another variable.

    An empty number or truth value counts as not set.
    """

    def get_value(
        self, var: str, cast: Any = None, default: Any = environ.Env.NOTSET, parse_default: bool = False
    ) -> Any:
        """Raises ImproperlyConfigured."""
        given = self.ENVIRON.get(var)
        if given is None:
            return super().get_value(var, cast, default, parse_default)
        if cast in _SAID and not given.strip():
            return default
        if cast not in _SAID:
            return self.parse_value(given, cast)
        try:
            return _BOOLEANS[given.strip().lower()] if cast is bool else cast(given)
        except (KeyError, ValueError) as error:
            raise ImproperlyConfigured(f"{var}={given}: {_SAID[cast]} is needed") from error

    def number(self, var: str, *, default: NumberT, least: float = 0, most: float = float("inf")) -> NumberT:
        """A number as the default is one, between the bounds. Raises ImproperlyConfigured."""
        given: NumberT = self.get_value(var, type(default), default)
        if not least <= given <= most:
            bounds = f"at least {least:,}" if most == float("inf") else f"between {least:,} and {most:,}"
            raise ImproperlyConfigured(f"{var}={given}: it must be {bounds}")
        return given

    def listener(self, var: str, *, default: str) -> str:
        """host:port, or unix:path; empty only where that is the default. Raises ImproperlyConfigured."""
        given = str(self.get_value(var, default=default))
        if (given or default) and not is_address(given):
            raise ImproperlyConfigured(f"{var}={given}: host:port is needed, such as 127.0.0.1:50051")
        return given

    def address(self, var: str, *, default: str, schemes: Collection[str]) -> str:
        """A URL of one of the schemes. Raises ImproperlyConfigured, which does not repeat it: a password may be in it."""
        url = str(self.get_value(var, default=default))
        if urlsplit(url).scheme not in schemes:
            raise ImproperlyConfigured(
                f"{var}: an address that begins with {':// or '.join(schemes)}:// is needed"
            )
        return url

    def choice(self, var: str, *, default: str, among: Collection[str]) -> str:
        """Raises ImproperlyConfigured."""
        given = str(self.get_value(var, default=default))
        if given not in among:
            raise ImproperlyConfigured(f"{var}={given}: one of {', '.join(among)} is needed")
        return given
