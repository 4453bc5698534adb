"""Find the skills of a dictionary in running text. Pure: terms in, skill ids out."""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

from ahocorasick_rs import AhoCorasick, Implementation

# Acronyms up to this length match only in capitals: ML, not the "ml" of a dose. Longer ones are rarely words.
MAX_CASED_ACRONYM = 2
# Punctuation that is part of words: C++, C#, Node.js, snake_case.
WORD_PUNCTUATION = "+#._"
# Punctuation that ends a phrase: "management, systems engineering" does not name management systems. Any
# other character that is neither letter nor digit separates words: "wound-care" is "wound care", "CI/CD" is
# "ci cd".
PHRASE_ENDS = ',;:!?()[]{}|•·…"“”„«»'


def _separators() -> dict[int, str]:
    symbols = (chr(code) for code in range(0x3100) if unicodedata.category(chr(code))[0] in "PSZC")
    return {
        ord(char): "|" if char in PHRASE_ENDS else " " for char in symbols if char not in WORD_PUNCTUATION
    }


SEPARATORS = _separators()
ASCII_SEPARATORS = bytes(ord(SEPARATORS.get(code, chr(code))) for code in range(128)) + bytes(range(128, 256))
OTHER_SEPARATORS = {chr(code): separator for code, separator in SEPARATORS.items() if code > 127}
OTHER_SEPARATOR = re.compile(f"[{re.escape(''.join(OTHER_SEPARATORS))}]")
SPACES = re.compile(b"  +")
# A match followed by one of these is only the beginning of a word: "C++" does not name C, nor "ASP.NET" ASP.
WORD_CONTINUATION = frozenset("+#_.")


@dataclass(frozen=True)
class Term:
    """A name or alias of a skill. `findable` terms are searched for in running text.

    A `private` skill is one that only candidates name.
    """

    text: str
    skill_id: int
    findable: bool
    private: bool = False


class SkillFinder:
    """Finds names and aliases as whole words, and the longest one where several overlap.

    It reads a text once, whatever the size of the dictionary (Aho-Corasick). Thread-safe.
    """

    def __init__(self, terms: Iterable[Term]) -> None:
        named = [(name, term) for term in terms if (name := folded_name(term.text))]
        self._by_name = {name: term.skill_id for name, term in named}
        self.private = frozenset(term.skill_id for _, term in named if term.private)
        self._findable = [term for _, term in named if term.findable]
        self._cased = [_is_acronym(term.text) for term in self._findable]
        # Each term begins with the space before its first word, so that no match begins inside a word.
        self._automaton = AhoCorasick(
            [name for name, term in named if term.findable], implementation=Implementation.ContiguousNFA
        )

    def find(self, text: str) -> list[int]:
        """Return the ids of the skills in `text`, each once, in the order of their first occurrence."""
        words = _words(text)
        folded = _fold(words)
        matches = [
            (start, -end, number)
            for number, start, end in self._automaton.find_matches_as_indexes(folded, overlapping=True)
            if not (folded[end].isalnum() or folded[end] in WORD_CONTINUATION)
            and not (self._cased[number] and not words[start:end].isupper())
        ]
        matches.sort()
        found: dict[int, None] = {}
        covered = 0
        for start, negative_end, number in matches:
            if start >= covered:
                found[self._findable[number].skill_id] = None
                covered = -negative_end
        return list(found)

    def resolve(self, name: str, *, private: bool = True) -> int | None:
        """Return the skill that `name` means, ignoring case, hyphens and spacing, or None.

        Without `private`, skills that only candidates name are unknown.
        """
        skill_id = self._by_name.get(folded_name(name))
        return skill_id if private or skill_id not in self.private else None


def folded_name(term: str) -> str:
    """Return the form of a term in folded text, or an empty string for a term without a letter or digit."""
    name = _fold(_words(term)).removesuffix(" ")
    return name if any(map(str.isalnum, name)) else ""


def _words(text: str) -> str:
    """Return the words of `text`, each between spaces, with `|` after the last word of a phrase."""
    # Several passes over bytes in C are faster than one regular expression.
    if not text.isascii():
        text = unicodedata.normalize("NFC", text)  # "é" may be one character or two
        text = OTHER_SEPARATOR.sub(lambda found: OTHER_SEPARATORS[found[0]], text)
    spaced = f" {text} ".encode("utf-8", "surrogatepass").translate(ASCII_SEPARATORS)
    spaced = spaced.replace(b". ", b"| ").replace(b".|", b"|").replace(b"|", b"| ")
    return SPACES.sub(b" ", spaced).replace(b" |", b"|").decode("utf-8", "surrogatepass")


def _fold(text: str) -> str:
    """Return `text` in lower case with the same length, so that positions in both are the same."""
    lowered = text.lower()
    if len(lowered) == len(text):
        return lowered
    return "".join(low if len(low := char.lower()) == 1 else char for char in text)


def _is_acronym(term: str) -> bool:
    return len(term) <= MAX_CASED_ACRONYM and term.isalpha() and term.isupper()
