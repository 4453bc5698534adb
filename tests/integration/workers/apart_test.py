"""Encoding in a process apart: texts that kill it, and the death of its parent."""

import os
import signal
import subprocess
import sys

import numpy as np
import psutil
import pytest
import torch

from tests import poison
from tests.stack import wait_until
from workers.encoding.apart import EncoderApart
from workers.encoding.encoder import Encoder, ModelVersion
from workers.encoding.errors import TransientEncoderError
from workers.encoding.hardware import Hardware
from workers.encoding.isolation import encode_isolating

VERSION = ModelVersion("all-MiniLM-L6-v2", "main", windows=4, dimensions=384)
EXACT = Hardware("cpu", torch.float32, slots=1, threads=1, batch_tokens=2048)


def nothing() -> None:
    pass


def encoding_processes(pid: int) -> list[psutil.Process]:
    """The processes apart of a worker: what its fork server forked."""
    servers = [
        child
        for child in psutil.Process(pid).children()
        if any("forkserver" in word for word in child.cmdline())
    ]
    return [process for server in servers for process in server.children()]


def test_texts_that_kill_raise_and_yield_nonsense_are_found_and_all_others_encoded() -> None:
    texts = [f"a text with the number {number}" for number in range(24)]
    texts[3] += poison.SEGFAULTS
    texts[9] += poison.RAISES
    texts[14] += poison.IS_KILLED
    texts[20] += poison.NOT_FINITE
    beats: list[int] = []
    with EncoderApart(VERSION, EXACT, on_wait=lambda: beats.append(1), load=poison.load) as apart:
        vectors, bad = encode_isolating(apart.encode, texts, suspect=True)
    assert [(each.index, each.error) for each in bad] == [
        (3, "TextFatalError: the process was killed by SIGSEGV"),
        (9, "ValueError: cannot encode '…'"),  # the text itself is left out
        (14, "TextFatalError: the process was killed by SIGKILL"),
        (20, "the model yields a vector that is not finite"),
    ]
    assert "in encode" in bad[1].traceback
    assert sorted(vectors) == [number for number in range(24) if number not in {3, 9, 14, 20}]
    expected = Encoder(VERSION, EXACT).encode(texts[:1])[0]
    np.testing.assert_allclose(vectors[0], expected, atol=1e-5)
    assert beats


def test_a_process_that_cannot_start_blames_no_text() -> None:
    broken = ModelVersion("/no/such/model", "main", windows=4, dimensions=384)
    with (
        EncoderApart(broken, EXACT, on_wait=nothing) as apart,
        pytest.raises(TransientEncoderError, match="cannot load '/no/such/model'"),
    ):
        encode_isolating(apart.encode, ["a", "b"], suspect=True)


def test_what_the_waiting_raises_ends_the_call_and_the_process() -> None:
    def lost() -> None:
        raise LookupError("the lease is lost")

    with EncoderApart(VERSION, EXACT, on_wait=lost) as apart, pytest.raises(LookupError):
        apart.encode(["a"])
    assert not encoding_processes(os.getpid())


def test_the_process_ends_with_its_parent() -> None:
    script = (
        "import time\n"
        "from tests.integration.workers.apart_test import *\n"
        "if __name__ == '__main__':\n"
        "    apart = EncoderApart(VERSION, EXACT, on_wait=nothing)\n"
        "    apart.encode(['a'])\n"
        "    print('ready', flush=True)\n"
        "    time.sleep(600)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    assert parent.stdout.readline() == "ready\n"
    children = encoding_processes(parent.pid)
    assert children
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    wait_until(lambda: not any(map(is_alive, children)), "the child ends", timeout=20)


def is_alive(process: psutil.Process) -> bool:
    """Not so where it only waits for an init that a container may lack."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
