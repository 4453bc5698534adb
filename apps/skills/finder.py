"""Finding the skills of a dictionary in running text. Pure: terms in, skill ids out."""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

from ahocorasick_rs import AhoCorasick, Implementation

# An acronym of two letters counts only in capitals: RN and ML, not the "ml" of a dose. A longer one seldom is a word.
ACRONYM_LENGTH = 2
# What belongs to a word besides letters and digits: C++, C#, Node.js, snake_case.
WORD_SIGNS = "+#._"
# What ends a phrase: "management, systems engineering" does not speak of management systems. Anything else that is
# no letter or digit separates words: "wound-care" is "wound care", "CI/CD" is "ci cd".
PHRASE_ENDS = ',;:!?()[]{}|•·…"“”„«»'


def _separators() -> dict[int, str]:
    symbols = (chr(code) for code in range(0x3100) if unicodedata.category(chr(code))[0] in "PSZC")
    return {ord(char): "|" if char in PHRASE_ENDS else " " for char in symbols if char not in WORD_SIGNS}


SEPARATORS = _separators()
ASCII_SEPARATORS = bytes(ord(SEPARATORS.get(code, chr(code))) for code in range(128)) + bytes(range(128, 256))
OTHER_SEPARATORS = {chr(code): sign for code, sign in SEPARATORS.items() if code > 127}
OTHER_SEPARATOR = re.compile(f"[{re.escape(''.join(OTHER_SEPARATORS))}]")
SPACES = re.compile(b"  +")
# After a match these go on with the word: "C" is not in "C++", nor "ASP" in "ASP.NET".
GOES_ON = frozenset("+#_.")


@dataclass(frozen=True)
class Term:
    """A string that means a skill. `findable`: it may be looked for in running text."""

    text: str
    skill_id: int
    findable: bool


class SkillFinder:
    """Finds whole words, names and aliases alike, the longest match where several overlap.

    One pass over the text whatever the size of the dictionary (Aho-Corasick). Threads may share it.
    """

    def __init__(self, terms: Iterable[Term]) -> None:
        named = [(name, term) for term in terms if (name := folded_name(term.text))]
        self._by_name = {name: term.skill_id for name, term in named}
        self._findable = [term for _, term in named if term.findable]
        self._cased = [_is_acronym(term.text) for term in self._findable]
        # Each term begins with the space before its first word: no hit can begin inside a word.
        self._automaton = AhoCorasick(
            [name for name, term in named if term.findable], implementation=Implementation.ContiguousNFA
        )

    def find(self, text: str) -> list[int]:
        """Ids of the skills in `text`, each once, in the order in which they first stand there."""
        words = _words(text)
        folded = _fold(words)
        hits = [
            (start, -end, number)
            for number, start, end in self._automaton.find_matches_as_indexes(folded, overlapping=True)
            if not (folded[end].isalnum() or folded[end] in GOES_ON)
            and not (self._cased[number] and not words[start:end].isupper())
        ]
        hits.sort()
        found: dict[int, None] = {}
        covered = 0
        for start, negative_end, number in hits:
            if start >= covered:
                found[self._findable[number].skill_id] = None
                covered = -negative_end
        return list(found)

    def resolve(self, name: str) -> int | None:
        """The skill that `name` means, whatever its case, hyphens and spacing, or None."""
        return self._by_name.get(folded_name(name))


def folded_name(term: str) -> str:
    """What stands in folded words where they name the term; empty where it has no letter and no digit."""
    name = _fold(_words(term)).removesuffix(" ")
    return name if any(map(str.isalnum, name)) else ""


def _words(text: str) -> str:
    """The words of `text`, one space before and after each, with `|` behind the last word of a phrase."""
    # A chain of C-level passes over octets, which is faster than one regular expression for all of it.
    if not text.isascii():
        text = unicodedata.normalize("NFC", text)  # "é" may be one character or two
        text = OTHER_SEPARATOR.sub(lambda found: OTHER_SEPARATORS[found[0]], text)
    spaced = f" {text} ".encode("utf-8", "surrogatepass").translate(ASCII_SEPARATORS)
    spaced = spaced.replace(b". ", b"| ").replace(b".|", b"|").replace(b"|", b"| ")
    return SPACES.sub(b" ", spaced).replace(b" |", b"|").decode("utf-8", "surrogatepass")


def _fold(text: str) -> str:
    """Lower case of the same length: a position in the folded text is a position in the text."""
    lowered = text.lower()
    if len(lowered) == len(text):
        return lowered
    return "".join(low if len(low := char.lower()) == 1 else char for char in text)


def _is_acronym(term: str) -> bool:
    return len(term) <= ACRONYM_LENGTH and term.isalpha() and term.isupper()
