"""A folder is taken again only for the corpus that it holds."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from bench.corpus import NOTE, Corpus, held_in

HELD = Corpus(rows=50_000, real=False, embedded=1_000, candidates=200, model="mini@main", hardest=False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / NOTE).write_text(json.dumps(asdict(HELD)))
    return tmp_path


def test_a_folder_is_taken_for_the_same_corpus_and_where_none_is_named(folder: Path) -> None:
    assert held_in(folder, None, hardest=False) == HELD
    assert held_in(folder, 50_000, hardest=False) == HELD


def test_a_folder_with_another_corpus_is_refused(folder: Path) -> None:
    with pytest.raises(SystemExit, match=r"50,000 generated postings .* not 1,000,000 generated ones"):
        held_in(folder, 1_000_000, hardest=False)
    with pytest.raises(SystemExit, match="holds 50,000 generated postings"):
        held_in(folder, None, hardest=True)


def test_a_folder_with_half_a_corpus_is_refused_and_an_empty_one_is_free(tmp_path: Path) -> None:
    assert held_in(tmp_path / "new", None, hardest=False) is None
    assert held_in(tmp_path, None, hardest=False) is None
    (tmp_path / "postgres").mkdir()
    with pytest.raises(SystemExit, match="half a corpus"):
        held_in(tmp_path, None, hardest=False)
