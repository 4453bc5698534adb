"""System checks of the settings; `run_worker` and `manage.py check` run them."""

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, register


@register("embeddings")
def check_attempts(**_: Any) -> list[CheckMessage]:
    """Refuse settings with which a chunk would use up its attempts before it is isolated."""
    if settings.EMBEDDING_SUSPECT_AFTER < settings.EMBEDDING_ATTEMPTS:
        return []
    return [
        Error(
            f"EMBEDDING_SUSPECT_AFTER ({settings.EMBEDDING_SUSPECT_AFTER}) is not less than "
            f"EMBEDDING_ATTEMPTS ({settings.EMBEDDING_ATTEMPTS}): a text that crashes the encoder would make "
            "dead letters of all rows of its chunk.",
            hint="Leave at least one attempt in which the chunk is encoded in a subprocess.",
            id="embeddings.E001",
        )
    ]
