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
PHRASE_ENDS = ',;:!?()[]{}|•·…"“”„«»、。・「」『』【】《》〈〉'
# Invisible characters inside a word: soft hyphen, joiners, byte order mark.
JOINERS = "\u00ad\u200c\u200d\u2060\ufeff"
# Letters outside these ranges belong to other scripts, whose words end where a Latin name begins. An accent
# belongs to the letter before it.
ACCENTS = "\u0300-\u036f"
LATIN = "\x00-\u02ff\u1ab0-\u1aff\u1d00-\u1eff\u2c60-\u2c7f\ua720-\ua7ff\uab30-\uab6f"


def _ascii_separators() -> bytes:
    table = bytearray(range(256))
    for code in range(128):
        char = chr(code)
        if unicodedata.category(char)[0] in "PSZC" and char not in WORD_PUNCTUATION:
            table[code] = ord("|" if char in PHRASE_ENDS else " ")
    return bytes(table)


def _other_separators() -> dict[str, str]:
    separators = dict.fromkeys(JOINERS, "")
    for char in map(chr, range(0x80, 0x10000)):
        category = unicodedata.category(char)
        # Numbers in circles, exponents ("①Java", "Java¹") and the frame of a keycap stand next to a word.
        if (category[0] not in "PSZC" and category not in ("No", "Me")) or char in separators:
            continue
        plain = unicodedata.normalize("NFKC", char)
        if plain not in tuple(WORD_PUNCTUATION):  # "Ｃ＋＋" is C++
            separators[char] = "|" if char in PHRASE_ENDS or plain in tuple(PHRASE_ENDS) else " "
    return separators


ASCII_SEPARATORS = _ascii_separators()
OTHER_SEPARATORS = _other_separators()
PICTURES = "\U0001f000-\U0001ffff\U000e0000-\U000e0fff"  # emoji and their modifiers
OTHER_SEPARATOR = re.compile(f"[{re.escape(''.join(OTHER_SEPARATORS))}{PICTURES}]")
OTHER_SCRIPT = re.compile(f"[^{LATIN}{ACCENTS}][^{LATIN}]*")
# Names in Japanese and Chinese, which have no spaces: a word begins and ends at least where the script
# changes ("機械学習を"). A long name in Chinese characters alone is found anywhere among others, while a
# shorter one may be a part of another word.
UNSPACED_NAME = re.compile(" [\u3005\u3041-\u30ff\u3400-\u4dbf\u4e00-\u9fff]{2,}")
LONG_HAN_NAME = re.compile("[\u3400-\u4dbf\u4e00-\u9fff]{3,}")
# Korean particles follow a noun without a space ("파이썬을"); what else follows makes another word of it.
KOREAN_PARTICLE = re.compile(
    "(?:[을를이가은는의에와과도만로나란랑든며고다인]|으로|이나|이란|이랑|이든|이며|이고|이다|이라|하고|라는|이라는|라고|이라고"
    "|에서|에게|에는|에도|에의|에서의|에서는|에서도|로의|으로의|로는|으로는|로도|으로도|로서|으로서|로써|으로써|로부터"
    "|으로부터|부터|까지|마다|보다|처럼|같은|등|등을|등의|등이|뿐|입니다|조차|밖에|대로|만을|만의|과의|와의|과는|와는)"
    r"(?=[ |])"
)
CHINESE_PARTICLES = "和与與及或的等"
SPACES = re.compile(b"  +")
UNSPACED_END = re.compile(rb"\|(?! )")
ELLIPSIS = re.compile(rb"\.\.+")
MARKS = re.compile(rb"[#_+]+")
MARK_INSIDE = re.compile(rb"\+[A-Za-z]")
# What may follow a name without a space: "Java17", "Python3.11", "Python3.x", "Java8+".
VERSION = re.compile(r"[0-9]{1,4}(?:\.(?:[0-9]{1,4}|x))*\+?(?![^\W_]|[+#_.])")
# What may stand between two items of a list, "React, Redux and Spring": also one word that is no known skill.
BETWEEN_ITEMS = re.compile(r"\|(?: [^ |]+\|)?(?: and| or)?| and| or")
MIN_LISTED = 3  # names in a list of ambiguous names alone, for them to be skills
BRACKETED = re.compile(
    r"\(\s*([^()\s]{2,30})\s*\)"
)  # "Backend Engineer (Go)"; "(C)" and "(R)" are other signs
# Web and mail addresses, whose parts name no skill. A match begins only at the start of a run of the
# characters that it repeats, so that the search takes linear time.
ADDRESS = re.compile(
    r"""(?<![a-z0-9._%+-])(?:
        (?:[a-z0-9._%+-]+://|www\.|[a-z0-9._%+-]+\.(?:com|edu|gov|org)/)
        (?:[^\s()<>"|\u0250-\U0010ffff]|\([^\s()<>"|]*\))*
      | [a-z0-9._%+-]+@[a-z0-9-]+(?:\.[a-z0-9-]+)+)""",
    re.IGNORECASE | re.ASCII | re.VERBOSE,
)


