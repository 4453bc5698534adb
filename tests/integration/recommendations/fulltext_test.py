"""The full-text index, and finding and scoring rows with it."""

import unicodedata
from importlib import import_module
from math import log, sqrt
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from apps.embeddings.models import Invalidation
from apps.embeddings.registry import default_model
from apps.embeddings.runs import request_run
from apps.postings.inputs import PostingInput
from apps.postings.models import Posting
from apps.postings.services import upsert_postings
from apps.recommendations import fulltext
from apps.recommendations.models import PostingText
from apps.recommendations.subqueries import Subquery
from apps.recommendations.text_index import IndexingResult, update_text_index

pytestmark = pytest.mark.django_db


def put(*rows: dict[str, Any]) -> None:
    """Store postings and index them."""
    upsert_postings([PostingInput.model_validate(row) for row in rows])
    update_text_index("posting", limit=1_000)


def analyze() -> None:
    """Give PostgreSQL the frequencies of terms."""
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE recommendations_postingtext")


def search(text: str, **filters: Any) -> dict[str, float]:
    """The better text score of each row by external id, the best first."""
    query = fulltext.text_query(fulltext.terms_of_text(text, kind="posting"), kind="posting")
    with transaction.atomic():
        hits = fulltext.find_rows(query, matching=Subquery.of(Posting.objects.filter(**filters)), k=10)
    scores = {row: max(each) for row, each in fulltext.text_scores(query, hits.idf, hits.rows).items()}
    names = dict(Posting.objects.values_list("pk", "external_id"))
    return {names[row]: round(score, 4) for row, score in sorted(scores.items(), key=lambda each: -each[1])}


def test_record_is_pending_until_its_index_entry_has_its_hash_and_language() -> None:
    put({"external_id": "a", "title": "Welder"}, {"external_id": "b", "title": "Baker"})
    assert update_text_index("posting", limit=10) == IndexingResult(0, complete=True)
    Posting.objects.filter(external_id="a").update(status="closed")
    assert update_text_index("posting", limit=10) == IndexingResult(0, complete=True)
    Posting.objects.filter(external_id="a").update(title="Turner")
    assert search("welder") == {"a": 1.0}
    assert update_text_index("posting", limit=10) == IndexingResult(1, complete=True)
    assert search("welder") == {}
    assert search("turner") == {"a": 1.0}
    Posting.objects.filter(external_id="b").update(language="de")
    assert update_text_index("posting", limit=1) == IndexingResult(1, complete=False)
    with connection.cursor() as cursor:  # plain SQL, without Django's cascade
        cursor.execute("DELETE FROM postings_posting WHERE external_id = 'a'")
    assert PostingText.objects.count() == 2


