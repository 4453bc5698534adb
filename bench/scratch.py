"""Servers to measure on: embedded PostgreSQL and Valkey, durable as in `make run`, with an empty database."""

import gzip
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import StringIO
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from apps.embeddings.models import EmbeddingModel, EmbeddingRun
    from jobrec_site.local.programs import Program
    from jobrec_site.local.supervision import Supervisor

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
SHARED = ROOT.parent / "shared" / "data"


@contextmanager
def servers(folder: Path | None = None, **settings: str) -> Iterator[Path]:
    """Run PostgreSQL and Valkey on `folder` (a temporary one by default), set Django up, migrate; yield the
    folder.

    `settings` are environment variables for this process and those that it starts.
    """
    from jobrec_site.addresses import embedded_addresses
    from jobrec_site.local import embedded

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # stop what was started, as on Ctrl-C
    data = (folder or Path(tempfile.mkdtemp(prefix="jobrec-bench-"))).resolve()
    os.environ |= {"DJANGO_SETTINGS_MODULE": "jobrec_site.settings", **embedded_addresses(data), **settings}
    os.environ.setdefault("LOG_LEVEL", "WARNING")
    commands = [embedded.prepare_postgres(data), embedded.prepare_valkey(data)]
    started = [command.start() for command in commands]
    try:
        embedded.wait_for_postgres(data)
        embedded.wait_for_valkey(data)
        embedded.create_database(data)
        (data / "static").mkdir(exist_ok=True)  # the web server looks for it
        import django

        django.setup()
        manage("migrate", "--verbosity=0")
        yield data
    finally:
        _close_connections()
        for process in reversed(started):
            process.terminate()
        for process in started:
            process.wait(30)
        if folder is None:
            shutil.rmtree(data, ignore_errors=True)


def manage(*arguments: str) -> None:
    """Run a management command in this process, and show its output only where it fails."""
    from django.core.management import CommandError, call_command

    output = StringIO()
    try:
        call_command(*arguments, stdout=output, stderr=output)
    except CommandError as error:
        raise SystemExit(f"manage.py {' '.join(arguments)} failed: {error}\n{output.getvalue()}") from error


REAL = {
    "postings": (SHARED / "postings" / "usajobs.jsonl.gz", 47_320),
    "candidates": (SHARED / "candidates" / "experience_statements.jsonl.gz", 3_147),
}


def has_real(kind: str) -> bool:
    """True where the real rows of `kind` lie next to the checkout."""
    return REAL[kind][0].exists()


def rows_file(data: Path, kind: str, *, rows: int | None = None, real: bool = True) -> tuple[Path, list[str]]:
    """Return a gzip file of postings or candidates, and the arguments for its import.

    The real rows, or `rows` taken evenly from them; real candidates are statements of experience. Where
    `real` is false or the real rows are missing, `rows` generated ones.
    """
    file, (source, all_rows) = data / f"{kind}.jsonl.gz", REAL[kind]
    if not real or not has_real(kind):
        manage("generate_sample", kind, f"--count={rows or all_rows}", f"--out={file}", "--force")
        return file, []
    arguments = ["--preset", "usajobs", "--rejects", str(data / f"{kind}-rejects.jsonl")]
    if rows is None or rows >= all_rows:
        return source, arguments
    with gzip.open(source) as lines, gzip.open(file, "wb", compresslevel=1) as target:
        target.writelines(islice(lines, 0, rows * (all_rows // rows), all_rows // rows))
    return file, arguments


@contextmanager
def processes(
    data: Path, *names: str, web_workers: int = 2, more: "Sequence[Program]" = ()
) -> Iterator["Supervisor"]:
    """Run some of jobrec's processes by their names in `make run`; those of `more` are started by the
    benchmark.

    Yields the process manager once the gRPC servers among them serve.
    """
    from django.conf import settings

    from apps.rpc.client import is_serving
    from jobrec_site.local.programs import Ports, application
    from jobrec_site.local.supervision import Supervisor

    supervisor = Supervisor(
        data, [*application(Ports(web=settings.WEB_PORT), web_workers=web_workers), *more]
    )
    addresses = {"embedding-server": settings.EMBEDDING_ADDRESS, "sidecar": settings.INVALIDATION_BIND}
    supervisor.start()
    try:
        supervisor.run(names)
        for name in addresses.keys() & set(names):
            while not is_serving(addresses[name]):
                time.sleep(0.1)
        yield supervisor
    finally:
        supervisor.stop()


def embed(kind: str, model: "EmbeddingModel", supervisor: "Supervisor") -> "EmbeddingRun":
    """Embed what is pending with running workers; return when the caches have acknowledged the run, its last
    step."""
    from apps.embeddings.models import Invalidation
    from apps.embeddings.runs import request_run
    from workers.tasks import plan_run

    run, new = request_run(kind, model, reason="benchmark")
    plan_run.delay(run.pk)
    while not Invalidation.objects.filter(run=run, acknowledged_at__isnull=False).exists():
        run.refresh_from_db()
        if run.state == run.State.PAUSED or supervisor.failed():
            raise SystemExit(f"{run}: {run.paused_because or supervisor.failed()}")
        time.sleep(0.2)
    if not new:  # a stopped benchmark left this run, and rows may have changed since
        return embed(kind, model, supervisor)
    run.refresh_from_db()
    if run.progress().written != run.rows:
        raise SystemExit(f"{run}: only {run.progress().written} of {run.rows} rows were written.")
    return run


def embed_in_process(kind: str, model: "EmbeddingModel") -> "EmbeddingRun":
    """Embed what is pending by the steps of the pipeline in this process, so that no worker has to start."""
    from apps.embeddings import chunk_ledger, leases, planning, runs
    from workers import chunks

    run, _ = runs.request_run(kind, model, reason="benchmark")
    planning.write_plan(run.pk)
    for chunk_id in run.chunks.order_by("number").values_list("pk", flat=True):
        lease = leases.lease_chunk(chunk_id, task_id=None, worker=None)
        assert lease is not None
        chunks.process(lease)
        chunk_ledger.write_chunk(chunk_id)
    finished = chunk_ledger.finish_run(run.pk)
    run.refresh_from_db()
    if not finished or run.progress().written != run.rows:
        raise SystemExit(f"{run}: only {run.progress().written} of {run.rows} rows were written.")
    return run


def free_addresses() -> dict[str, str]:
    """Settings that put every server on a free port."""
    from jobrec_site.local.preflight import free_ports

    ports = free_ports()
    return {
        "WEB_PORT": str(ports.web),
        "EMBEDDING_BIND": f"127.0.0.1:{ports.embedding}",
        "EMBEDDING_ADDRESS": f"127.0.0.1:{ports.embedding}",
        "INVALIDATION_BIND": f"127.0.0.1:{ports.invalidation}",
        "INVALIDATION_ADDRESSES": f"127.0.0.1:{ports.invalidation}",
    }


def _close_connections() -> None:
    """Close this process's connections to the servers, which are about to stop."""
    try:
        from django.db import connections

        from apps.caching.mirror import mirror

        mirror.close()
        connections.close_all()
    except Exception as error:  # noqa: BLE001  Django may not be set up yet
        print(f"Cannot close the connections: {error}", file=sys.stderr)