@dataclass(frozen=True)
class Term:
    """A name or alias of a skill. `findable` terms are searched for in running text.

    A `private` skill is one that only candidates name. An `ambiguous` name (Go, Spring) is found only next to
    other skills.
    """

    text: str
    skill_id: int
    findable: bool
    private: bool = False
    ambiguous: bool = False


@dataclass(frozen=True)
class _Built:
    """What takes long to build: the folded form of each term, and the automaton of the patterns."""

    folded: dict[str, str]
    patterns: list[str]
    automaton: AhoCorasick | None


_Match = tuple[int, int, int]  # the space before a term, the character after it, the number of the term


class SkillFinder:
    """Finds names and aliases as whole words, and the longest one where several overlap.

    A word also ends where another script begins ("Python을"), before a particle of Korean or Chinese
    ("파이썬을") and before a version ("Java17"). Addresses name no skill. An ambiguous name counts as an item
    of a list with other skills ("Go, PostgreSQL"), and in brackets in a text that names another skill
    ("Backend Engineer (Go)").

    It reads a text once, whatever the size of the dictionary (Aho-Corasick). Thread-safe.
    """

    def __init__(self, terms: Iterable[Term], *, known: "_Built | None" = None) -> None:
        """Build a finder of `terms`. `known` is what an earlier finder has built."""
        known = known or _Built({}, [], None)
        self._folded: dict[str, str] = {}
        named: list[tuple[str, Term]] = []
        for term in terms:
            name = self._folded[term.text] = known.folded.get(term.text) or folded_name(term.text)
            if name:
                named.append((name, term))
        self._by_name = {name: term.skill_id for name, term in named}
        self.private = frozenset(term.skill_id for _, term in named if term.private)
        searched = [(name, term) for name, term in named if term.findable or term.ambiguous]
        self._findable = [term for _, term in searched]
        self._ambiguous = [term.ambiguous for term in self._findable]
        self._by_ambiguous_text = {term.text: term.skill_id for term in self._findable if term.ambiguous}
        self._cased = [_is_acronym(term.text) for term in self._findable]
        # Each term begins with the space before its first word, so that no match begins inside a word. Words
        # of languages without spaces are looked at when they are found.
        patterns = [name[1:] if UNSPACED_NAME.fullmatch(name) else name for name, _ in searched]
        self._unspaced = {number for number, pattern in enumerate(patterns) if not pattern.startswith(" ")}
        self._patterns = patterns
        self._automaton = (
            known.automaton
            if known.automaton and known.patterns == patterns
            else AhoCorasick(patterns, implementation=Implementation.ContiguousNFA)
        )

    def rebuilt(self, terms: Iterable[Term]) -> "SkillFinder":
        """Return a finder of other terms, soon where few of them differ.

        The automaton stays where the same terms are searched for: skills that only sources state are not.
        """
        return SkillFinder(terms, known=_Built(self._folded, self._patterns, self._automaton))

    def find(self, text: str) -> list[int]:
        """Return the ids of the skills in `text`, each once, in the order of their first occurrence."""
        words = _words(_without_addresses(text))
        folded = _fold(words)
        matches = [
            (start, -end, number)
            for number, start, end in self._automaton.find_matches_as_indexes(folded, overlapping=True)
            # The first condition, which is most matches, saves a call: another letter goes on with the word.
            if (not "a" <= folded[end] <= "z" or number in self._unspaced)
            and self._is_name(number, start, end, words, folded)
        ]
        matches.sort()
        longest: list[_Match] = []
        covered = 0
        for start, negative_end, number in matches:
            if start >= covered:
                covered = -negative_end
                longest.append((start, covered, number))
        if not any(self._ambiguous[number] for _, _, number in longest):
            return list(dict.fromkeys(self._findable[number].skill_id for _, _, number in longest))
        longest = [each for items in _lists(longest, folded) for each in self._skills_of(items, folded)]
        found = dict.fromkeys(self._findable[number].skill_id for _, _, number in longest)
        if found:
            bracketed = (self._by_ambiguous_text.get(name) for name in BRACKETED.findall(text))
            found |= dict.fromkeys(each for each in bracketed if each is not None)
        return list(found)

    def _is_name(self, number: int, start: int, end: int, words: str, folded: str) -> bool:
        """Return whether a match is a whole word, in capitals and at the border of a phrase if it must be."""
        if number in self._unspaced:
            return _is_unspaced_word(folded, start, end)
        if folded[end] not in " |" and not _ends_inside(folded, start, end, cased=self._cased[number]):
            return False
        if self._cased[number] and not words[start:end].isupper():
            return False
        return not self._ambiguous[number] or _at_border(folded, start, end)

    def _skills_of(self, items: list[_Match], folded: str) -> list[_Match]:
        """The items of a list that name skills. An ambiguous one is a whole item: not "Java, go through"."""
        ambiguous = [self._ambiguous[number] for _, _, number in items]
        is_list = len(items) > 1 and (len(items) >= MIN_LISTED or not all(ambiguous))
        skills = []
        for place, (start, end, number) in enumerate(items):
            begins = place > 0 or start == 0 or folded[start - 1] == "|"
            ends = place + 1 < len(items) or folded[end] == "|" or end == len(folded) - 1
            if not ambiguous[place] or (is_list and begins and ends):
                skills.append((start, end, number))
        return skills

    def resolve(self, name: str, *, private: bool = True) -> int | None:
        """Return the skill that `name` means, ignoring case, hyphens and spacing, or None.

        Without `private`, skills that only candidates name are unknown.
        """
        skill_id = self._by_name.get(folded_name(name))
        return skill_id if private or skill_id not in self.private else None


