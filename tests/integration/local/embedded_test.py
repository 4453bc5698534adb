"""Who may connect to the embedded PostgreSQL: the account that starts jobrec, and nobody else."""

import getpass
import os
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from jobrec_site.addresses import embedded_database_url, socket_folder
from jobrec_site.local import embedded

STRANGER = "nobody"
PROGRAM = "CREATE TABLE t (x text); COPY t FROM PROGRAM 'id'; TABLE t"


@contextmanager
def running(data: Path) -> Iterator[None]:
    """The embedded server on `data`."""
    process = embedded.prepare_postgres(data, memory=2**30, fast=True).start()
    try:
        embedded.wait_for_postgres(data)
        yield
    finally:
        process.terminate()
        process.wait(20)


@pytest.fixture
def data() -> Iterator[Path]:
    """A data folder that other accounts may enter."""
    folder = Path(tempfile.mkdtemp(prefix="jobrec-accounts-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def psql(data: Path, *, account: str | None = None) -> "subprocess.CompletedProcess[str]":
    """Run a program on the server as its superuser, from an account of the machine."""
    arguments = ["-h", str(socket_folder(data)), "-U", "postgres", "-d", "postgres", "-c", PROGRAM]
    return subprocess.run(
        [str(embedded.binaries() / "psql"), *arguments],
        user=account,
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
    )


def loosen(data: Path) -> None:
    """Leave the folder as earlier versions of jobrec did."""
    (embedded.postgres_folder(data) / "pg_hba.conf").write_text("local all all trust\n")
    socket_folder(data).chmod(0o755)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another account")
def test_other_accounts_are_refused_on_a_new_and_on_an_older_data_folder(data: Path) -> None:
    for _ in range(2):
        with running(data):
            assert stat.S_IMODE(socket_folder(data).stat().st_mode) == 0o700
            assert "Permission denied" in psql(data, account=STRANGER).stderr
            # Even where somebody opens the folder and the socket, the server asks the kernel who connects.
            socket_folder(data).chmod(0o755)
            (socket_folder(data) / ".s.PGSQL.5432").chmod(0o777)
            refused = psql(data, account=STRANGER)
            assert (refused.returncode, refused.stdout) == (2, "")
            assert "authentication failed" in refused.stderr
        loosen(data)


def test_own_account_is_let_in_and_named_in_the_map(data: Path) -> None:
    with running(data):
        with psycopg.connect(embedded_database_url(data, name="postgres")) as connection:
            assert connection.execute("SELECT system_user").fetchone() == (f"peer:{getpass.getuser()}",)
        rules = (embedded.postgres_folder(data) / embedded.HBA_FILE).read_text()
        assert rules.split() == ["local", "all", "postgres", "peer", "map=jobrec"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_socket_folder_of_another_account_is_refused(data: Path) -> None:
    socket_folder(data).mkdir()
    shutil.chown(socket_folder(data), STRANGER)
    with pytest.raises(embedded.EmbeddedServerError, match="belongs to another account"):
        embedded.prepare_postgres(data)
