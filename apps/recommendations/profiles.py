"""Somebody or something to find matches for: a stored row, or what a person typed."""

import logging
from dataclasses import dataclass, replace

from apps.embeddings.client import query_vector
from apps.embeddings.models import EmbeddingModel
from apps.embeddings.reading import row_text
from apps.embeddings.templates import input_text
from apps.recommendations.features import features_of
from apps.recommendations.fulltext import NO_WORDS, Words, words_of_row, words_of_text
from apps.recommendations.ranking import Features, Place
from apps.recommendations.retrieval import as_text, stored_vector
from apps.rpc.errors import RpcError
from apps.skills.services import current_finder

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Profile:
    """What a person says of themselves, or of the person they look for. Nothing of it is stored."""

    text: str = ""
    skills: tuple[str, ...] = ()
    experience_years: float | None = None
    english_level: int | None = None
    city: str = ""
    region: str = ""
    country: str = ""
    remote: bool = False
    salary_per_year: float | None = None
    salary_currency: str = ""


@dataclass(frozen=True)
class Seeker:
    """One side of the matches to be found.

    `vector` is None where there is none to be had: then words and skills decide. `words` are those of its text.
    """

    features: Features
    vector: str | None
    words: Words = NO_WORDS


class NotFoundError(Exception):
    """No such candidate or posting."""


def stored_seeker(kind: str, row_id: int, model: EmbeddingModel | None) -> Seeker:
    """A row as a seeker. Its stored vector serves even while the row is pending; a row without one is embedded now.

    Raises NotFoundError.
    """
    features = features_of(kind, [row_id]).get(row_id)
    if features is None:
        raise NotFoundError(f"there is no {kind} {row_id}")
    words = words_of_row(kind, row_id)
    if model is None:
        return Seeker(features, None, words)
    vector = stored_vector(kind, row_id, model)
    if vector is None:
        vector = _embedded(row_text(kind, row_id, model), model)
    return Seeker(features, vector, words)


def typed_seeker(profile: Profile, model: EmbeddingModel | None, *, kind: str) -> Seeker:
    """A profile as a seeker of rows of `kind`: its skills are those it names and those its text names."""
    finder = current_finder()
    named = [finder.resolve(name) for name in profile.skills]
    found = {skill_id for skill_id in named if skill_id is not None} | set(finder.find(profile.text))
    features = Features(
        skills=frozenset(found),
        experience_years=profile.experience_years,
        english_level=profile.english_level,
        place=Place(profile.city.casefold(), profile.region.casefold(), profile.country.casefold()),
        remote=profile.remote,
        salary_per_year=profile.salary_per_year,
        salary_currency=profile.salary_currency,
    )
    text = (
        input_text(model.template, title="", skills=", ".join(profile.skills), body=profile.text)
        if model
        else ""
    )
    words = words_of_text(f"{profile.text}\n{' '.join(profile.skills)}", kind=kind)
    return Seeker(features, _embedded(text, model) if text and model else None, words)


def without_place(seeker: Seeker) -> Seeker:
    """The seeker without what speaks of one job only: what is similar to a posting may be anywhere, at any pay."""
    return replace(seeker, features=Features(skills=seeker.features.skills))


def _embedded(text: str, model: EmbeddingModel) -> str | None:
    try:
        return as_text(query_vector(text, model))
    except RpcError as error:
        logger.warning("no vector for a text, words and skills will answer: %s", error)
        return None
