"""Quality of what is served: MRR, MAP and nDCG@10 on known pairs, next to simpler ways of ranking.

nDCG: K. Järvelin, J. Kekäläinen, "Cumulated gain-based evaluation of IR techniques", ACM TOIS 20(4), 2002.
Intervals: percentiles of 1,000 bootstrap resamples of the queries (B. Efron, "Bootstrap methods: another look
at the jackknife", Annals of Statistics 7(1), 1979); differences are paired by query.

The sets lie next to the checkout (../shared/data/eval; docs/quality.md names their sources). Each is imported
into an empty database as a site would import it, indexed and embedded. Sets of records are answered in both
directions from stored rows; sets of names are typed as searches. The ways:

    served        all parts of the ranking
    vector+words  the rows of `served`, scored by vector and full text alone
    vector        the nearest vectors
    words         the full-text search alone
    BM25          the library bm25s over the same texts
    MiniLM        all-MiniLM-L6-v2 without an adapter, exact; the same as `vector` where that is the model
"""

import gzip
import json
import logging
import random
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from bench import report, scratch

if TYPE_CHECKING:
    from apps.embeddings.models import Kind
    from apps.recommendations.fitting import RankedList
    from apps.recommendations.matches import Match
    from apps.recommendations.profiles import Seeker
    from workers.encoding.encoder import ModelVersion

EVALUATION = scratch.SHARED / "eval"
CARD = Path(__file__).with_suffix(".json")
PLAIN = ("vector", "text", "title")  # the parts of vector+words
MEASURES = ("MRR", "MAP", "nDCG@10")
DEPTH = 10
MAX_TITLE = 500  # characters
RESAMPLES = 1_000
ALLOWED_FALL = 0.01  # of the stored card, beyond chance
MINILM, MINILM_DIMENSIONS = "sentence-transformers/all-MiniLM-L6-v2", 384


@dataclass(frozen=True)
class Evaluation:
    """Queries and documents by id, and for each query the gain of its documents."""

    queries: dict[str, str]
    documents: dict[str, str]
    gains: dict[str, dict[str, float]]

    def reversed(self) -> "Evaluation":
        """Documents as queries for what were the queries."""
        gains: dict[str, dict[str, float]] = {}
        for query, answers in self.gains.items():
            for document, gain in answers.items():
                gains.setdefault(document, {})[query] = gain
        return Evaluation({each: self.documents[each] for each in gains}, self.queries, gains)


@dataclass(frozen=True)
class Set:
    """A set as it is measured. `queries` and `documents` bound it; None takes all.

    `records`: both sides are stored; otherwise queries are typed.
    """

    name: str
    queries: int | None = None
    documents: int | None = None
    records: bool = False
    language: str = "en"


SETS = (
    Set("hahu", records=True),
    Set("usajobs_experience", 500, 2_000, records=True),
    Set("melo_usa_en"),
    Set("title_normalisation", 500),
    Set("skill_house_validation"),
    Set("skill_tech_validation"),
    *(Set(f"job_title_similarity_{code}", language=code) for code in ("de", "es", "fr")),
)
QUICK = (Set("hahu", 100, 100, records=True), Set("title_normalisation", 200, 500))


def read(of: Set) -> Evaluation:
    """Read a set, cut to its bounds: queries drawn at random, their answers, and other documents."""
    gains: dict[str, dict[str, float]] = {}
    documents = dict(_lines(of.name, "corpus"))
    for query, document, gain in _lines(of.name, "qrels"):
        if document in documents and float(gain) > 0:
            gains.setdefault(query, {})[document] = float(gain)
    queries = {key: text for key, text in _lines(of.name, "queries") if key in gains}
    chance = random.Random(1)
    if of.queries is not None and len(queries) > of.queries:
        queries = {key: queries[key] for key in chance.sample(sorted(queries), of.queries)}
    if of.documents is not None and len(documents) > of.documents:
        chosen = dict.fromkeys(document for query in queries for document in gains[query])
        others = [document for document in documents if document not in chosen]
        chosen |= dict.fromkeys(chance.sample(others, max(0, of.documents - len(chosen))))
        documents = {key: documents[key] for key in chosen}
    return Evaluation(queries, documents, {query: gains[query] for query in queries})


def _lines(name: str, part: str) -> Iterator[Any]:
    with gzip.open(EVALUATION / name / f"{part}.tsv.gz", "rt", encoding="utf-8") as file:
        for line in file:
            if line.strip():
                values = line.rstrip("\n").split("\t", 2 if part == "qrels" else 1)
                yield values if part == "qrels" or len(values) == 2 else (values[0], "")


