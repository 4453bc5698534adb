"""The rows of the sample corpus, and the files they are written to."""

import csv
import gzip
import json
import os
import re
import subprocess
import sys
import tomllib
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path

import pytest

from apps.sample.corpus import CANDIDATE_FIELDS, POSTING_FIELDS, candidates, postings
from apps.sample.job import ENGLISH_LEVELS
from apps.sample.vocabulary import enumeration, title_case, vocabulary, with_article
from apps.sample.writers import format_of, write_file
from apps.skills.finder import SkillFinder, Term

NOW = datetime(2026, 11, 23, tzinfo=UTC)
REPOSITORY = Path(__file__).parents[3]
OPTIONAL_OF_POSTING = {
    "english_level",
    "skills",
    "salary_min",
    "salary_max",
    "salary_currency",
    "salary_period",
}
OPTIONAL_OF_CANDIDATE = OPTIONAL_OF_POSTING - {"english_level", "salary_max"}
WORD = re.compile(r"\w[\w.'-]*")


@pytest.fixture(scope="module")
def some_postings():
    """Enough postings for shares to hold."""
    return list(postings(2000, now=NOW))


@pytest.fixture(scope="module")
def some_candidates():
    """Enough candidates for shares to hold."""
    return list(candidates(2000, now=NOW))


@pytest.fixture(scope="module")
def dictionary():
    """Canonical names and the terms for finding them, from the file that ships with jobrec."""
    content = tomllib.loads((REPOSITORY / "apps/skills/dictionary.toml").read_text(encoding="utf-8"))
    names = [name for skills in content.values() for name in skills]
    terms = []
    for skills in content.values():
        for name, value in skills.items():
            table = value if isinstance(value, dict) else {"aliases": value}
            number = names.index(name)
            terms.append(Term(name, number, table.get("in_text", True)))
            terms += [Term(alias, number, True) for alias in table.get("aliases", [])]
    return names, SkillFinder(terms)


def text_of(row):
    """All texts of a row."""
    return "\n".join(
        row[field] for field in ("description", "headline", "looking_for", "resume") if field in row
    )


# --- the same rows everywhere ---


@pytest.mark.parametrize("make", [postings, candidates])
def test_corpus_is_the_same_in_every_process(make):
    program = (
        "import json; from datetime import UTC, datetime; from apps.sample import corpus\n"
        f"print(json.dumps(list(corpus.{make.__name__}(40, seed=7, now=datetime(2026, 11, 23, tzinfo=UTC)))))"
    )
    here = list(make(40, seed=7, now=NOW))
    for hash_seed in ("0", "1", "4242"):
        output = subprocess.run(
            [sys.executable, "-c", program],
            cwd=REPOSITORY,
            env=os.environ | {"PYTHONHASHSEED": hash_seed},
            capture_output=True,
            check=True,
        ).stdout
        assert json.loads(output) == here


@pytest.mark.parametrize("make", [postings, candidates])
def test_larger_corpus_begins_with_the_smaller_one(make):
    assert list(islice(make(10**9, seed=3, now=NOW), 50)) == list(make(50, seed=3, now=NOW))


@pytest.mark.parametrize("make", [postings, candidates])
def test_corpus_differs_with_another_seed(make):
    assert next(make(1, seed=1, now=NOW)) != next(make(1, seed=2, now=NOW))


def test_now_without_a_time_zone_is_refused():
    with pytest.raises(ValueError, match="time zone"):
        next(postings(1, now=datetime(2026, 11, 23)))  # noqa: DTZ001


# --- fields ---


def test_postings_are_well_formed(some_postings):
    for number, row in enumerate(some_postings, start=1):
        assert set(row) <= set(POSTING_FIELDS)
        assert set(POSTING_FIELDS) - set(row) <= OPTIONAL_OF_POSTING
        assert row["external_id"] == f"sample-p-{number:07d}"
        assert 90 <= len(WORD.findall(row["description"])) <= 215
        assert re.fullmatch(r"[A-Z]{2}", row["country"])
        assert isinstance(row["remote"], bool)
        assert row["employment_type"] in {"full_time", "part_time", "contract", "temporary", "internship"}
        assert row.get("english_level", "none") in ENGLISH_LEVELS
        assert row["status"] in {"open", "closed"}
        assert_list_of_skills(row, 4, 9)
        published, closes = (datetime.fromisoformat(row[field]) for field in ("published_at", "closes_at"))
        assert NOW - timedelta(days=90) <= published <= NOW
        assert timedelta(days=7) <= closes - published <= timedelta(days=120)
        if "salary_min" in row:
            assert 0 < row["salary_min"] < row["salary_max"]
            assert re.fullmatch(r"[A-Z]{3}", row["salary_currency"])
            assert row["salary_period"] in {"year", "month", "hour"}


def test_candidates_are_well_formed(some_candidates):
    for number, row in enumerate(some_candidates, start=1):
        assert set(row) <= set(CANDIDATE_FIELDS)
        assert set(CANDIDATE_FIELDS) - set(row) <= OPTIONAL_OF_CANDIDATE
        assert row["external_id"] == f"sample-c-{number:07d}"
        assert 50 <= len(WORD.findall(row["resume"])) <= 200
        assert row["looking_for"]
        assert row["english_level"] in ENGLISH_LEVELS
        assert_list_of_skills(row, 4, 12)


