"""Finding and resolving skills, and the shipped dictionary."""

import pytest

from apps.skills.dictionary import SHIPPED, DictionaryError, read_dictionary
from apps.skills.finder import SkillFinder, Term

NAMES = {
    1: ["Java"],
    2: ["JavaScript", "js"],
    3: ["C"],
    4: ["C++"],
    5: ["Wound care"],
    6: ["Registered nursing", "RN"],
    7: ["Machine learning", "ML"],
    8: ["Systems engineering"],
    9: ["Management systems"],
    10: [".NET"],
    11: ["ASP.NET"],
    12: ["Continuous integration", "CI/CD"],
    13: ["SQL"],
    14: ["SQL Server"],
    15: ["Pâtisserie"],
    16: ["---", "+++"],
}
FINDER = SkillFinder(Term(name, key, key != 3) for key, names in NAMES.items() for name in names)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Java and JavaScript", [1, 2]),
        ("javascript", [2]),
        ("C++ but not C", [4]),
        ("wound-care, WOUND  CARE\nand wound\ncare", [5]),
        ("an RN wanted", [6]),
        ("5 ml per rn", []),
        ("ML", [7]),
        ("management, systems engineering", [8]),
        ("management systems engineering", [9]),
        ("ASP.NET", [11]),
        ("We use .NET.", [10]),
        ("ci/cd; CI CD", [12]),
        ("SQL Server and sql", [14, 13]),
        ("İstanbul Java", [1]),
        ("• Java — SQL\u00a0Server“C++”", [1, 14, 4]),
        ("management • systems engineering", [8]),
        ("Опыт: SQL Server、Java", [14, 1]),
        ("pa\u0302tisserie, P\u00c2TISSERIE", [15]),  # composed or not
        ("--- +++", []),
        ("", []),
    ],
)
def test_find_returns_whole_words_and_the_longest_match(text: str, found: list[int]) -> None:
    assert FINDER.find(text) == found


def test_resolve_ignores_case_and_hyphens() -> None:
    assert FINDER.resolve("wound-CARE ") == 5
    assert FINDER.resolve("c") == 3
    assert FINDER.resolve("Pa\u0302tisserie") == 15
    assert FINDER.resolve("Cobol") is None


@pytest.mark.parametrize("name", ["", " ", "---", "+++", ",", "..."])
def test_resolve_ignores_names_without_letters(name: str) -> None:
    assert FINDER.resolve(name) is None


def test_shipped_dictionary_has_no_ambiguous_names() -> None:
    entries = read_dictionary(SHIPPED)
    assert len(entries) >= 400
    assert len({entry.category for entry in entries}) >= 12
    # No two skills may have a name in common, ignoring case and punctuation.
    meanings: dict[str, str] = {}
    finder = SkillFinder(Term(entry.name, number, True) for number, entry in enumerate(entries))
    for number, entry in enumerate(entries):
        for term in (entry.name, *entry.aliases):
            assert meanings.setdefault(term.casefold(), entry.name) == entry.name
        assert finder.resolve(entry.name) == number


def test_dictionary_with_a_repeated_name_is_refused(tmp_path) -> None:
    file = tmp_path / "skills.toml"
    file.write_text('["One"]\nReact = ["react.js"]\n["Two"]\nPreact = ["REACT.JS"]\n')
    with pytest.raises(DictionaryError, match=r"'REACT\.JS' of 'Preact' already means 'React'"):
        read_dictionary(file)
