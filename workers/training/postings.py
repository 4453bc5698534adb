"""The site's own postings as rows for training."""

import re
from collections.abc import Iterator

from apps.postings.models import Posting
from workers.training.pairs import Row

MIN_TASK = 20  # characters; shorter lines are headings
MARKUP = re.compile(r"^[\s#>*+\-\d.)]*|[*_`]+")  # the beginning of a Markdown line, and emphasis
SENTENCE_END = re.compile(r"(?<=[.!?;])\s+")


def from_database() -> Iterator[Row]:
    """Return title and tasks of each posting; each sentence of its description counts as a task."""
    for title, description in Posting.objects.values_list("title", "description").iterator():
        yield {"title": title, "tasks": sentences(description)}


def sentences(text: str) -> list[str]:
    """Return the sentences of a Markdown text, without headings."""
    lines = (MARKUP.sub("", line) for line in text.splitlines())
    return [each for line in lines for each in SENTENCE_END.split(line) if len(each) >= MIN_TASK]
