"""A place to measure in: embedded servers, durable as in `make run`, and an empty database."""

import gzip
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from apps.embeddings.models import EmbeddingModel, EmbeddingRun
    from jobrec_site.local.supervision import Supervisor

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
SHARED = ROOT.parent / "shared" / "data"


@contextmanager
def servers(folder: Path | None = None, **settings: str) -> Iterator[Path]:
    """Runs PostgreSQL and Valkey on `folder` (a throw-away one by default), migrates, and sets Django up.

    `settings` are environment variables for this process and those it starts.
    """
    from jobrec_site.addresses import embedded_addresses
    from jobrec_site.local import embedded

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # stops what was started, as Ctrl-C does
    data = (folder or Path(tempfile.mkdtemp(prefix="jobrec-bench-"))).resolve()
    os.environ |= {"DJANGO_SETTINGS_MODULE": "jobrec_site.settings", **embedded_addresses(data), **settings}
    os.environ.setdefault("LOG_LEVEL", "WARNING")
    commands = [embedded.prepare_postgres(data), embedded.prepare_valkey(data)]
    started = [command.start() for command in commands]
    try:
        embedded.wait_for_postgres(data)
        embedded.wait_for_valkey(data)
        embedded.create_database(data)
        (data / "static").mkdir(exist_ok=True)  # no page is asked for here, and the web looks for its files
        import django

        django.setup()
        manage("migrate", "--verbosity=0")
        yield data
    finally:
        _let_go()
        for process in reversed(started):
            process.terminate()
        for process in started:
            process.wait(30)
        if folder is None:
            shutil.rmtree(data, ignore_errors=True)


def manage(*arguments: str) -> None:
    """Runs a management command, its output shown only where it fails. In this process: another would have to start."""
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
    """Whether the real rows of `kind` lie beside the checkout."""
    return REAL[kind][0].exists()


def rows_file(data: Path, kind: str, *, rows: int | None = None, real: bool = True) -> tuple[Path, list[str]]:
    """(a gzip file of postings or candidates, arguments for its import): the real ones, or `rows` from all over them.

    Real candidates are statements of experience. Without `real`, or where the real ones are not there, generated ones:
    of those, `rows` are the first of a larger number.
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
def processes(data: Path, *names: str) -> Iterator["Supervisor"]:
    """Runs some of jobrec's own processes, by their names in `make run`, under its process manager."""
    from django.conf import settings

    from jobrec_site.local.programs import Ports, application
    from jobrec_site.local.supervision import Supervisor

    supervisor = Supervisor(data, application(Ports(web=settings.WEB_PORT)))
    supervisor.start()
    try:
        supervisor.run(names)
        yield supervisor
    finally:
        supervisor.stop()


def embed(kind: str, model: "EmbeddingModel", supervisor: "Supervisor") -> "EmbeddingRun":
    """Embeds what is pending with running workers; returns when the caches have acknowledged it, its last step."""
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
    if not new:  # a benchmark that was stopped left it, and its rows may have changed since
        return embed(kind, model, supervisor)
    run.refresh_from_db()
    if run.progress().written != run.rows:
        raise SystemExit(f"{run}: only {run.progress().written} of {run.rows} rows were written")
    return run


def free_addresses() -> dict[str, str]:
    """Settings that put every port where nothing listens."""
    from jobrec_site.local.preflight import free_ports

    ports = free_ports()
    return {
        "WEB_PORT": str(ports.web),
        "EMBEDDING_BIND": f"127.0.0.1:{ports.embedding}",
        "EMBEDDING_ADDRESS": f"127.0.0.1:{ports.embedding}",
        "INVALIDATION_BIND": f"127.0.0.1:{ports.invalidation}",
        "INVALIDATION_ADDRESSES": f"127.0.0.1:{ports.invalidation}",
    }


def _let_go() -> None:
    """Of the servers, which will stop."""
    try:
        from django.db import connections

        from apps.caching.mirror import mirror

        mirror.close()
        connections.close_all()
    except Exception as error:  # noqa: BLE001  Django may not have been set up
        print(f"closing connections: {error}", file=sys.stderr)
