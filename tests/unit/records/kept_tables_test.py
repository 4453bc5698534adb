"""Tables that are kept in the user's cache."""

from pathlib import Path
from typing import Any

import pytest

from apps.records.normalizing.kept_tables import kept


@pytest.fixture
def built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return []


def read(built: list[int]) -> Any:
    def build() -> dict[str, list[int]]:
        built.append(1)
        return {"서울": [1, 2]}

    return kept(build, code=__file__)


def test_table_is_computed_once_and_then_read(built: list[int]) -> None:
    assert [read(built), read(built)] == [{"서울": [1, 2]}] * 2
    assert len(built) == 1


def test_damaged_table_is_computed_again(built: list[int], tmp_path: Path) -> None:
    read(built)
    [file] = (tmp_path / "jobrec").iterdir()
    file.write_bytes(file.read_bytes()[:5])
    assert read(built) == {"서울": [1, 2]}
    assert read(built) == {"서울": [1, 2]}
    assert len(built) == 2


def test_table_is_computed_where_nothing_can_be_written(
    built: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert [read(built), read(built)] == [{"서울": [1, 2]}] * 2
    assert len(built) == 2
