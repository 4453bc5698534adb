"""Adapters of the embedding model: which file the settings name, and its hash.

An adapter is a small file with a trained change of a model's weights, which the encoder merges at load. Its
hash is part of the revision of a model, so that another adapter is another model.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from apps.embeddings.errors import ModelStateError

SHIPPED = Path(__file__).with_name("shipped_adapters")
DEFAULT = "default"  # the setting that stands for the adapter shipped for a model, if there is one
# The file for a model, by the last part of its name. A file stays shipped after it has been replaced here,
# because databases name it.
SHIPPED_FOR = {"all-MiniLM-L6-v2": "all-MiniLM-L6-v2-1.safetensors"}


@dataclass(frozen=True)
class Adapter:
    """A file and the SHA-256 of its content, in hexadecimal. A name without a folder is a shipped file."""

    file: str
    sha256: str

    @property
    def path(self) -> Path:
        """Where the file lies on this machine."""
        return SHIPPED / self.file


def find_adapter(setting: str, model: str) -> Adapter | None:
    """Return the adapter for a model: "default", a path, or nothing for "".

    Raises ModelStateError if the file cannot be read.
    """
    file = SHIPPED_FOR.get(model.rpartition("/")[2], "") if setting == DEFAULT else setting
    if not file:
        return None
    try:
        return Adapter(file, sha256_of(SHIPPED / file))
    except OSError as error:
        raise ModelStateError(
            f"Cannot read the adapter {file}: {error.strerror}. Set EMBEDDING_ADAPTER to a file, "
            "or leave it empty."
        ) from error


def sha256_of(file: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    return hashlib.sha256(file.read_bytes()).hexdigest()
