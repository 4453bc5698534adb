"""The sample corpus in Korean."""

import re
from datetime import UTC, datetime

import pytest

from apps.sample.corpus import CANDIDATE_FIELDS, POSTING_FIELDS, candidates, postings
from apps.sample.korean import korean_words
from apps.skills.dictionary import SHIPPED, read_dictionary

NOW = datetime(2026, 11, 23, tzinfo=UTC)


@pytest.mark.parametrize(("make", "fields"), [(postings, POSTING_FIELDS), (candidates, CANDIDATE_FIELDS)])
def test_korean_rows_are_well_formed_and_repeatable(make, fields):
    rows = list(make(1_000, now=NOW, language="ko"))
    assert list(make(20, now=NOW, language="ko")) == rows[:20]
    assert len({str(row.get("description", row.get("resume"))) for row in rows}) >= 0.95 * len(rows)
    for row in rows:
        assert set(row) <= set(fields)
        assert (row["language"], row["country"]) == ("ko", "KR")
        texts = [
            row[name] for name in ("title", "description", "headline", "resume", "looking_for") if name in row
        ]
        assert all(re.search("[가-힣]", text) and not re.search(r"[{}]|  ", text) for text in texts)
        if "salary_min" in row:
            assert row["salary_currency"] == "KRW"
            assert 20_000_000 <= row["salary_min"] < row.get("salary_max", 10**9) <= 10**9


def test_every_korean_skill_is_in_the_dictionary():
    known = {name.casefold() for entry in read_dictionary(SHIPPED) for name in (entry.name, *entry.aliases)}
    families = korean_words()["family"]
    assert len(families) >= 8
    used = {skill.casefold() for family in families for skill in (*family["core"], *family["optional"])}
    assert used <= known, sorted(used - known)
