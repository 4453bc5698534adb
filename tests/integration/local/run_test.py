"""`make run` and `make demo` from an empty folder to Ctrl-C."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import psutil
import pytest

from jobrec_site.local.preflight import free_ports
from jobrec_site.local.programs import ROOT
from tests.browser import browser_page

COMMAND = [sys.executable, "-m", "jobrec_site.local"]
SMALL = ["--postings", "40", "--candidates", "10"]


def environment(**changes: str) -> dict[str, str]:
    """The environment of a new user: without the addresses of the test run."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not re.match("DJANGO|DATABASE|REDIS|JOBREC", name)
    }
    return inherited | {"EMBEDDING_NICE": "0"} | changes  # other tests run at the same time


def marked(mark: str) -> list[list[str]]:
    """Command lines of the processes with `mark` in their environment."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.status() != psutil.STATUS_ZOMBIE and process.environ().get("JOBREC_TEST_MARK") == mark:
                found.append(process.cmdline())
        except psutil.Error:
            continue  # it ended, or belongs to another user
    return found


def test_demo_prints_recommendations_and_leaves_no_process_behind() -> None:
    mark = uuid4().hex
    done = subprocess.run(
        [*COMMAND, "demo", *SMALL],
        cwd=ROOT,
        # The demo must not use servers that are configured in .env.
        env=environment(
            JOBREC_TEST_MARK=mark,
            DATABASE_URL="postgresql://nobody@127.0.0.1:1/theirs",
            REDIS_URL="redis://127.0.0.1:1",
            REDIS_BROKER_URL="redis://127.0.0.1:1/7",
        ),
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "40 rows written" in done.stdout
    assert re.search(r"^  1\. 0\.\d{3}  \w", done.stdout, re.MULTILINE)
    assert marked(mark) == []


@contextmanager
def interruptible() -> Iterator[None]:
    """A context whose processes receive Ctrl-C even if the tests run in the background of a shell."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@dataclass
