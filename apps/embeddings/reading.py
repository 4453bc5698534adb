"""The texts of the rows of a chunk."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from django.db import connection
from psycopg.sql import SQL

from apps.embeddings.kinds import tables
from apps.embeddings.leases import Lease
from apps.embeddings.models import EmbeddingModel
from apps.embeddings.templates import input_text
from apps.sql import load


@dataclass(frozen=True)
class Text:
    """The text to embed, and the rows with its content hash."""

    content_hash: bytes
    text: str
    row_ids: list[int]


def read_texts(lease: Lease) -> tuple[list[Text], dict[bytes, list[int]]]:
    """(texts to encode, row ids by content hash of rows whose text already has a vector of the model).

    Text and hash of a row come from one snapshot. Rows that were deleted, or embedded by another run, are
    left out. Rows with equal texts share one Text.
    """
    statement = load(__file__, "read_texts").format(**tables(lease.kind).sql)
    with connection.cursor() as cursor:
        cursor.execute(statement, {"model": lease.model.pk, "ids": lease.row_ids})
        texts: dict[bytes, Text] = {}
        known: dict[bytes, list[int]] = {}
        for row_id, raw_hash, title, skills, body, has_twin in cursor.fetchall():
            content_hash = bytes(raw_hash)
            if has_twin:
                known.setdefault(content_hash, []).append(row_id)
            elif content_hash in texts:
                texts[content_hash].row_ids.append(row_id)
            else:
                text = input_text(lease.model.template, title=title, skills=skills, body=body)
                texts[content_hash] = Text(content_hash, text, [row_id])
    return list(texts.values()), known


def existing_vectors(lease: Lease, hashes: Sequence[bytes]) -> dict[bytes, npt.NDArray[np.float32]]:
    """Existing vectors of the model by content hash, for those of `hashes` that have one."""
    if not hashes:
        return {}
    statement = SQL(
        "SELECT DISTINCT ON (content_hash) content_hash, vector::real[] FROM {embedding} "
        "WHERE model_id = %s AND content_hash = ANY (%s)"
    ).format(**tables(lease.kind).sql)
    with connection.cursor() as cursor:
        cursor.execute(statement, [lease.model.pk, list(hashes)])
        return {bytes(key): np.asarray(values, np.float32) for key, values in cursor.fetchall()}


def row_text(kind: str, row_id: int, model: EmbeddingModel) -> str:
    """The text that `model` embeds for a row; empty if the row was deleted."""
    statement = SQL("SELECT {title}, skills_text, {body} FROM {record} WHERE id = %s").format(
        **tables(kind).sql
    )
    with connection.cursor() as cursor:
        cursor.execute(statement, [row_id])
        row = cursor.fetchone()
    return input_text(model.template, title=row[0], skills=row[1], body=row[2]) if row else ""
