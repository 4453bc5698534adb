"""Decision records have one form, and the index lists all of them."""

import re
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[3] / "docs" / "decisions"
RECORDS = sorted(FOLDER.glob("0*.md"))


@pytest.mark.parametrize("record", RECORDS, ids=lambda path: path.stem)
def test_decision_record_has_date_status_and_rejected_alternatives(record: Path) -> None:
    text = record.read_text()
    assert re.search(r"^Date: \d{4}-\d\d-\d\d\. Status: (accepted|replaced by )", text, re.MULTILINE)
    assert "**Decision.**" in text
    assert "**Rejected" in text


@pytest.mark.parametrize("record", RECORDS, ids=lambda path: path.stem)
def test_decision_record_is_in_the_index(record: Path) -> None:
    assert f"]({record.name})" in (FOLDER / "index.md").read_text(), "add a row to docs/decisions/index.md"
