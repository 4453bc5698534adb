"""--folder: a stored corpus is used only where it is the one wanted."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from bench.corpus import NOTE, Corpus, stored_corpus

STORED = Corpus(rows=50_000, real=False, embedded=1_000, candidates=200, model="mini@main")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the note of a corpus."""
    (tmp_path / NOTE).write_text(json.dumps(asdict(STORED)))
    return tmp_path


def test_stored_corpus_is_used_when_no_or_the_same_number_of_rows_is_wanted(folder: Path) -> None:
    assert stored_corpus(folder, None) == STORED
    assert stored_corpus(folder, 50_000) == STORED


def test_stored_corpus_is_refused_when_another_number_of_rows_is_wanted(folder: Path) -> None:
    with pytest.raises(SystemExit, match=r"50,000 generated postings .* not 1,000,000 generated postings"):
        stored_corpus(folder, 1_000_000)


def test_folder_is_refused_when_it_holds_half_a_corpus_and_free_when_empty(tmp_path: Path) -> None:
    assert stored_corpus(tmp_path / "new", None) is None
    assert stored_corpus(tmp_path, None) is None
    (tmp_path / "postgres").mkdir()
    with pytest.raises(SystemExit, match="half a corpus"):
        stored_corpus(tmp_path, None)