@dataclass(frozen=True)
class Question:
    """A seeker whose right answers are known: gains by primary key. `text` is what it is made of."""

    seeker: "Seeker"
    text: str
    gains: dict[int, float]


@dataclass(frozen=True)
class Direction:
    """Questions about all rows of a kind, whose texts are by primary key, as are the copies of postings."""

    name: str
    kind: "Kind"
    questions: list[Question]
    texts: dict[int, str]
    copies: dict[int, list[int]]

    def expanded(self, rows: Iterable[int]) -> list[int]:
        """Rows with their copies next to them: a list shows one of a group, and the sets know no groups."""
        return [each for row in rows for each in (row, *self.copies.get(row, ()))]


@dataclass(frozen=True)
class Answer:
    """The matches of a question, and rows in the order of each way."""

    matches: "list[Match]"
    ways: dict[str, list[int]]


def directions(of: Set, evaluation: Evaluation, data: Path) -> list[Direction]:
    """Import a set as the only rows, and make its questions."""
    from apps.embeddings.lifecycle import activate
    from apps.embeddings.models import Kind
    from apps.embeddings.registry import default_model
    from apps.recommendations.profiles import Profile, stored_seeker, typed_seeker
    from apps.recommendations.retrieval import as_text

    model = default_model()
    activate(model, force=True)
    postings = load("posting", evaluation.documents, of.language, data)
    candidates = load("candidate", evaluation.queries if of.records else {}, of.language, data)

    def questions(
        kind: Kind, asked: Evaluation, ids: dict[str, int], seekers: dict[str, "Seeker"]
    ) -> Direction:
        made = [
            Question(seekers[key], text, {ids[each]: gain for each, gain in asked.gains[key].items()})
            for key, text in asked.queries.items()
        ]
        arrow = {Kind.POSTING: "→ postings", Kind.CANDIDATE: "→ candidates"}[kind]
        texts = {ids[key]: text for key, text in asked.documents.items()}
        return Direction(
            f"{of.name} {arrow}", kind, made, texts, copies_of(list(texts)) if kind == Kind.POSTING else {}
        )

    if of.records:
        people = {key: stored_seeker("candidate", candidates[key], model) for key in evaluation.queries}
        back = evaluation.reversed()
        jobs = {key: stored_seeker("posting", postings[key], model) for key in back.queries}
        return [
            questions(Kind.POSTING, evaluation, postings, people),
            questions(Kind.CANDIDATE, back, candidates, jobs),
        ]
    vectors = dict(zip(evaluation.queries, encode(list(evaluation.queries.values())), strict=True))
    typed = {
        key: replace(
            typed_seeker(Profile(text=text), None, kind="posting"), vector=as_text(vectors[key].tolist())
        )
        for key, text in evaluation.queries.items()
    }
    return [questions(Kind.POSTING, evaluation, postings, typed)]


def copies_of(postings: list[int]) -> dict[int, list[int]]:
    """The copies of each posting that has some."""
    from apps.recommendations.copies import groups_of

    groups = groups_of(postings)
    members: dict[int, list[int]] = {}
    for posting, group in sorted(groups.items()):
        members.setdefault(group, []).append(posting)
    return {
        posting: [each for each in members[group] if each != posting] for posting, group in groups.items()
    }


def load(kind: str, texts: dict[str, str], language: str, data: Path) -> dict[str, int]:
    """Make texts the only rows of a kind by the import command, indexed and embedded; return their keys."""
    from django.db import connection

    from apps.embeddings.kinds import tables
    from apps.embeddings.registry import default_model
    from apps.recommendations.text_index import update_text_index

    rows = tables(kind).model._default_manager
    rows.all().delete()
    if not texts:
        return {}
    file = data / f"{kind}s.jsonl"
    file.write_text("".join(json.dumps(_row(kind, *each, language)) + "\n" for each in texts.items()))
    scratch.manage(f"import_{kind}s", str(file), "--source=bench", "--no-progress")
    update_text_index(kind, limit=10**9)
    scratch.embed_in_process(kind, default_model())
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
    keys = dict(rows.values_list("external_id", "pk"))
    if len(keys) != len(texts):
        raise SystemExit(f"Only {len(keys):,} of {len(texts):,} {kind}s were imported.")
    return keys


def _row(kind: str, key: str, text: str, language: str) -> dict[str, str]:
    if kind == "candidate":
        return {"external_id": key, "language": language, "resume": text}
    title, _, description = text.partition(". ")
    if len(title) > MAX_TITLE:
        title, description = text[:MAX_TITLE], text
    return {"external_id": key, "language": language, "title": title, "description": description}


