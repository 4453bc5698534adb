"""From the rows of a chunk to what must be encoded."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from django.db import connection

from apps.embeddings.kinds import tables
from apps.embeddings.leases import Lease
from apps.embeddings.models import EmbeddingModel
from apps.embeddings.templates import input_text


@dataclass(frozen=True)
class Text:
    """What is to be embedded for the rows of one content hash."""

    content_hash: bytes
    text: str
    row_ids: list[int]


def read_texts(lease: Lease) -> tuple[list[Text], dict[bytes, list[int]]]:
    """(texts to encode, row ids by content hash for rows whose text already has a vector of the model).

    Text and hash of a row come from one snapshot. Rows that were deleted, or embedded by another run meanwhile,
    are in neither. Equal texts are one Text.
    """
    names = tables(lease.kind)
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            SELECT record.id, record.content_hash, {names.title}, skills_text, {names.body},
                   EXISTS (SELECT FROM {names.embedding} AS twin
                           WHERE twin.model_id = %(model)s AND twin.content_hash = record.content_hash)
            FROM {names.record} AS record
            LEFT JOIN {names.embedding} AS own ON own.{names.key} = record.id AND own.model_id = %(model)s
            WHERE record.id = ANY (%(ids)s) AND own.content_hash IS DISTINCT FROM record.content_hash
            ORDER BY record.id
            """,
            {"model": lease.model.pk, "ids": lease.row_ids},
        )
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
    """A vector of the model, float32, for each of `hashes` that has one."""
    if not hashes:
        return {}
    names = tables(lease.kind)
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT DISTINCT ON (content_hash) content_hash, vector::real[] FROM {names.embedding} "
            "WHERE model_id = %s AND content_hash = ANY (%s)",
            [lease.model.pk, list(hashes)],
        )
        return {bytes(key): np.asarray(values, np.float32) for key, values in cursor.fetchall()}


def row_text(kind: str, row_id: int, model: EmbeddingModel) -> str:
    """The text that `model` embeds for a row; empty where the row is gone."""
    names = tables(kind)
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {names.title}, skills_text, {names.body} FROM {names.record} WHERE id = %s", [row_id]
        )
        row = cursor.fetchone()
    return input_text(model.template, title=row[0], skills=row[1], body=row[2]) if row else ""