def assert_list_of_skills(row, minimum, maximum):
    """Checks that the skills differ and how many there are."""
    if "skills" in row:
        assert minimum <= len(set(row["skills"])) == len(row["skills"]) <= maximum


def test_values_are_missing_in_their_share_of_rows(some_postings, some_candidates):
    def share(rows, missing):
        return sum(missing not in row for row in rows) / len(rows)

    assert share(some_postings, "salary_min") == pytest.approx(0.25, abs=0.04)
    assert share(some_postings, "skills") == pytest.approx(0.15, abs=0.03)
    assert share(some_postings, "english_level") == pytest.approx(0.10, abs=0.03)
    assert share(some_candidates, "skills") == pytest.approx(0.20, abs=0.04)
    past = sum(row["closes_at"] < NOW.isoformat() for row in some_postings) / len(some_postings)
    assert past == pytest.approx(0.08, abs=0.03)


def test_internships_require_no_experience(some_postings):
    interns = [row for row in some_postings if row["employment_type"] == "internship"]
    assert interns
    assert all(row["experience_years"] == 0 and "Intern" in row["title"] for row in interns)


def test_pay_grows_with_experience():
    """In one family, country and period, leaders are offered more than beginners."""
    offers = {}
    for row in postings(20_000, now=NOW):
        if (
            row["job_family"] == "Data engineering"
            and row.get("salary_period") == "year"
            and row["country"] == "US"
        ):
            offers.setdefault(row["experience_years"], []).append(row["salary_min"])
    assert max(offers[0]) < min(offers[5])


# --- texts ---


def test_texts_are_distinct(some_postings, some_candidates):
    assert len({row["description"] for row in some_postings}) >= 0.995 * len(some_postings)
    assert len({row["resume"] for row in some_candidates}) >= 0.995 * len(some_candidates)


def test_texts_have_no_gaps_and_no_doubled_words(some_postings, some_candidates):
    for row in some_postings + some_candidates:
        text = text_of(row)
        assert not re.search(r"[{}]|  |\b(\w+) \1\b| ,|\.\.", text), text


def test_every_skill_is_in_the_dictionary(dictionary):
    names, _ = dictionary
    used = {skill for family in vocabulary().families for skill in (*family["core"], *family["optional"])}
    assert used <= set(names), sorted(used - set(names))


def test_text_names_skills_when_no_list_states_them(some_postings, some_candidates, dictionary):
    _, finder = dictionary
    silent = [row for row in some_postings + some_candidates if "skills" not in row]
    assert silent
    found = [len(finder.find(text_of(row))) for row in silent]
    assert sum(found) / len(found) >= 3


def test_words_follow_the_rules_of_english():
    nouns = ("HR specialist", "UX designer", "iOS developer", "nurse")
    assert [with_article(noun) for noun in nouns] == [
        "an HR specialist",
        "a UX designer",
        "an iOS developer",
        "a nurse",
    ]
    assert title_case("head of HR and payroll") == "Head of HR and Payroll"
    assert [enumeration(items) for items in (["SQL"], ["SQL", "Python", "Git"])] == [
        "SQL",
        "SQL, Python and Git",
    ]


# --- files ---


@pytest.fixture
def rows():
    """A few postings."""
    return list(postings(60, now=NOW))


def test_json_lines_file_holds_the_rows(rows, tmp_path):
    path = tmp_path / "postings.jsonl"
    write_file(rows, path, "jsonl", POSTING_FIELDS)
    assert [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] == rows


def test_compressed_file_holds_the_rows_and_the_same_bytes_when_written_again(rows, tmp_path):
    path = tmp_path / "postings.jsonl.gz"
    write_file(rows, path, "jsonl.gz", POSTING_FIELDS)
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        assert [json.loads(line) for line in lines] == rows
    other = tmp_path / "again.jsonl.gz"
    write_file(rows, other, "jsonl.gz", POSTING_FIELDS)
    assert other.read_bytes() == path.read_bytes()


def test_csv_file_holds_the_rows(rows, tmp_path):
    path = tmp_path / "postings.csv"
    write_file(rows, path, "csv", POSTING_FIELDS)
    with path.open(encoding="utf-8", newline="") as lines:
        table = list(csv.DictReader(lines))
    assert [cells["description"] for cells in table] == [row["description"] for row in rows]
    assert [cells["skills"] for cells in table] == ["; ".join(row.get("skills", [])) for row in rows]
    assert [cells["remote"] for cells in table] == [str(row["remote"]).lower() for row in rows]
    assert [cells["salary_min"] for cells in table] == [str(row.get("salary_min", "")) for row in rows]


def test_interrupted_file_leaves_nothing_behind(rows, tmp_path):
    def interrupted():
        yield from rows[:5]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_file(interrupted(), tmp_path / "postings.jsonl", "jsonl", POSTING_FIELDS)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.jsonl", "jsonl"),
        ("a.jsonl.gz", "jsonl.gz"),
        ("a.csv", "csv"),
        ("a.xlsx", None),
    ],
)
def test_format_is_what_the_name_ends_in(name, expected):
    assert format_of(name) == expected
