"""The sentences of two texts that carry their match. Pure but for the vectors, which a caller provides."""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import log

import numpy as np
import numpy.typing as npt

MAX_SENTENCES = 40  # of a text
MAX_CHARACTERS = 600  # of a sentence; a longer one is a text without punctuation
MIN_WORDS = 3  # a shorter one is a heading
# Sentences of the row, and of the text that it was found for, whose vectors are compared, and how much of
# each is embedded. Those with the rarest words in common are taken: all would cost several times as much.
ROW_SENTENCES, SEEKER_SENTENCES, EMBEDDED_CHARACTERS = 3, 6, 200
MAX_TEXTS = 100  # in one call, about; of a long page fewer sentences of each row are compared

BULLET = re.compile(r"^\s*(?:[-*+•·]|#{1,6}|\d{1,2}[.)])\s+")
# A full stop after one letter or a number belongs to an abbreviation or a list: "e.g. ", "U.S. ", "1. ".
SENTENCE_END = re.compile(
    r"(?<!\b\w\.)(?<=[.!?])[\"')\]*_]*\s+(?=[\"'(\[*_]*[^\W_a-z])|(?<=[\u3002\uff01\uff1f])"
)
MARKUP = re.compile(r"\*\*|__|`|\[([^\]]*)\]\([^)]*\)")
WORD = re.compile(r"\w{3,}")

Vectors = npt.NDArray[np.float32]
Embed = Callable[[list[str]], Vectors]


@dataclass(frozen=True)
class SentencePair:
    """The positions of the nearest two sentences, in `sentences_of` each text, and their cosine."""

    row: int
    seeker: int
    similarity: float


def sentences_of(text: str) -> list[str]:
    """The first MAX_SENTENCES sentences of a Markdown text: items of lists are sentences, headings none."""
    sentences: list[str] = []
    for line in text.splitlines():
        plain = MARKUP.sub(lambda found: found[1] or "", BULLET.sub("", line)).strip()
        for sentence in SENTENCE_END.split(plain):
            shown = sentence.strip()[:MAX_CHARACTERS]
            if len(shown.split()) >= MIN_WORDS or (shown and not shown.isascii() and len(shown) > MIN_WORDS):
                sentences.append(shown)
        if len(sentences) >= MAX_SENTENCES:
            break
    return list(dict.fromkeys(sentences))[:MAX_SENTENCES]


def nearest_sentences(
    rows: Mapping[int, Sequence[str]], seeker: Sequence[str], embed: Embed
) -> dict[int, SentencePair]:
    """The nearest pair of sentences for each row, by key; rows without sentences are left out.

    `embed` gives the vectors of length 1 of some texts, shape (texts, dimensions). It is called once.
    """
    words = {
        text: set(WORD.findall(text.lower())) for text in {*seeker, *(s for r in rows.values() for s in r)}
    }
    counts = Counter[str]()
    for each in words.values():
        counts.update(each)
    rarity = {word: log(1 + len(words) / count) for word, count in counts.items()}
    wanted = {word for text in seeker for word in words[text]}
    offered = {word for sentences in rows.values() for text in sentences for word in words[text]}

    def likely(texts: Sequence[str], others: set[str], limit: int) -> list[int]:
        shared = [sum(rarity[word] for word in words[text] & others) for text in texts]
        return sorted(sorted(range(len(texts)), key=lambda place: -shared[place])[:limit])

    own = likely(seeker, offered, SEEKER_SENTENCES)
    limit = max(1, min(ROW_SENTENCES, (MAX_TEXTS - len(own)) // max(1, len(rows))))
    theirs = {key: likely(texts, wanted, limit) for key, texts in rows.items() if texts}
    if not own or not theirs:
        return {}
    texts = [seeker[place] for place in own] + [rows[key][place] for key in theirs for place in theirs[key]]
    distinct = list(dict.fromkeys(text[:EMBEDDED_CHARACTERS] for text in texts))
    vectors = dict(zip(distinct, embed(distinct), strict=True))
    sought = np.stack([vectors[seeker[place][:EMBEDDED_CHARACTERS]] for place in own])
    pairs = {}
    for key, places in theirs.items():
        cosines = np.stack([vectors[rows[key][place][:EMBEDDED_CHARACTERS]] for place in places]) @ sought.T
        best, nearest = np.unravel_index(int(cosines.argmax()), cosines.shape)
        pairs[key] = SentencePair(places[best], own[nearest], round(float(cosines[best, nearest]), 6))
    return pairs