def test_update_is_throttled_when_few_rows_are_pending(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("apps.recommendations.text_index.THROTTLED_BATCH_SIZE", 2)
    put(*({"external_id": str(number), "title": "Welder"} for number in range(100)))
    analyze()
    for edited, transactions in ((5, 3), (6, 1)):
        Posting.objects.filter(pk__in=Posting.objects.order_by("pk")[:edited]).update(
            title=f"Turner {edited}"
        )
        with CaptureQueriesContext(connection) as statements:
            assert update_text_index("posting", limit=1_000) == IndexingResult(edited, complete=True)
        written = sum(
            "INSERT INTO recommendations_postingtext" in each["sql"].replace('"', "") for each in statements
        )
        assert written == transactions
        assert len(search("turner")) == edited


def test_update_leaves_the_invalidation_to_a_run_in_progress(django_capture_on_commit_callbacks: Any) -> None:
    with django_capture_on_commit_callbacks() as alone:
        put({"external_id": "a", "title": "Welder"})
    run, _ = request_run("posting", default_model(), reason="test")
    with django_capture_on_commit_callbacks() as during_a_run:
        put({"external_id": "b", "title": "Baker"})
    assert len(during_a_run) == len(alone) - 1  # the edit itself still invalidates at once
    assert Invalidation.objects.get().run == run


def test_search_stems_each_row_in_its_own_language() -> None:
    put(
        {"external_id": "de", "title": "Krankenschwestern gesucht", "language": "de"},
        {"external_id": "en", "title": "Nurses wanted", "language": "en-GB"},
        {"external_id": "uk", "title": "Медсестра", "language": "uk"},  # PostgreSQL has no stemmer for it
    )
    assert list(search("Krankenschwester")) == ["de"]
    assert list(search("nursing")) == ["en"]
    assert list(search("медсестра")) == ["uk"]
    assert search("медсестри") == {}


def test_score_is_1_in_every_language_when_all_terms_match() -> None:
    put(
        {"external_id": "en", "title": "Senior data engineer", "language": "en"},
        {"external_id": "uk", "title": "Senior data engineer", "language": "uk"},
        {"external_id": "de", "title": "Krankenschwester", "language": "de"},
    )
    assert fulltext.terms_of_text("senior data engineer with SQL", kind="posting").count == 4
    scores = search("senior data engineer")
    assert scores == {"en": 1.0, "uk": 1.0}


def test_score_is_the_cosine_of_two_sets_of_terms_weighted_by_idf() -> None:
    put(
        {"external_id": "body", "title": "Clerk", "description": "welding boats all day"},
        {"external_id": "title", "title": "Welding", "description": "steel bridges everywhere"},
        {"external_id": "none", "title": "Baker", "description": "bread"},
    )
    rows = fulltext.text_query(fulltext.NO_TERMS, kind="posting").rows
    weld, boat = log(1 + rows / 2), log(1 + rows / 1)
    assert search("welding boats") == {
        "body": round(sqrt(2 / 4), 4),  # two common terms of four: clerk, weld, boat, day
        "title": round(min(1, weld / (weld + boat) * sqrt(2 / 1)), 4),
    }
    assert search("welding boats", title="Welding") == {
        "title": round(min(1, weld / (weld + boat) * sqrt(2 / 1)), 4)
    }


@pytest.mark.parametrize(
    ("max_matching", "max_occurrences"),
    [(40, 10), (3, 1_000), (10, 10)],
    ids=["few rows match", "few occurrences", "many of both"],
)
def test_search_finds_matching_rows_when_the_term_is_in_many_other_rows(
    max_matching: int, max_occurrences: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fulltext, "MAX_OCCURRENCES", 10)
    monkeypatch.setattr(fulltext, "MAX_MATCHING", max_matching)
    monkeypatch.setattr(fulltext, "MAX_OCCURRENCES_AGAIN", max_occurrences)
    welders = [{"external_id": f"b{number}", "title": "Welder", "city": "Bergen"} for number in range(5)]
    put(*({"external_id": f"o{number}", "title": "Welder", "city": "Oslo"} for number in range(20)))
    put(
        *welders,
        *({"external_id": f"x{number}", "title": "Baker", "city": "Bergen"} for number in range(15)),
    )
    analyze()
    assert search("welder", city="Bergen") == {row["external_id"]: 1.0 for row in welders}
    assert search("welder", city="Nowhere") == {}


def test_idf_uses_the_statistics_when_occurrences_are_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fulltext, "MAX_OCCURRENCES", 10)
    monkeypatch.setattr(fulltext, "MIN_ROWS", 1)
    put(
        *({"external_id": f"w{number}", "title": "Welder on boats, Oslo"} for number in range(40)),
        *({"external_id": f"b{number}", "title": "Baker"} for number in range(42)),
    )
    analyze()
    [score] = set(search("welder baker").values())
    # About half of the query's idf; two terms in the query, three in the row.
    assert score == pytest.approx(0.5 * sqrt(2 / 3), abs=0.02)


def test_search_accepts_any_punctuation() -> None:
    put({"external_id": "a", "title": "O'Brien's node.js & C:\\temp shop"})
    for text in ("o'brien", "node.js", "c:\\temp", "' | & ! \\", "", "%s :* <->", "'''"):
        search(text)
    assert list(search("node.js")) == ["a"]
    assert list(search("O'Brien's")) == ["a"]


