"""The main job with real processes: import, embed through Celery, write, invalidate, answer."""

import json
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import psutil
import psycopg
import pytest

from apps.embeddings.adapters import DEFAULT, find_adapter
from apps.sample import corpus
from tests.stack import Stack, wait_until

CURRENT = """
    SELECT count(*) AS n FROM postings_posting p JOIN embeddings_postingembedding e
    ON e.posting_id = p.id AND e.content_hash = p.content_hash
"""


@pytest.fixture(scope="module")
def loaded(stack: Stack) -> Stack:
    """A small sample that was embedded, with the sidecar, workers and beat running."""
    first = next(corpus.postings(1))
    # Forty more postings have the text of one of them, which is encoded once.
    stack.import_sample(
        "postings", 120, *({**first, "external_id": f"copy-{number}"} for number in range(40))
    )
    stack.import_sample("candidates", 30)
    stack.start("sidecar", "embed-worker", "write-worker", "beat")
    stack.notes["output"] = stack.manage("embed", "--wait", "--timeout=240")
    return stack


def test_every_row_has_exactly_one_current_vector(loaded: Stack) -> None:
    assert "160 rows written" in loaded.notes["output"]
    assert "30 rows written" in loaded.notes["output"]
    assert loaded.sql(CURRENT) == [{"n": 160}]
    assert loaded.sql("SELECT count(*) AS n FROM embeddings_postingembedding") == [{"n": 160}]
    assert loaded.sql("SELECT count(*) AS n FROM embeddings_candidateembedding") == [{"n": 30}]


def test_equal_texts_are_encoded_once(loaded: Stack) -> None:
    [sums] = loaded.sql(
        "SELECT sum(c.rows) AS rows, sum(rows_written) AS written, sum(rows_reused) AS reused, "
        "sum(rows_dead) AS dead FROM embeddings_embeddingchunk c "
        "JOIN embeddings_embeddingrun r ON r.id = c.run_id WHERE r.kind = 'posting'"
    )
    assert sums == {"rows": 160, "written": 160, "reused": 40, "dead": 0}


def test_the_ledger_contains_no_vectors_after_a_run(loaded: Stack) -> None:
    assert loaded.sql(
        "SELECT DISTINCT state, vectors IS NULL AS dropped, embedded_ids IS NULL AS ids "
        "FROM embeddings_embeddingchunk"
    ) == [{"state": "written", "dropped": True, "ids": True}]


def test_stored_vectors_equal_those_of_the_model(loaded: Stack) -> None:
    from sentence_transformers import SentenceTransformer

    from workers.encoding.adapter import merge
    from workers.encoding.encoder import location_of

    adapter = find_adapter(DEFAULT, "all-MiniLM-L6-v2")
    assert adapter
    rows = loaded.sql(
        "SELECT p.title, p.skills_text, p.description, e.vector::real[] AS vector FROM postings_posting p "
        "JOIN embeddings_postingembedding e ON e.posting_id = p.id ORDER BY p.id LIMIT 5"
    )
    model = SentenceTransformer(location_of("all-MiniLM-L6-v2"), device="cpu")
    merge(model, adapter)
    for row in rows:
        skills = f"\nSkills: {row['skills_text']}" if row["skills_text"] else ""
        text = f"{row['title']}{skills}\n\n{row['description']}"
        # The vector of a text that is longer than a window is the weighted mean over its windows.
        tokens = model.tokenizer(text, add_special_tokens=False)["input_ids"]
        parts = [tokens[start : start + 254] for start in range(0, len(tokens), 254)]
        vectors = model.encode([model.tokenizer.decode(part) for part in parts])
        mean = np.average(vectors, axis=0, weights=[len(part) for part in parts])
        cosine = float(mean @ np.array(row["vector"]) / np.linalg.norm(mean) / np.linalg.norm(row["vector"]))
        assert cosine > 0.995


def test_the_active_model_has_valid_indexes(loaded: Stack) -> None:
    [model] = loaded.sql("SELECT id, state FROM embeddings_embeddingmodel")
    assert model["state"] == "active"
    indexes = loaded.sql(
        "SELECT relname, indisvalid FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid "
        "WHERE relname LIKE '%hnsw%' ORDER BY 1"
    )
    assert indexes == [
        {"relname": f"embeddings_candidateembedding_hnsw_{model['id']}", "indisvalid": True},
        {"relname": f"embeddings_postingembedding_hnsw_{model['id']}", "indisvalid": True},
    ]


def test_the_sidecar_acknowledged_the_invalidations_of_both_runs(loaded: Stack) -> None:
    rows = loaded.sql(
        "SELECT acknowledged_at IS NOT NULL AS done, acknowledged_by FROM embeddings_invalidation"
    )
    address = f"127.0.0.1:{loaded.ports.invalidation}"
    assert rows == [{"done": True, "acknowledged_by": [address]}] * 2


def test_the_command_reports_that_nothing_is_pending(loaded: Stack) -> None:
    assert "Nothing is pending" in loaded.manage("embed", "--wait")


def test_an_edit_in_plain_sql_makes_its_row_pending_and_the_schedule_embeds_it(loaded: Stack) -> None:
    before = loaded.sql("SELECT vector::text AS v FROM embeddings_postingembedding WHERE posting_id = 1")
    loaded.sql(
        "UPDATE postings_posting SET description = 'Completely different: a lighthouse keeper' WHERE id = 1"
    )
    assert loaded.sql(CURRENT) == [{"n": 159}]
    loaded.embed_every_two_seconds()
    wait_until(lambda: loaded.sql(CURRENT) == [{"n": 160}], "the edited row is embedded again")
    assert (
        loaded.sql("SELECT vector::text AS v FROM embeddings_postingembedding WHERE posting_id = 1") != before
    )