class Running:
    """A running `make run`."""

    process: "subprocess.Popen[str]"
    data: Path
    variables: dict[str, str]
    web: str
    output: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A `make run` on a folder of its own, after it has printed its addresses."""
    data, ports = tmp_path_factory.mktemp("run") / "data", free_ports()
    variables = environment(
        JOBREC_DATA_DIR=str(data),
        WEB_PORT=str(ports.web),
        FLOWER_PORT=str(ports.flower),
        EMBEDDING_BIND=f"127.0.0.1:{ports.embedding}",
        EMBEDDING_ADDRESS=f"127.0.0.1:{ports.embedding}",
        INVALIDATION_BIND=f"127.0.0.1:{ports.invalidation}",
        INVALIDATION_ADDRESSES=f"127.0.0.1:{ports.invalidation}",
    )
    with interruptible():
        process = subprocess.Popen(
            [*COMMAND, "run", *SMALL],
            cwd=ROOT,
            env=variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
    up = Running(process, data, variables, f"http://localhost:{ports.web}")
    assert process.stdout is not None
    try:
        for line in process.stdout:
            up.output.append(line)
            if "Ctrl-C stops everything" in line:
                break
        assert "Ctrl-C" in up.output[-1], "".join(up.output)
        yield up
    finally:
        if process.poll() is None:  # no test stopped it
            process.terminate()
            process.wait(60)
        process.stdout.close()


def test_run_refuses_a_data_folder_that_is_in_use(running: Running) -> None:
    done = subprocess.run(
        [*COMMAND, "run"],
        cwd=ROOT,
        env=running.variables,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert f"jobrec already runs on {running.data}: stop it first" in done.stderr


def test_run_names_a_port_that_is_in_use(running: Running, tmp_path: Path) -> None:
    variables = running.variables | {"JOBREC_DATA_DIR": str(tmp_path)}
    done = subprocess.run(
        [*COMMAND, "run"], cwd=ROOT, env=variables, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert f"Port {variables['WEB_PORT']} is in use by another program" in done.stderr
    assert "WEB_PORT" in done.stderr


def test_command_without_a_database_says_how_to_start_one(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "manage.py", "models", "list"],
        cwd=ROOT,
        env=environment(JOBREC_DATA_DIR=str(tmp_path)),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("Cannot connect to PostgreSQL: ")
    assert "`make run`" in done.stderr
    assert "Traceback" not in done.stderr


def test_run_names_a_data_folder_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "secret-key").mkdir()  # not even root can read this
    done = subprocess.run(
        [*COMMAND, "run"],
        cwd=ROOT,
        env=environment(JOBREC_DATA_DIR=str(tmp_path)),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert f"Cannot store the secret key in {tmp_path / 'secret-key'}: " in done.stderr
    assert "Was jobrec run as root before?" in done.stderr
    assert "Traceback" not in done.stderr


def test_run_refuses_a_data_folder_of_another_postgres_version(tmp_path: Path) -> None:
    (tmp_path / "postgres").mkdir()
    (tmp_path / "postgres" / "PG_VERSION").write_text("16\n")
    ports = free_ports()
    variables = environment(
        JOBREC_DATA_DIR=str(tmp_path), WEB_PORT=str(ports.web), FLOWER_PORT=str(ports.flower)
    )
    for name, port in (("EMBEDDING_BIND", ports.embedding), ("INVALIDATION_BIND", ports.invalidation)):
        variables[name] = f"127.0.0.1:{port}"
    done = subprocess.run(
        [*COMMAND, "run"], cwd=ROOT, env=variables, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert "was made by PostgreSQL 16, but this jobrec runs 18" in done.stderr


def test_pages_work_in_a_browser_without_requests_to_other_servers(running: Running) -> None:
    [password] = re.findall(r"user admin, password (\S+)", "".join(running.output))
    with browser_page() as page:
        problems: list[str] = []
        page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on(
            "request",
            lambda request: (
                problems.append(request.url)
                if not request.url.startswith((running.web, "data:", "blob:"))
                else None
            ),
        )
        page.goto(f"{running.web}/admin/")
        page.fill("input[name=username]", "admin")
        page.fill("input[name=password]", password)
        page.click("[type=submit]")
        page.wait_for_selector("text=Postings")
        page.goto(f"{running.web}/admin/postings/posting/")
        assert page.locator("#result_list tbody tr, .result-list tbody tr, table tbody tr").count() > 20
        page.goto(f"{running.web}/graphql#query=%7B%20postings(first%3A%203)%20%7B%20totalCount%20%7D%20%7D")
        page.click("button.graphiql-execute-button")
        page.wait_for_selector('.result-window:has-text("totalCount")')
        assert "40" in page.inner_text(".result-window")
        assert problems == []


def test_flower_lists_the_workers(running: Running) -> None:
    import urllib.request

    with urllib.request.urlopen(
        f"http://localhost:{running.variables['FLOWER_PORT']}/workers", timeout=20
    ) as answer:
        text = answer.read().decode()
    assert "embed@" in text
    assert "write@" in text


def test_ctrl_c_stops_everything_and_the_next_start_keeps_the_data(running: Running) -> None:
    children = psutil.Process(running.process.pid).children(recursive=True)
    assert len(children) >= 9
    running.process.send_signal(signal.SIGINT)
    time.sleep(0.5)
    running.process.send_signal(signal.SIGINT)  # a second time, while it stops
    assert running.process.wait(120) == 0
    assert not [child for child in children if child.is_running() and child.status() != psutil.STATUS_ZOMBIE]
    again = subprocess.Popen(
        [*COMMAND, "run", *SMALL],
        cwd=ROOT,
        env=running.variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert again.stdout is not None
    output = []
    for line in again.stdout:
        output.append(line)
        if "Nothing is pending" in line:
            break
    text = "".join(output)
    assert "Nothing is pending" in text
    assert "sample" not in text
    again.send_signal(signal.SIGTERM)  # while most programs are still starting
    assert again.wait(120) == 143