def test_text_of_any_length_is_indexed_and_searched() -> None:
    text = " ".join(f"word{number}" for number in range(120_000))
    put({"external_id": "long", "title": "Long", "description": text[:1_000_000]})
    assert list(search(text)) == ["long"]


def words(text: str) -> str:
    """The text as it is given to PostgreSQL's parser."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT jobrec_words(%s)", [text])
        return str(cursor.fetchone()[0])


UNSPACED = (
    {
        "external_id": "backend",
        "language": "ko",
        "title": "백엔드 개발자",
        "description": "서버를 개발합니다.",
    },
    {
        "external_id": "forklift",
        "language": "ko",
        "title": "지게차 기사",
        "description": "지게차를 운전합니다.",
    },
    {
        "external_id": "nurse",
        "language": "ja",
        "title": "看護師募集",
        "description": "夜勤のできる方を歓迎します。",
    },
    {
        "external_id": "welder",
        "language": "ja",
        "title": "溶接工",
        "description": "ステンレスを溶接する仕事です。",
    },
    {
        "external_id": "engineer",
        "language": "zh",
        "title": "高级软件工程师",
        "description": "负责服务器开发。",
    },
    {"external_id": "cook", "language": "zh", "title": "厨师", "description": "准备早餐和午餐。"},
    {
        "external_id": "mixed",
        "language": "en",
        "title": "Python 개발자",
        "description": "Servers를 운영해요.",
    },
)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("백엔드 개발자", ["backend", "mixed"]),
        ("서버", ["backend"]),
        ("지게차로", ["forklift"]),
        ("看護師", ["nurse"]),
        ("ステンレス", ["welder"]),
        ("软件工程师", ["engineer"]),
        ("早餐", ["cook"]),
        ("server", ["mixed"]),
        ("python을", ["mixed"]),
        ("ＰＹＴＨＯＮ개발자", ["mixed", "backend"]),
    ],
)
def test_words_are_found_inside_texts_of_languages_without_spaces(text: str, found: list[str]) -> None:
    put(*UNSPACED)
    assert list(search(text)) == found


@pytest.mark.parametrize(
    ("text", "found"), [("서버 개발", "backend"), ("工程师", "engineer"), ("Server 운영", "mixed")]
)
def test_filter_by_all_terms_finds_words_inside_texts_of_languages_without_spaces(
    text: str, found: str
) -> None:
    put(*UNSPACED)
    rows = Posting.objects.filter(pk__in=fulltext.rows_with_all_terms("posting", text))
    assert [row.external_id for row in rows] == [found]


def test_only_letters_of_languages_without_spaces_become_pairs() -> None:
    assert " ".join(words("看護師募集, C언어: 車 3年").split()) == ", C : 3 看護 護師 師募 募集 언어 車 年"
    assert words(unicodedata.normalize("NFD", "서버를")) == words("서버를")
    assert words("ﾊﾟｰﾄ") == words("パート")
    for text in ("", "Senior Go developer", "Chef·fe de cuisine, crêpes ①", "Медсестра", "ممرضة"):
        assert words(text) == text
    put({"external_id": "en", "title": "Bakers", "description": "We bake 3 kinds of cakes."})
    assert fulltext.terms_of_row("posting", Posting.objects.get().pk).by_configuration == {
        "english": frozenset(["baker", "bake", "3", "kind", "cake"])
    }


def test_migration_makes_entries_pending_only_of_rows_with_letters_of_such_languages() -> None:
    put(*UNSPACED, {"external_id": "en", "title": "Baker", "description": "crêpes"})
    put({"external_id": "company", "title": "Baker", "company": "한빛", "description": "bread"})
    with connection.cursor() as cursor:
        cursor.execute(import_module("apps.recommendations.migrations.0004_unspaced_scripts").PENDING)
    assert update_text_index("posting", limit=100).rows == len(UNSPACED) + 1
