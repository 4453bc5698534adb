"""Searches as people type them: ambiguous skills, places, companies and titles in the search box."""

from collections.abc import Iterable
from typing import Any

import pytest
from django.db import connection

from apps.embeddings.models import EmbeddingModel, PostingEmbedding
from apps.postings.inputs import PostingInput
from apps.postings.models import Company, Posting
from apps.postings.services import upsert_postings
from apps.recommendations import services
from apps.recommendations.matches import Match
from apps.recommendations.models import RankingOptions, SponsoredPosting
from apps.recommendations.profiles import Profile
from apps.recommendations.text_index import update_text_index
from apps.sample.corpus import postings
from apps.skills.dictionary import SHIPPED, load_dictionary, read_dictionary
from apps.skills.services import find_skills

pytestmark = pytest.mark.django_db

ALIKE = [1.0, 0.0, 0.0, 0.0]


@pytest.fixture(autouse=True)
def model(clean_cache: None, monkeypatch: pytest.MonkeyPatch) -> EmbeddingModel:
    """An active model whose vectors are all alike, unless a test says otherwise."""
    monkeypatch.setattr("apps.recommendations.profiles.query_vector", lambda *_: ALIKE)
    load_dictionary(read_dictionary(SHIPPED))
    return EmbeddingModel.objects.create(
        name="test/model", revision="main-t1-w8", dimensions=4, state=EmbeddingModel.State.ACTIVE
    )


def put(*rows: dict[str, Any], cosines: Iterable[float] = ()) -> None:
    """Store postings with their skills, index them, and give each a vector of this cosine to every search."""
    found = find_skills(f"{row['title']}\n{row.get('description', '')}" for row in rows)
    upsert_postings([PostingInput.model_validate(row) for row in rows], found=found)
    update_text_index("posting", limit=1_000)
    angles = dict(zip((row["external_id"] for row in rows), cosines, strict=False))
    for posting in Posting.objects.filter(external_id__in=[row["external_id"] for row in rows]):
        cosine = angles.get(posting.external_id, 1.0)
        PostingEmbedding.objects.create(
            posting=posting,
            model=EmbeddingModel.objects.get(),
            content_hash=posting.content_hash,
            vector=[cosine, (1 - cosine**2) ** 0.5, 0.0, 0.0],
        )


def search(text: str) -> dict[str, Match]:
    """Matches by external id, the best first."""
    names = dict(Posting.objects.values_list("pk", "external_id"))
    matches = services.postings_for_profile(Profile(text=text), {})
    return {names[each.row_id]: each for each in matches.items}


GO = (
    {
        "external_id": "list",
        "title": "Backend Engineer",
        "description": "Requirements: Go, PostgreSQL, Kubernetes",
    },
    {"external_id": "brackets", "title": "Senior Backend Engineer (Go)", "description": "PostgreSQL"},
    {"external_id": "market", "title": "Go-to-Market Manager", "description": "Go to customers and sell."},
)


@pytest.mark.parametrize("text", ["Go", "go, remote", "Python, Go"])
def test_search_for_an_ambiguous_skill_puts_rows_with_the_skill_first(text: str) -> None:
    put(*GO)
    found = search(text)
    assert list(found)[-1] == "market"
    assert found["list"].matched_skills and found["brackets"].matched_skills
    assert not found["market"].matched_skills


def test_search_in_a_sentence_takes_no_ambiguous_name_for_a_skill() -> None:
    put(*GO)
    assert not any(
        each.matched_skills for each in search("somebody to go through and react quickly").values()
    )


def test_row_without_known_skills_does_not_outrank_one_that_needs_the_skill_and_others() -> None:
    skills = "Go, PostgreSQL, Kubernetes, Docker, Python, Terraform, Redis, Kafka, Linux"
    put({"external_id": "needs", "title": "Backend Developer", "description": f"You know {skills}."}, GO[2])
    assert list(search("Go developer")) == ["needs", "market"]