def test_a_status_edit_makes_nothing_pending(loaded: Stack) -> None:
    loaded.sql("UPDATE postings_posting SET status = 'closed', salary_min = 1 WHERE id = 2")
    assert loaded.sql(CURRENT) == [{"n": 160}]


def test_recommendations_match_the_skills_of_the_candidate(loaded: Stack, tmp_path: Path) -> None:
    loaded.start("embedding-server", "web")
    printed = loaded.manage("recommend", "--candidate=sample-c-0000001", "--limit=3")
    assert "Pharmacist" in printed
    assert "has:" in printed
    printed = loaded.manage("recommend", "--text", "heating and plumbing technician", "--limit=3")
    assert "no vector" not in printed
    data = loaded.graphql(
        "query($text: String!) { searchPostings(text: $text, first: 5) { degraded totalCount edges "
        "{ score node { title jobFamily } explanation { vectorScore parts { name value weight } } } } }",
        text="heating and plumbing technician",
    )["searchPostings"]
    assert data["degraded"] is False
    assert data["edges"][0]["node"]["jobFamily"] == "Plumbing and heating"
    for edge in data["edges"]:
        parts = edge["explanation"]["parts"]
        assert edge["score"] == pytest.approx(sum(part["value"] * part["weight"] for part in parts), abs=1e-5)


def test_metrics_add_up_over_both_web_processes(loaded: Stack) -> None:
    def lookups() -> float:
        with urllib.request.urlopen(f"http://127.0.0.1:{loaded.ports.web}/metrics", timeout=10) as page:
            lines = page.read().decode().splitlines()
        return sum(
            float(line.split()[-1]) for line in lines if line.startswith("jobrec_cache_lookups_total{")
        )

    requests = 40  # each on its own connection, so that both processes answer some
    before = lookups()
    for _ in range(requests):
        loaded.graphql("{ skillCategories { name } }")
    assert [lookups() >= before + requests for _ in range(10)] == [True] * 10


def test_another_instance_pulls_the_vectors_from_the_embedding_server(loaded: Stack) -> None:
    """The embedding server supplies vectors that were deleted, as it would to another instance."""
    for name in ("beat", "embed-worker"):
        loaded.halt(name)
    vectors = (
        "SELECT posting_id, vector::real[] AS vector FROM embeddings_postingembedding "
        "WHERE posting_id BETWEEN 101 AND 120 ORDER BY 1"
    )
    before = loaded.sql(vectors)
    loaded.sql("DELETE FROM embeddings_postingembedding WHERE posting_id BETWEEN 101 AND 120")
    address = f"127.0.0.1:{loaded.ports.embedding}"
    assert "finished: 20 rows written, 0 dead letters" in loaded.manage("pull", address, "--kind=posting")
    for old, new in zip(before, loaded.sql(vectors), strict=True):
        assert new["posting_id"] == old["posting_id"]
        np.testing.assert_allclose(new["vector"], old["vector"], atol=0.01)


def test_a_slow_statement_is_cancelled_and_the_web_processes_survive(loaded: Stack) -> None:
    assert loaded.supervisor is not None
    web = psutil.Process(loaded.supervisor.pid("web"))
    before = {child.pid for child in web.children()}
    with psycopg.connect(loaded.database_url) as other:
        other.execute("LOCK TABLE postings_posting")  # until the end of the transaction
        [error] = loaded.answer("{ postings(first: 1) { totalCount } }")["errors"]
    assert error["message"] == "took longer than 3 s: narrow the query down"
    assert error["extensions"] == {"code": "TIMED_OUT", "limit": "WEB_STATEMENT_TIMEOUT", "bound": 3.0}
    for first in range(1, 9):  # different requests, since responses are cached; enough for both processes
        assert loaded.graphql(f"{{ postings(first: {first}) {{ totalCount }} }}") == {
            "postings": {"totalCount": 160}
        }
    assert {child.pid for child in web.children()} == before


@pytest.mark.parametrize("content_type", ["application/json; x*=bogus'a'b", "application/json; charset=hex"])
def test_an_unreadable_content_type_is_answered_with_415(loaded: Stack, content_type: str) -> None:
    request = urllib.request.Request(
        f"http://127.0.0.1:{loaded.ports.web}/graphql?a=1", b"{}", {"Content-Type": content_type}
    )
    with pytest.raises(urllib.error.HTTPError) as error:
        urllib.request.urlopen(request, timeout=30)
    assert error.value.code == 415
    assert json.load(error.value)["errors"][0]["extensions"]["code"] == "UNSUPPORTED_CONTENT_TYPE"


def test_search_uses_full_text_and_skills_while_the_embedding_server_is_down(loaded: Stack) -> None:
    loaded.halt("embedding-server")
    data = loaded.graphql(
        '{ searchPostings(text: "welding and quality control on night shifts", first: 3) '
        "{ degraded edges { explanation { textScore matchedSkills { name } } } } }"
    )["searchPostings"]
    assert data["degraded"] is True
    # The write worker has indexed the texts during the run.
    assert max(edge["explanation"]["textScore"] for edge in data["edges"]) > 0
    for edge in data["edges"]:
        matched = {skill["name"] for skill in edge["explanation"]["matchedSkills"]}
        assert matched <= {"Welding", "Quality control"}
