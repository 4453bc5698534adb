"""Read settings from environment variables, with checks."""

from collections.abc import Collection
from typing import Any, TypeVar
from urllib.parse import urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured

from apps.rpc.addresses import is_address

NumberT = TypeVar("NumberT", int, float)
MAX_PORT = 65_535

_EXPECTED = {int: "a whole number", float: "a number", bool: "1 or 0"}
_BOOLEANS = {"0": False, "false": False, "no": False, "off": False} | dict.fromkeys(
    ("1", "true", "yes", "on"), True
)


class Variables(environ.Env):
    """The variables of the environment, by django-environ, with three differences.

    A value that cannot be parsed is an error that names its variable. A value that begins with a dollar sign
    does not refer to another variable. An empty number or truth value counts as not set.
    """

    def get_value(
        self, var: str, cast: Any = None, default: Any = environ.Env.NOTSET, parse_default: bool = False
    ) -> Any:
        """The value of a variable, or its default. Raises ImproperlyConfigured if it cannot be parsed."""
        given = self.ENVIRON.get(var)
        if given is None:
            return super().get_value(var, cast, default, parse_default)
        if cast in _EXPECTED and not given.strip():
            return default
        if cast not in _EXPECTED:
            return self.parse_value(given, cast)
        try:
            return _BOOLEANS[given.strip().lower()] if cast is bool else cast(given)
        except (KeyError, ValueError) as error:
            raise ImproperlyConfigured(f"{var}={given} is wrong: {_EXPECTED[cast]} is needed") from error

    def number(
        self, var: str, *, default: NumberT, minimum: float = 0, maximum: float = float("inf")
    ) -> NumberT:
        """A number of the type of the default, within the bounds. Raises ImproperlyConfigured."""
        given: NumberT = self.get_value(var, type(default), default)
        if not minimum <= given <= maximum:
            bounds = f"at least {minimum:,}" if maximum == float("inf") else f"{minimum:,} to {maximum:,}"
            raise ImproperlyConfigured(f"{var}={given} is out of range: it must be {bounds}")
        return given

    def listener(self, var: str, *, default: str) -> str:
        """An address as host:port or unix:path; empty only if the default is. Raises ImproperlyConfigured."""
        given = str(self.get_value(var, default=default))
        if (given or default) and not is_address(given):
            raise ImproperlyConfigured(
                f"{var}={given} is not an address: use host:port, such as 127.0.0.1:50051"
            )
        return given

    def address(self, var: str, *, default: str, schemes: Collection[str]) -> str:
        """A URL with one of the schemes.

        Raises ImproperlyConfigured, without quoting the URL, which may contain a password.
        """
        url = str(self.get_value(var, default=default))
        if urlsplit(url).scheme not in schemes:
            raise ImproperlyConfigured(
                f"{var} is not a URL of the right kind: it must begin with {':// or '.join(schemes)}://"
            )
        return url

    def choice(self, var: str, *, default: str, among: Collection[str]) -> str:
        """A value that is among the given ones. Raises ImproperlyConfigured."""
        given = str(self.get_value(var, default=default))
        if given not in among:
            raise ImproperlyConfigured(f"{var}={given} is unknown: use one of {', '.join(among)}")
        return given
