"""Translation of errors of the apps into errors of the API."""

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from apps.api.errors import BadInputError, NotFoundApiError, camel
from apps.embeddings.errors import EmbeddingError
from apps.recommendations.profiles import NotFoundError
from apps.recommendations.services import FilterError

P = ParamSpec("P")
R = TypeVar("R")


def translated(resolve: Callable[P, R]) -> Callable[P, R]:
    """The resolver, raising an API error in place of an error that the apps raise for wrong input."""

    @wraps(resolve)
    def resolver(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return resolve(*args, **kwargs)
        except FilterError as error:
            field, reasons = next(iter(error.errors.items()))
            name = f"filter.{camel(field)}"
            raise BadInputError(f"{name}: {' '.join(reasons)}", field=name) from error
        except NotFoundError as error:
            raise NotFoundApiError(str(error)) from error
        except EmbeddingError as error:
            raise BadInputError(str(error)) from error

    return resolver
