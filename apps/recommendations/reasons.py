"""Why the matches of a page fit: the sentences that carry them, and what one more skill would change."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import orjson
from django.db import connection
from django.utils import timezone
from psycopg.sql import SQL

from apps.caching.two_level import Codec, Computed, TwoLevelCache
from apps.embeddings.client import embed_texts
from apps.embeddings.kinds import tables
from apps.embeddings.models import EmbeddingModel, Kind
from apps.recommendations.active_ranking import active_ranking
from apps.recommendations.features import read_rows
from apps.recommendations.matches import Match
from apps.recommendations.ranking import Features, Nearness, Rarity, list_weights, parts_of, total
from apps.recommendations.rarity import skill_rarity
from apps.recommendations.sentences import SentencePair, Vectors, nearest_sentences, sentences_of
from apps.recommendations.weights import Ranking

MAX_WHAT_IF = 5  # missing skills of a match that are tried
_TEXTS = SQL("SELECT id, {title}, {body} FROM {record} WHERE id = ANY (%s)")

# It holds positions of sentences and no text, so that nothing that people wrote is stored in it.
_cache = TwoLevelCache(
    codec=Codec(
        encode=lambda pairs: orjson.dumps([[key, *vars(pair).values()] for key, pair in pairs.items()]),
        decode=lambda stored: {row[0]: SentencePair(*row[1:]) for row in orjson.loads(stored)},
        weight=lambda _: 1,
    )
)


@dataclass(frozen=True)
class CarryingSentences:
    """The sentence of the row and that of the seeker's text that are nearest, and their cosine."""

    row: str
    seeker: str
    similarity: float


@dataclass(frozen=True)
class WhatIf:
    """The score of a match if the candidate had one more skill."""

    skill_id: int
    score: float


def texts_of(kind: str, ids: Iterable[int]) -> dict[int, str]:
    """The texts of rows by primary key: the body, or the title where there is none."""
    with connection.cursor() as cursor:
        cursor.execute(_TEXTS.format(**tables(kind).sql), [list(ids)])
        return {row_id: body.strip() or title for row_id, title, body in cursor.fetchall()}


def carrying_sentences(
    kind: str, ids: Sequence[int], seeker_text: str, model: EmbeddingModel
) -> dict[int, CarryingSentences]:
    """The sentences that carry the matches `ids` of a seeker with this text, by primary key.

    Rows without a sentence are left out. All sentences are embedded in one call, once for a page, its texts
    and the model. Raises RpcError.
    """
    rows = {key: sentences_of(text) for key, text in texts_of(kind, ids).items()}
    seeker = sentences_of(seeker_text) or [seeker_text.strip()]
    if not seeker[0]:
        return {}

    def embed(texts: list[str]) -> Vectors:
        return np.asarray(embed_texts(texts, model), np.float32)

    pairs = _cache.get_or_compute(
        "carrying_sentences",
        {"rows": [[key, _digest(rows[key])] for key in ids if key in rows], "seeker": _digest(seeker)}
        | {"model": model.pk},
        tags=(),  # the same texts and model always give the same pairs
        compute=lambda: Computed(nearest_sentences(rows, seeker, embed)),
    )
    return {
        key: CarryingSentences(rows[key][pair.row], seeker[pair.seeker], pair.similarity)
        for key, pair in pairs.items()
    }


def _digest(sentences: Sequence[str]) -> str:
    return hashlib.blake2b("\n".join(sentences).encode(), digest_size=16).hexdigest()


def what_if(
    kind: str, matches: Sequence[Match], *, posting_id: int | None, share: float
) -> dict[int, list[WhatIf]]:
    """The score of each match with each of its missing skills added to the candidate, the best first, by row.

    At most MAX_WHAT_IF of a match, those that change most. The score is that of the ranking with the weights
    of the list. Vector and text stay as they are, as they do in a list after an edit until the candidate is
    embedded again. `posting_id` is the posting whose candidates are the matches, None for a search of them.
    `share` is the list's share of the text scores.
    """
    of_match = {match.row_id: match.row_id if kind == Kind.POSTING else posting_id for match in matches}
    postings = read_rows(Kind.POSTING, {key for key in of_match.values() if key is not None})
    ranking, rarity = active_ranking(), skill_rarity()
    scores = {}
    for match in matches:
        row = postings.get(of_match[match.row_id] or 0)
        posting = Features(
            skills=frozenset(match.matched_skills) | frozenset(match.missing_skills),
            title_skills=row.features.title_skills if row else frozenset(),
            stated_skills=row.features.stated_skills if row else frozenset(),
        )
        tried = [
            WhatIf(skill_id, _score_with(skill_id, match, posting, ranking, rarity, share))
            for skill_id in match.missing_skills
        ]
        scores[match.row_id] = sorted(tried, key=lambda each: (-each.score, each.skill_id))[:MAX_WHAT_IF]
    return scores


def _score_with(
    skill_id: int, match: Match, posting: Features, ranking: Ranking, rarity: Rarity, share: float
) -> float:
    has = frozenset(match.matched_skills) | frozenset(match.extra_skills) | {skill_id}
    parts: Mapping[str, float] = match.parts | parts_of(
        candidate=Features(skills=has),
        posting=posting,
        nearness=Nearness(),
        rarity=rarity,
        ranking=ranking,
        today=timezone.now().date(),
    )
    weights = match.weights
    if not parts.keys() <= weights.keys():  # the candidate had no skill, so that the list had no such part
        weights = list_weights(ranking, [dict.fromkeys(weights, 0.0), parts], share=share)
    return round(total(parts, weights), 6)
