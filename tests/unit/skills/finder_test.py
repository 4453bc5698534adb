"""Finding and resolving skills, and the shipped dictionary."""

# ruff: noqa: RUF001  letters of other scripts that look like Latin ones are what is tested

import time
import unicodedata

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

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
ALSO = {17: ["Python", "python3"], 18: ["AWS"], 19: ["C#"], 20: ["Node.js"], 21: ["HTML"], 22: ["C언어"]}
FINDER = SkillFinder(Term(name, key, key != 3) for key, names in (NAMES | ALSO).items() for name in names)


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


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Requirements: Go, PostgreSQL, Kubernetes", [1, 5]),
        ("Stack: React, Redux, Spring, Rust", [2, 3, 4]),
        ("PostgreSQL and Go", [5, 1]),
        ("Senior Engineer (Go), PostgreSQL", [5, 1]),
        ("Summer Internship (Spring)", []),
        ("go through, react quickly", []),
        ("PostgreSQL, go through", [5]),
        ("Ready, set, go", []),
        ("Go-to-Market Manager for PostgreSQL", [5]),
        ("Go", []),
    ],
)
def test_ambiguous_name_is_found_when_it_stands_next_to_other_skills(text: str, found: list[int]) -> None:
    names = {1: "Go", 2: "React", 3: "Spring", 4: "Rust", 5: "PostgreSQL"}
    finder = SkillFinder(Term(name, key, key == 5, ambiguous=key != 5) for key, name in names.items())
    assert finder.find(text) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Python을 사용", [17]),
        ("Java와", [1]),
        ("熟悉Java和Python", [1, 17]),
        ("Pythonの", [17]),
        ("AWS에서", [18]),
        ("（Python）", [17]),
        ("🐍Python", [17]),
        ("Ｐｙｔｈｏｎ", [17]),
        ("_Java_", [1]),
        ("#Java", [1]),
        ("Java17", [1]),
        ("Python3.11", [17]),
        ("Java，Python", [1, 17]),
        ("JavaScript", [2]),
        ("Ｃ＃・Ｃ＋＋。①Java②Python", [19, 4, 1, 17]),
        ("⚙️Python, 👩🏽\u200d💻Java, 1\ufe0f\u20e3AWS", [17, 1, 18]),
        ("Java\u00adScript", [2]),
        ("Java™, Python® und AWS¹", [1, 17, 18]),
        ("𝐏𝐲𝐭𝐡𝐨𝐧", [17]),
        ("на Java-разработчик и Python'е", [1, 17]),
        ("Ја\u0301Java", [1]),
        ("__Java__ **Python** `AWS` ### HTML", [1, 17, 18, 21]),
        ("HTML+Java", [21, 1]),
        ("Java…Python...AWS", [1, 17, 18]),
        ("Node.js18 C++17 C#12 Java8+ Python3.x.", [20, 4, 19, 1, 17]),
        ("Java2D my_java_var java.util Java17u Java123456 ML2 JavaÉ éJava", []),
        ("C언어를 C언어", [22]),
    ],
)
def test_find_takes_scripts_and_versions_as_borders_and_folds_compatibility_forms(
    text: str, found: list[int]
) -> None:
    assert FINDER.find(text) == found


EAST_ASIAN = SkillFinder(
    Term(name, number, findable=True)
    for number, name in enumerate(
        [
            "파이썬",
            "자바",
            "자바스크립트",
            "파이썬 개발",
            "机器学习",
            "会计",
            "看護師",
            "機械学習",
            "データ分析",
            "パイソン",
        ]
    )
)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("파이썬을 사용", ["파이썬"]),
        ("자바와 파이썬으로", ["자바", "파이썬"]),
        ("파이썬의, 자바에서는", ["파이썬", "자바"]),
        ("파이썬 개발을", ["파이썬 개발"]),
        ("자바스크립트를", ["자바스크립트"]),
        ("자바칩 파이썬개발자", []),
        ("熟悉机器学习和Python", ["机器学习"]),
        ("会计和审计", ["会计"]),
        ("会计师 总会计", []),
        ("看護師募集。機械学習の経験", ["看護師", "機械学習"]),
        ("新しいデータ分析が、パイソンを", ["データ分析", "パイソン"]),
        ("パイソニスタ ビッグデータ分析", []),
    ],
)
def test_find_takes_a_name_before_a_particle_but_not_inside_another_word(text: str, found: list[str]) -> None:
    assert EAST_ASIAN.find(text) == [EAST_ASIAN.resolve(name) for name in found]