def answer(of: Direction, question: Question) -> Answer:
    """Rank rows as the application does."""
    from django.conf import settings

    from apps.embeddings.kinds import tables
    from apps.embeddings.models import EmbeddingModel
    from apps.recommendations.active_ranking import active_ranking
    from apps.recommendations.matching import find_matches, search_text
    from apps.recommendations.retrieval import nearest

    kind = of.kind
    rows, depth = tables(kind).model._default_manager.all(), settings.RECOMMENDATION_DEPTH
    model, seeker = EmbeddingModel.objects.active(), question.seeker
    assert model is not None
    assert seeker.vector is not None
    matches = find_matches(kind, seeker, rows, model=model, ranking=active_ranking()).items
    plain = sorted(matches, key=lambda each: (-_plain_score(each), each.row_id))
    near = nearest(kind, seeker.vector, model=model, matching=rows, k=depth).rows
    ways = {
        "served": of.expanded(each.row_id for each in matches),
        "vector+words": of.expanded(each.row_id for each in plain),
        "vector": [each.row_id for each in near],
        "words": search_text(kind, seeker, rows, k=depth).rows[:depth],
    }
    return Answer(matches, ways)


def _plain_score(match: "Match") -> float:
    return sum(each.value * each.weight for each in match.weighted_parts() if each.name in PLAIN)


def baselines(of: Direction) -> Iterator[dict[str, list[int]]]:
    """The rows of each question by BM25, and by raw MiniLM where the model in use is another one."""
    import bm25s
    from django.conf import settings

    logging.getLogger("bm25s").setLevel(logging.WARNING)
    keys, texts = np.array(list(of.texts)), list(of.texts.values())
    depth = min(settings.RECOMMENDATION_DEPTH, len(keys))
    asked = [question.text for question in of.questions]
    index = bm25s.BM25()
    index.index(bm25s.tokenize(texts, show_progress=False), show_progress=False)
    words, _ = index.retrieve(bm25s.tokenize(asked, show_progress=False), k=depth, show_progress=False)
    near = None
    if _version(raw=True) != _version():
        cosines = encode(asked, raw=True) @ encode(texts, raw=True).T
        near = np.argsort(-cosines, axis=1, kind="stable")[:, :depth]
    for row, _ in enumerate(asked):
        ways = {"BM25": keys[words[row]].tolist()}
        yield ways if near is None else ways | {"MiniLM": keys[near[row]].tolist()}


def _version(*, raw: bool = False) -> "ModelVersion":
    from apps.embeddings.registry import default_model
    from workers.chunks import version_of
    from workers.encoding.encoder import ModelVersion

    version = version_of(default_model())
    return ModelVersion(MINILM, "main", version.windows, MINILM_DIMENSIONS) if raw else version


def encode(texts: list[str], *, raw: bool = False) -> Any:
    """The vectors of texts, by the model of the settings, or by MiniLM without an adapter."""
    from workers.encoding.loaded import encoder_of

    return encoder_of(_version(raw=raw)).encode(texts, role="query")


def measure(ranked: Sequence[int], gains: dict[int, float]) -> tuple[float, float, float]:
    """Reciprocal rank of a best answer, average precision, and nDCG at DEPTH; answers not found count 0."""
    found = [(rank, gains[row]) for rank, row in enumerate(ranked, start=1) if row in gains]
    best = max(gains.values())
    reciprocal = next((1 / rank for rank, gain in found if gain == best), 0.0)
    precision = sum(number / rank for number, (rank, _) in enumerate(found, start=1)) / len(gains)
    gained = sum(gain / np.log2(rank + 1) for rank, gain in found if rank <= DEPTH)
    ideal = sorted(gains.values(), reverse=True)[:DEPTH]
    return reciprocal, precision, gained / sum(gain / np.log2(rank + 2) for rank, gain in enumerate(ideal))


def interval(values: Any) -> tuple[float, float]:
    """The 95 % bootstrap interval of the mean of some values."""
    draws = np.random.default_rng(0).integers(len(values), size=(RESAMPLES, len(values)))
    low, high = np.percentile(np.asarray(values)[draws].mean(1), [2.5, 97.5])
    return float(low), float(high)


