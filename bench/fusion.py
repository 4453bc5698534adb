"""Quality of a ranking by vector, by full text, by both fused by rank, and as served: nDCG@10 on known pairs.

nDCG: K. Järvelin, J. Kekäläinen, "Cumulated gain-based evaluation of IR techniques", ACM TOIS 20(4), 2002.

The evaluation sets lie next to the checkout (../shared/data/eval): profiles → job ads (hahu), statements of
experience → announcements (usajobs_experience), occupations → names of occupations (melo_usa_en). The
documents become postings, their first sentence the title, embedded with the model of the settings; without
skills, places and salaries, so that only vector and text decide. A set is cut to --documents: the answers to
some of its queries first, then others. --full takes whole sets, which costs a processor the better part of an
hour.
"""

import gzip
import math
import random
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench import report, scratch

if TYPE_CHECKING:
    from apps.recommendations.fulltext import Terms

EVALUATION = scratch.SHARED / "eval"
# The minimum of the fused ranking, as a share of the vector's own.
SETS = {"hahu": 1.0, "usajobs_experience": 1.0, "melo_usa_en": 0.98}
QUICK = {"hahu": 100, "melo_usa_en": 1_000}
DEPTH = 10
WAYS = ("vector", "text", "fused", "served")


@dataclass(frozen=True)
class Evaluation:
    """Queries and documents by id, and for each query the gain of its documents."""

    queries: dict[str, str]
    documents: dict[str, str]
    gains: dict[str, dict[str, float]]


def main() -> None:
    """Evaluate each set."""
    parser = report.arguments(__doc__)
    parser.add_argument("--documents", type=int, default=1_000, help="of each set")
    parser.add_argument("--full", action="store_true", help="the whole sets")
    options = parser.parse_args()
    result = report.start("Fusion")
    if not EVALUATION.is_dir():
        raise SystemExit(f"The evaluation sets are missing: {EVALUATION}.")
    sizes = QUICK if options.quick else dict.fromkeys(SETS, 10**9 if options.full else options.documents)
    with scratch.servers():
        from apps.embeddings.lifecycle import activate
        from apps.embeddings.registry import default_model

        activate(default_model(), force=True)
        result.figure(
            "nDCG@10                queries documents  terms" + "".join(f"{way:>10}" for way in WAYS)
        )
        for name, size in sizes.items():
            evaluate(result, name, cut(read(name), documents=size))
    report.end(result)


def read(name: str) -> Evaluation:
    """Read an evaluation set."""
    gains: dict[str, dict[str, float]] = defaultdict(dict)
    for query, document, gain in _lines(name, "qrels"):
        gains[query][document] = float(gain)
    return Evaluation(dict(_lines(name, "queries")), dict(_lines(name, "corpus")), gains)


def _lines(name: str, part: str) -> Iterator[Any]:
    with gzip.open(EVALUATION / name / f"{part}.tsv.gz", "rt") as file:
        for line in file:
            yield line.rstrip("\n").split("\t", 2 if part == "qrels" else 1)


def cut(whole: Evaluation, *, documents: int) -> Evaluation:
    """Draw as many queries as have all their answers in half of the documents, and fill up with other
    documents."""
    if documents >= len(whole.documents):
        return whole
    chance = random.Random(1)
    queries: list[str] = []
    chosen: dict[str, None] = {}
    for query in chance.sample(sorted(whole.gains), len(whole.gains)):
        answers = dict.fromkeys(document for document in whole.gains[query] if document in whole.documents)
        if len(chosen | answers) > documents / 2:
            break
        queries.append(query)
        chosen |= answers
    others = [document for document in whole.documents if document not in chosen]
    chosen |= dict.fromkeys(chance.sample(others, documents - len(chosen)))
    return Evaluation(
        {query: whole.queries[query] for query in queries},
        {document: whole.documents[document] for document in chosen},
        {query: whole.gains[query] for query in queries},
    )