@pytest.mark.parametrize(
    "address",
    [
        "http://example.org/java",
        "HTTPS://example.org/jobs/java?q=python#java",
        "www.java.example",
        "https://example.org/Java_(python)/java",
        "example.com/java",
        "java@python.example",
        "mailto:java@example.org",
        "ftp://example.org/java",
        "https://mü.example/java",
    ],
)
def test_find_reads_no_skill_in_an_address(address: str) -> None:
    assert FINDER.find(address) == []
    assert FINDER.find(f"AWS ({address}) and Python") == [18, 17]
    assert FINDER.find(f"AWS는 {address} Python을") == [18, 17]


PLAIN_NAMES = st.sampled_from(
    ["Java", "JavaScript", "C++", "SQL Server", "Wound care", "Pâtisserie", "ML", "C#", "AWS"]
)
LATIN_LETTERS = st.text(
    st.sampled_from("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZäöüßéñøłđşžåÆœ"),
    min_size=1,
    max_size=8,
)
OTHER_LETTERS = st.text(
    st.characters(categories=["Lu", "Ll", "Lo"], min_codepoint=0x370).filter(
        lambda char: (
            "LATIN" not in unicodedata.name(char, "LATIN") and unicodedata.normalize("NFKC", char) == char
        )
    ),
    min_size=1,
    max_size=8,
)


@given(PLAIN_NAMES, LATIN_LETTERS, LATIN_LETTERS)
def test_find_never_finds_a_name_between_letters_of_a_latin_word(name: str, before: str, after: str) -> None:
    key = FINDER.resolve(name)
    assume(FINDER.resolve(f"{before}{name}{after}") is None)
    assert key not in FINDER.find(f"{before}{name}{after}")


@given(PLAIN_NAMES, OTHER_LETTERS, OTHER_LETTERS)
def test_find_always_finds_a_name_between_letters_of_other_scripts(
    name: str, before: str, after: str
) -> None:
    assert FINDER.resolve(name) in FINDER.find(f"{before}{name}{after}")


@given(st.text(max_size=200))
def test_find_reads_any_text(text: str) -> None:
    FINDER.find(text)


@pytest.mark.parametrize(
    "piece", ["_", "#", "+", ".", "a", "1", "a.", "www.(", "a@", "http://", "한", "。", "Java", "\u0301"]
)
def test_find_takes_linear_time(piece: str) -> None:
    def seconds(length: int) -> float:
        text = piece * (length // len(piece))
        started = time.process_time()
        FINDER.find(text)
        return time.process_time() - started

    # The fastest of several: a busy machine adds time to any of them, and takes none away.
    short, long = (min(seconds(length) for _ in range(3)) for length in (40_000, 400_000))
    assert long < 20 * short + 0.1


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


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("백엔드 개발자: 파이썬과 자바로 서버를 개발합니다.", {"Back-end development", "Python", "Java"}),
        ("도커와 쿠버네티스를 운영해 본 분, 리액트 경험 우대", {"Docker", "Kubernetes", "React"}),
        ("머신러닝, 데이터 분석에 관심이 있는 분", {"Machine learning", "Data analysis"}),
        ("회계 및 세무 신고, 엑셀 활용", {"Accounting", "Tax preparation", "Excel"}),
        (
            "간호사로서 환자 간호와 투약을 맡습니다.",
            {"Registered nursing", "Patient care", "Medication administration"},
        ),
        ("지게차 운전과 재고관리", {"Forklift operation", "Inventory management"}),
        ("많은 지원 바랍니다. 자바칩 프라푸치노, 영어마을", set()),
    ],
)
def test_shipped_dictionary_finds_skills_written_in_korean(text: str, found: set[str]) -> None:
    entries = read_dictionary(SHIPPED)
    terms = [Term(entry.name, number, entry.in_text) for number, entry in enumerate(entries)]
    terms += [Term(alias, number, True) for number, entry in enumerate(entries) for alias in entry.aliases]
    assert {entries[number].name for number in SkillFinder(terms).find(text)} == found


def test_dictionary_with_a_repeated_name_is_refused(tmp_path) -> None:
    file = tmp_path / "skills.toml"
    file.write_text('["One"]\nReact = ["react.js"]\n["Two"]\nPreact = ["REACT.JS"]\n')
    with pytest.raises(DictionaryError, match=r"'REACT\.JS' of 'Preact' already means 'React'"):
        read_dictionary(file)
