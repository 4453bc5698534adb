"""Model changes: no incomplete model is activated, no vectors are mixed, and a rollback is one step."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.embeddings import chunk_ledger, lifecycle, planning, registry, runs
from apps.embeddings.adapters import find_adapter
from apps.embeddings.chunk_ledger import EmbeddedText
from apps.embeddings.errors import ModelStateError
from apps.embeddings.index import index_exists
from apps.embeddings.models import EmbeddingModel, EmbeddingRun, PostingEmbedding
from apps.embeddings.reading import read_texts
from apps.postings.models import Posting
from apps.recommendations.retrieval import nearest
from tests.integration.embeddings.factories import current_ids, lease_of, make_postings, planned_run

pytestmark = pytest.mark.django_db(
    transaction=True
)  # indexes are built concurrently, outside of transactions


@pytest.fixture(autouse=True)
def no_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("celery.current_app.send_task", lambda *_, **__: None)


def fill(model: EmbeddingModel) -> None:
    """Embed pending postings for `model`, each text in a direction of its own."""
    run = planned_run(model)
    for chunk in run.chunks.all():
        lease = lease_of(chunk)
        texts, _ = read_texts(lease)
        chunk_ledger.store_vectors(
            lease,
            [
                EmbeddedText(
                    text.content_hash,
                    text.row_ids,
                    np.eye(model.dimensions)[text.row_ids[0] % model.dimensions],
                )
                for text in texts
            ],
        )
        chunk_ledger.write_chunk(chunk.pk)
    assert chunk_ledger.finish_run(run.pk)
    lifecycle.build_indexes(run.pk)
    runs.cancel_run(
        EmbeddingRun.objects.filter(model=model, kind="candidate").values_list("pk", flat=True).first() or 0
    )


def test_a_model_change_between_dimensions_mixes_no_vectors_and_can_be_rolled_back() -> None:
    postings = make_postings(12)
    old, _ = lifecycle.add_model("old", dimensions=3)
    fill(old)
    assert EmbeddingModel.objects.active() == old  # the first model, once it is complete

    new, asked = lifecycle.add_model("new", dimensions=5)
    assert {run.kind for run in asked} == {"posting", "candidate"}
    with pytest.raises(
        ModelStateError,
        match="12 of 12 postings have no current vector; its index over postings is not built",
    ):
        lifecycle.activate(new)
    assert EmbeddingModel.objects.active() == old

    fill(new)
    assert EmbeddingModel.objects.active() == old  # a later model is not activated automatically
    # An edit during the change is pending for both models and embedded for both.
    Posting.objects.filter(pk=postings[0].pk).update(title="Edited during the change")
    assert {run.model for run in runs.request_due_runs("posting", reason="test")} == {old, new}
    fill(old)
    fill(new)
    for model in (old, new):
        assert current_ids(model) == {each.pk for each in postings}

    assert lifecycle.activate(new)
    assert not lifecycle.activate(new)
    for model in (old, new):
        found = nearest(
            "posting",
            str(np.eye(model.dimensions)[0].tolist()),
            model=model,
            matching=Posting.objects.all(),
            k=20,
        )
        assert len(found.rows) == 12

    assert lifecycle.rollback() == old
    assert EmbeddingModel.objects.active() == old
    assert lifecycle.rollback() == new  # a second rollback returns to the new model

    with pytest.raises(ModelStateError, match="it answers queries"):
        lifecycle.retire(new)
    assert lifecycle.retire(old) == 12
    assert not index_exists(old, "posting")
    assert set(PostingEmbedding.objects.values_list("model_id", flat=True)) == {new.pk}
    with pytest.raises(ModelStateError, match="Cannot roll back"):
        lifecycle.rollback()
    with pytest.raises(ModelStateError, match="is retired"):
        lifecycle.activate(old, force=True)
    assert [model.pk for model in registry.models_to_fill()] == [new.pk]


def test_activate_with_force_accepts_missing_vectors() -> None:
    make_postings(3)
    model, _ = lifecycle.add_model("new", dimensions=3)
    assert lifecycle.activate(model, force=True)
    assert EmbeddingModel.objects.active() == model


def test_an_interrupted_retirement_continues_and_a_retired_model_can_be_added_again() -> None:
    make_postings(4)
    first, _ = lifecycle.add_model("first", dimensions=3)
    fill(first)
    second, _ = lifecycle.add_model("second", dimensions=3)
    fill(second)
    EmbeddingModel.objects.filter(pk=second.pk).update(
        state="retired"
    )  # as if killed before it deleted anything
    assert lifecycle.retire(second) == 4
    again, asked = lifecycle.add_model("second", dimensions=3)
    assert (again.pk, again.state, len(asked)) == (second.pk, "filling", 2)
    assert planning.has_pending("posting", again)
    with pytest.raises(ModelStateError, match="with 7 dimensions: it is registered with 3"):
        lifecycle.add_model("second", dimensions=7)


def test_an_invalid_index_is_built_again() -> None:
    make_postings(4)
    model, _ = lifecycle.add_model("first", dimensions=3)
    fill(model)
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE pg_index SET indisvalid = false WHERE indexrelid = %s::regclass",
            [f"embeddings_postingembedding_hnsw_{model.pk}"],
        )
    assert not index_exists(model, "posting")
    run, _ = runs.request_run("posting", model, reason="test")
    lifecycle.build_indexes(run.pk)
    assert index_exists(model, "posting")
    with CaptureQueriesContext(connection) as asked:
        lifecycle.build_indexes(run.pk)
    # Nothing is missing, so no row is counted.
    assert not [each for each in asked if "postings_posting" in each["sql"]]


def test_another_adapter_is_another_model_that_is_filled_activated_and_rolled_back(
    settings: Any, tmp_path: Path
) -> None:
    make_postings(3)
    settings.EMBEDDING_DIMENSIONS = 3
    settings.EMBEDDING_ADAPTER = ""
    plain = registry.default_model()
    fill(plain)
    file = tmp_path / "adapter.safetensors"
    file.write_bytes(b"first")
    first, _ = lifecycle.add_model(plain.name, dimensions=3, adapter=find_adapter(str(file), plain.name))
    assert first.revision == f"{plain.revision}-a{first.adapter_sha256[:12]}"
    assert first.adapter == str(file)
    fill(first)
    assert lifecycle.activate(first)
    assert lifecycle.rollback() == plain
    file.write_bytes(b"second")
    settings.EMBEDDING_ADAPTER = str(file)
    assert registry.default_model() not in (plain, first)
    settings.EMBEDDING_ADAPTER = str(tmp_path / "missing")
    with pytest.raises(ModelStateError, match="Cannot read the adapter"):
        registry.default_model()


def test_the_models_command_reports_results_and_next_steps(capsys: pytest.CaptureFixture[str]) -> None:
    def output(*arguments: str, **options: Any) -> str:
        call_command("models", *arguments, **options)
        return capsys.readouterr().out

    make_postings(2)
    assert "No model is registered" in output("list")
    assert "new@main-t1-w8 is being filled by run" in output("add", "new", "--dimensions=3")
    model = EmbeddingModel.objects.get()
    with pytest.raises(Exception, match="2 of 2 postings have no current vector"):
        output("activate", "new")
    fill(model)
    listed = output("list")
    assert "new@main-t1-w8  3 dimensions  active" in listed
    assert "2 of 2 rows (100.0 %), 0 pending, 0 dead letters, index built" in listed
    assert "answers already" in output("activate", "new")
    with pytest.raises(Exception, match="No model other is registered"):
        output("retire", "other")
    with pytest.raises(Exception, match="not within 1 to 4000"):
        output("add", "big", "--dimensions=5000")