def evaluate(result: report.Report, name: str, evaluation: Evaluation) -> None:
    """Print the mean nDCG of each way, and the targets of one set."""
    from apps.recommendations.fulltext import terms_of_text

    ids = load(evaluation.documents)
    scores: dict[str, list[float]] = defaultdict(list)
    counts = []
    for (query, text), vector in zip(
        evaluation.queries.items(), encode(list(evaluation.queries.values())), strict=True
    ):
        terms = terms_of_text(text, kind="posting")
        counts.append(terms.count)
        for way, ranked in rank(terms, vector).items():
            scores[way].append(ndcg([ids[row] for row in ranked[:DEPTH]], evaluation.gains[query]))
    means = {way: sum(scores[way]) / len(scores[way]) for way in WAYS}
    result.figure(
        f"{name:20} {len(evaluation.queries):9,} {len(evaluation.documents):9,} "
        f"{report.percentile(counts, 0.5):6}" + "".join(f"{mean:10.3f}" for mean in means.values())
    )
    for way in ("fused", "served"):
        result.at_least(f"{way}_of_vector_{name}", means[way] / means["vector"], SETS[name])


def rank(terms: "Terms", vector: Any) -> dict[str, list[int]]:
    """Postings in the order of each way, as the application itself orders them."""
    from django.conf import settings

    from apps.embeddings.models import EmbeddingModel, Kind
    from apps.postings.models import Posting
    from apps.recommendations.fusion import fuse, rank_weight
    from apps.recommendations.matching import find_matches, search_text
    from apps.recommendations.profiles import Seeker
    from apps.recommendations.ranking import Features
    from apps.recommendations.retrieval import as_text, nearest

    model, rows, k = EmbeddingModel.objects.active(), Posting.objects.all(), settings.RECOMMENDATION_DEPTH
    assert model is not None
    seeker = Seeker(Features(), as_text([float(value) for value in vector]), terms)
    assert seeker.vector is not None
    near = [row.row_id for row in nearest("posting", seeker.vector, model=model, matching=rows, k=k).rows]
    text = search_text(Kind.POSTING, seeker, rows, k=k).rows[:k]
    return {
        "vector": near,
        "text": text,
        "fused": fuse(near, text, weight=rank_weight(terms.count), k=k),
        "served": [each.row_id for each in find_matches(Kind.POSTING, seeker, rows, model=model).items],
    }


def ndcg(ranked: Sequence[str], gains: dict[str, float]) -> float:
    """Discounted gain of the ranked documents, as a share of that of the best ranking."""
    found = sum(gains.get(row, 0.0) / math.log2(place + 2) for place, row in enumerate(ranked))
    best = sorted(gains.values(), reverse=True)[:DEPTH]
    return found / sum(gain / math.log2(place + 2) for place, gain in enumerate(best))


def load(documents: dict[str, str]) -> dict[int, str]:
    """Make the documents the only postings, with full text and vectors; return their ids by primary key."""
    from django.db import connection

    from apps.embeddings.registry import default_model
    from apps.postings.models import Posting
    from apps.recommendations.text_index import update_text_index

    Posting.objects.all().delete()
    postings = [_posting(name, text) for name, text in documents.items()]
    Posting.objects.bulk_create(postings, batch_size=1_000)
    update_text_index("posting", limit=10**9)
    scratch.embed_in_process("posting", default_model())
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE recommendations_postingtext")
    return {each.pk: each.external_id for each in postings}


def _posting(name: str, text: str) -> Any:
    from apps.postings.models import Posting

    title, _, description = text.partition(". ")
    if len(title) > 500:
        title, description = "", text
    return Posting(source="bench", external_id=name, title=title, description=description)


def encode(queries: list[str]) -> Any:
    """The vectors of queries, by the model of the settings."""
    from apps.embeddings.registry import default_model
    from workers.chunks import version_of
    from workers.encoding.loaded import encoder_of

    return encoder_of(version_of(default_model())).encode(queries, role="query")


if __name__ == "__main__":
    main()