def _at_border(folded: str, start: int, end: int) -> bool:
    """Return whether a phrase or the text begins or ends with a match."""
    return start == 0 or end == len(folded) - 1 or folded[end] == "|" or folded[start - 1] == "|"


def _lists(matches: list[_Match], folded: str) -> list[list[_Match]]:
    """Part the matches of a text into lists of neighbours."""
    lists = [matches[:1]]
    for match in matches[1:]:
        if BETWEEN_ITEMS.fullmatch(folded, lists[-1][-1][1], match[0]):
            lists[-1].append(match)
        else:
            lists.append([match])
    return lists


def folded_name(term: str) -> str:
    """Return the form of a term in folded text, or an empty string for a term without a letter or digit."""
    name = _fold(_words(term)).removesuffix(" ")
    return name if any(map(str.isalnum, name)) else ""


def _without_addresses(text: str) -> str:
    has_address = "@" in text or "www." in text or "WWW." in text
    if not has_address and "/" in text:
        has_address = any(sign in text for sign in ("://", ".com/", ".edu/", ".gov/", ".org/"))
    return ADDRESS.sub("|", text) if has_address else text


def _words(text: str) -> str:
    """Return the words of `text`, each between spaces, with `|` after the last word of a phrase."""
    # Several passes over bytes in C are faster than one regular expression.
    if not text.isascii():
        text = OTHER_SEPARATOR.sub(lambda found: OTHER_SEPARATORS.get(found[0], " "), text)
        if not text.isascii():
            # "é" may be one character or two, and letters may have full width.
            text = OTHER_SCRIPT.sub(_between_spaces, unicodedata.normalize("NFKC", text))
    spaced = f" {text} ".encode("utf-8", "surrogatepass").translate(ASCII_SEPARATORS)
    if b".." in spaced:
        spaced = ELLIPSIS.sub(b"|", spaced)
    spaced = UNSPACED_END.sub(b"| ", spaced.replace(b". ", b"| ").replace(b".|", b"|"))
    if b"#" in spaced:
        spaced = spaced.replace(b"##", b"").replace(b" # ", b"  ")  # headings of Markdown
    if (
        b"_" in spaced
        or b"#" in spaced
        or (b"+" in spaced and (b" +" in spaced or MARK_INSIDE.search(spaced)))
    ):
        spaced = MARKS.sub(_inside_word, spaced)
    return SPACES.sub(b" ", spaced).replace(b" |", b"|").decode("utf-8", "surrogatepass")


def _between_spaces(found: re.Match[str]) -> str:
    return f" {found[0]} "


def _inside_word(found: re.Match[bytes]) -> bytes:
    """Keep the marks of "C++", "C#" and "snake_case"; drop those of "#Java" and "_Java_"; part "HTML+CSS"."""
    marks, text = found[0], found.string
    before, after = text[found.start() - 1 : found.start()], text[found.end() : found.end() + 1]
    if before in b" |":
        return b""
    if after in b" |":
        return marks.rstrip(b"_")
    return b" " if marks == b"+" and after.isalpha() else marks


def _ends_inside(folded: str, start: int, end: int, *, cased: bool) -> bool:
    """Return whether a name ends before a version or a Korean particle. A short acronym has no version."""
    if folded[end].isdecimal():
        return not cased and VERSION.match(folded, end) is not None
    return folded[end] >= "가" and end - start > 2 and KOREAN_PARTICLE.match(folded, end) is not None


def _is_unspaced_word(folded: str, start: int, end: int) -> bool:
    """Return whether a name in Japanese or Chinese is a word of its own."""
    if LONG_HAN_NAME.fullmatch(folded, start, end):
        return True
    if _script(folded[start - 1]) == _script(folded[start]):
        return False
    return _script(folded[end - 1]) != _script(folded[end]) or folded[end] in CHINESE_PARTICLES


def _script(char: str) -> str:
    """The script of a character: Hiragana, Katakana, Han, or none of these."""
    if "\u3041" <= char <= "\u30ff":
        return "Hiragana" if char < "\u30a0" else "Katakana"
    return "Han" if char == "\u3005" or "\u3400" <= char <= "\u9fff" else ""


def _fold(text: str) -> str:
    """Return `text` in lower case with the same length, so that positions in both are the same."""
    lowered = text.lower()
    if len(lowered) == len(text):
        return lowered
    return "".join(low if len(low := char.lower()) == 1 else char for char in text)


def _is_acronym(term: str) -> bool:
    return len(term) <= MAX_CASED_ACRONYM and term.isalpha() and term.isupper()
