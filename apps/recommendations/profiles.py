"""Seekers: stored rows, or profiles that a person typed, to find matches for."""

import logging
from dataclasses import dataclass, replace
from functools import partial

from apps.embeddings.client import query_vector
from apps.embeddings.models import EmbeddingModel, Kind
from apps.embeddings.reading import row_text
from apps.embeddings.templates import input_text
from apps.recommendations.features import read_rows
from apps.recommendations.fulltext import NO_TERMS, Terms, terms_of_row, terms_of_text
from apps.recommendations.naming import NO_NAMES, SearchNames
from apps.recommendations.ranking import Features, place_named
from apps.recommendations.retrieval import as_text, stored_vector
from apps.records.normalizing.gazetteer import country_code
from apps.rpc.errors import RpcError
from apps.skills.services import current_finder

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Profile:
    """A typed description of a person, or of the person that a recruiter looks for. It is never stored.

    A country's name becomes its ISO 3166 code.
    """

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

    def __post_init__(self) -> None:
        object.__setattr__(self, "country", country_code(self.country) or self.country)


@dataclass(frozen=True)
class Seeker:
    """One side of the matches to find.

    `vector` is None where no query vector is available; then full text and skills rank. `terms` are those of
    its text; `names` is what a typed search names.
    """

    features: Features
    vector: str | None
    terms: Terms = NO_TERMS
    names: SearchNames = NO_NAMES


class NotFoundError(Exception):
    """The candidate or posting does not exist."""


def stored_seeker(kind: str, row_id: int, model: EmbeddingModel | None) -> Seeker:
    """Make a seeker of a row. Its stored vector is used even while the row is pending; without one it is
    embedded now.

    Raises NotFoundError.
    """
    row = read_rows(kind, [row_id]).get(row_id)
    if row is None:
        raise NotFoundError(f"there is no {kind} {row_id}")
    features = row.features
    terms = terms_of_row(kind, row_id)
    if model is None:
        return Seeker(features, None, terms)
    vector = stored_vector(kind, row_id, model)
    if vector is None:
        vector = _query_vector(row_text(kind, row_id, model), model)
    return Seeker(features, vector, terms)


def typed_seeker(profile: Profile, model: EmbeddingModel | None, *, kind: str) -> Seeker:
    """Make a seeker of rows of `kind` from a profile. Its skills are the stated ones, those that its text
    consists of, and those found in it."""
    finder = current_finder()
    # Postings have no private skills, and readers of postings may not see whose they are.
    private = kind == Kind.CANDIDATE
    names = SearchNames.of(profile.text, partial(finder.resolve, private=private))
    stated = (finder.resolve(name, private=private) for name in profile.skills)
    found = {skill_id for skill_id in stated if skill_id is not None} | set(finder.find(profile.text))
    features = Features(
        skills=names.skills | found,
        experience_years=profile.experience_years,
        english_level=profile.english_level,
        places=place_named(profile.city, profile.region, profile.country),
        remote=profile.remote,
        salary_per_year=profile.salary_per_year,
        salary_currency=profile.salary_currency,
    )
    text = (
        input_text(model.template, title="", skills=", ".join(profile.skills), body=profile.text)
        if model
        else ""
    )
    terms = terms_of_text(f"{profile.text}\n{' '.join(profile.skills)}", kind=kind)
    vector = _query_vector(text, model) if text and model else None
    return Seeker(features, vector, terms, names)


def without_place(seeker: Seeker) -> Seeker:
    """The seeker with its skills as the only features: a similar posting may be anywhere, at any salary."""
    return replace(seeker, features=Features(skills=seeker.features.skills))


def _query_vector(text: str, model: EmbeddingModel) -> str | None:
    try:
        return as_text(query_vector(text, model))
    except RpcError as error:
        logger.warning("No query vector available: ranking by full text and skills only. %s", error)
        return None