def test_search_puts_the_named_place_first() -> None:
    put(
        *(
            {"external_id": city, "title": "Tram driver", "city": city, "country": country}
            for city, country in (("Ghent", "BE"), ("Bergen", "NO"), ("Oslo", "NO"), ("New York", "US"))
        )
    )
    assert next(iter(search("tram driver Oslo"))) == "Oslo"
    assert next(iter(search("tram driver in New York"))) == "New York"
    assert set(list(search("tram driver Norway"))[:2]) == {"Bergen", "Oslo"}


def test_search_finds_the_named_place_among_many_other_places(settings: Any) -> None:
    settings.RECOMMENDATION_DEPTH = 30
    put(
        *({"external_id": f"g{number}", "title": "Tram driver", "city": "Ghent"} for number in range(60)),
        {"external_id": "oslo", "title": "Tram driver", "city": "Oslo"},
        cosines=[1.0] * 60 + [0.9],
    )
    assert next(iter(search("tram driver Oslo"))) == "oslo"


def test_search_for_a_company_finds_its_postings_also_after_it_was_renamed() -> None:
    put(
        {"external_id": "bees", "title": "Technician", "company": "Other Bees GmbH"},
        {"external_id": "wasps", "title": "Technician", "company": "Wasps Ltd"},
    )
    assert next(iter(search("Other Bees"))) == "bees"
    company = Company.objects.get(name="Wasps Ltd")
    company.name = "Hornets Ltd"
    company.save()
    assert update_text_index("posting", limit=10).rows == 1
    with connection.cursor() as cursor:  # plain SQL is noticed too
        cursor.execute("UPDATE postings_posting SET company_id = %s WHERE external_id = 'bees'", [company.pk])
        cursor.execute("UPDATE postings_posting SET city = 'Oslo' WHERE external_id = 'wasps'")
    assert update_text_index("posting", limit=10).rows == 2
    assert search("hornets")["bees"].parts["title"] > 0


def test_equal_title_is_first_whatever_the_model() -> None:
    put(
        {"external_id": "a", "language": "ko", "title": "백엔드 개발자", "description": "서버를 개발합니다."},
        {"external_id": "b", "language": "ko", "title": "마케팅 담당자", "description": "광고를 기획합니다."},
        {"external_id": "c", "language": "ko", "title": "지게차 기사", "description": "지게차를 운전합니다."},
        cosines=[0.3, 1.0, 1.0],
    )
    assert next(iter(search("백엔드 개발자"))) == "a"
    assert next(iter(search("  마케팅  담당자."))) == "b"


def test_search_of_the_korean_sample_finds_the_title_first_by_words() -> None:
    put(*({**row, "status": "open"} for row in postings(60, language="ko")))
    found = search("백엔드 개발자")
    titles = dict(Posting.objects.values_list("external_id", "title"))
    first = [titles[name] for name in found][: sum("백엔드" in title for title in titles.values())]
    assert first[0] == "백엔드 개발자"
    assert all("백엔드" in title for title in first[:3])


def test_score_is_the_sum_of_value_and_weight_of_the_explanation() -> None:
    put(*GO)
    for match in search("Go").values():
        assert match.score == pytest.approx(
            sum(part.value * part.weight for part in match.weighted_parts()), abs=1e-5
        )


STEEL = ("bridges", "boats", "towers", "trains")


def test_boosts_and_the_cap_of_a_company_change_the_order_without_code() -> None:
    put(
        *(
            {"external_id": f"big{n}", "title": f"Welder of {text}", "company": "Big"}
            for n, text in enumerate(STEEL)
        ),
        {"external_id": "small", "title": "Welder of masts", "company": "Small"},
        cosines=[1.0, 0.99, 0.98, 0.97, 0.5],
    )
    assert list(search("welding")) == ["big0", "big1", "big2", "big3", "small"]
    options = RankingOptions.objects.create(company_cap=2)
    assert list(search("welding")) == ["big0", "big1", "small", "big2", "big3"]
    options.sponsored, options.company_cap = 0.5, 0
    options.save()
    SponsoredPosting.objects.create(posting=Posting.objects.get(external_id="big3"))
    options.own_company = 1.0
    options.own_companies.add(Company.objects.get(name="Small"))
    options.save()
    found = search("welding")
    assert list(found)[:2] == ["small", "big3"]
    assert found["small"].parts["own_company"] == 1.0