def report_direction(result: report.Report, of: Direction, *, quick: bool) -> dict[str, Any]:
    """Measure a direction, print its rows of the card, and return what the card stores of it."""
    figures: dict[str, list[tuple[float, float, float]]] = {}
    for question, others in zip(
        of.questions, [{}] * len(of.questions) if quick else baselines(of), strict=True
    ):
        for way, ranked in (answer(of, question).ways | others).items():
            figures.setdefault(way, []).append(measure(ranked, question.gains))
    arrays = {way: np.array(values) for way, values in figures.items()}
    for way, values in arrays.items():
        cells = [
            f"{column.mean():.3f} ({low:.3f} to {high:.3f})"
            for column in values.T
            for low, high in [interval(column)]
        ]
        size = f"{len(of.questions):,} of {len(of.texts):,}" if way == "served" else ""
        result.figure(f"| {of.name if way == 'served' else ''} | {size} | {way} | {' | '.join(cells)} |")
    gain = (arrays["served"] - arrays["vector+words"])[:, 2]
    low, high = interval(gain)
    result.figure(f"| | | gain of the other parts | | | {gain.mean():+.3f} ({low:+.3f} to {high:+.3f}) |")
    # The gate of the ranking: its other parts cost nothing. An interval that reaches a loss of 1 % shows none
    # that counts.
    result.at_least(f"gain_of_all_parts_{of.name.replace(' ', '_')}", high, -0.01)
    return {
        "queries": len(of.questions),
        "documents": len(of.texts),
        "means": {way: [round(float(mean), 4) for mean in values.mean(0)] for way, values in arrays.items()},
        "nDCG@10": [round(float(value), 3) for value in arrays["served"][:, 2]],
    }


def ranked_lists(of: Direction) -> "list[RankedList]":
    """What the weights are fitted to: the matches of each question, with the values of all parts."""
    from apps.recommendations.fitting import RankedList
    from apps.recommendations.weights import PARTS

    lists = []
    for question in of.questions:
        rows = [(match, row) for match in answer(of, question).matches for row in of.expanded([match.row_id])]
        values = [[match.parts.get(name, 0.0) for name in PARTS] for match, _ in rows]
        gains = [question.gains.get(row, 0.0) for _, row in rows]
        lists.append(RankedList(of.name, question.seeker.terms.count, np.array(values), np.array(gains)))
    return lists


def fit_weights(result: report.Report, lists: "list[RankedList]", path: Path) -> None:
    """Fit the weights, print how held-out questions fare, and write the file."""
    from apps.recommendations.active_ranking import file_ranking
    from apps.recommendations.fitting import fit

    fitted = fit(lists, file_ranking(), version=f"{date.today():%Y-%m-%d}")  # noqa: DTZ011  the day here
    for each in fitted.groups:
        result.figure(
            f"{each.group}: nDCG@10 on held-out questions {each.in_use:.3f} → {each.fitted:.3f} "
            f"({each.low:+.3f} to {each.high:+.3f})"
        )
    result.figure(fitted.ranking.model_dump_json(include={"weights", "text_share"}))
    path.write_text(fitted.ranking.model_dump_json(indent=2) + "\n")


def compare(result: report.Report, name: str, now: dict[str, Any], stored: dict[str, Any]) -> None:
    """Hold a direction against the stored card: it may not fall by more than ALLOWED_FALL, beyond chance."""
    if len(stored["nDCG@10"]) != len(now["nDCG@10"]):
        raise SystemExit(f"The card {CARD} holds {name} with other queries. Write it again with --write.")
    fall = np.array(now["nDCG@10"]) - np.array(stored["nDCG@10"])
    result.at_least(
        f"change_{name.replace(' ', '_')}", interval(fall)[1], -ALLOWED_FALL * np.mean(stored["nDCG@10"])
    )


def main() -> None:
    """Print the card; hold it against the stored one, or store it."""
    parser = report.arguments(__doc__)
    parser.add_argument("--sets", nargs="+", default=[], metavar="SET", help="only these")
    parser.add_argument("--fit", type=Path, metavar="FILE", help="fit the weights instead, into this file")
    parser.add_argument("--write", action="store_true", help=f"store the card in {CARD.name}")
    options = parser.parse_args()
    result = report.start("Quality")
    if not EVALUATION.is_dir():
        result.figure(f"The evaluation sets are missing: {EVALUATION}. Nothing was measured.")
        report.end(result)
    part = "quick" if options.quick else "full"
    card = json.loads(CARD.read_text()) if CARD.exists() else {}
    stored = card.setdefault(part, {})
    result.figure(f"| set | queries of documents | way | {' | '.join(MEASURES)} |\n|---|---|---|---|---|---|")
    lists: list[RankedList] = []
    with scratch.servers() as data:
        for of in QUICK if options.quick else SETS:
            if options.sets and of.name not in options.sets:
                continue
            for direction in directions(of, read(of), data):
                if options.fit:
                    lists += ranked_lists(direction)
                    continue
                now = report_direction(result, direction, quick=options.quick)
                if options.write:
                    stored[direction.name] = now
                elif direction.name in stored:
                    compare(result, direction.name, now, stored[direction.name])
        if options.fit:
            fit_weights(result, lists, options.fit)
    if options.write:
        CARD.write_text(json.dumps(card, ensure_ascii=False) + "\n")
    report.end(result)


if __name__ == "__main__":
    main()
