"""Encoding in a subprocess: texts that crash it, and the end of its parent."""

import os
import signal
import subprocess
import sys

import numpy as np
import psutil
import pytest
import torch

from tests import failing_texts
from tests.stack import wait_until
from workers.encoding.encoder import Encoder, ModelVersion
from workers.encoding.errors import TransientEncoderError
from workers.encoding.hardware import Hardware
from workers.encoding.isolation import encode_isolating
from workers.encoding.subprocess_encoder import SubprocessEncoder

VERSION = ModelVersion("all-MiniLM-L6-v2", "main", windows=4, dimensions=384)
EXACT = Hardware("cpu", torch.float32, slots=1, threads=1, batch_tokens=2048)


def nothing() -> None:
    """Do nothing while the encoder is busy."""


def encoding_processes(pid: int) -> list[psutil.Process]:
    """Return the subprocesses that the fork server of a worker has forked."""
    servers = [
        child
        for child in psutil.Process(pid).children()
        if any("forkserver" in word for word in child.cmdline())
    ]
    return [process for server in servers for process in server.children()]


def test_texts_that_crash_raise_or_yield_nan_are_found_and_all_others_encoded() -> None:
    texts = [f"a text with the number {number}" for number in range(24)]
    texts[3] += failing_texts.SEGFAULTS
    texts[9] += failing_texts.RAISES
    texts[14] += failing_texts.IS_KILLED
    texts[20] += failing_texts.NOT_FINITE
    beats: list[int] = []
    with SubprocessEncoder(
        VERSION, EXACT, on_wait=lambda: beats.append(1), load=failing_texts.load
    ) as encoder:
        vectors, bad = encode_isolating(encoder.encode, texts, suspect=True)
    assert [(each.index, each.error) for each in bad] == [
        (3, "TextFatalError: the subprocess was killed by SIGSEGV"),
        (9, "ValueError: cannot encode '…'"),  # does not quote the text
        (14, "TextFatalError: the subprocess was killed by SIGKILL"),
        (20, "the model yields a vector that is not finite"),
    ]
    assert "in encode" in bad[1].traceback
    assert sorted(vectors) == [number for number in range(24) if number not in {3, 9, 14, 20}]
    expected = Encoder(VERSION, EXACT).encode(texts[:1])[0]
    np.testing.assert_allclose(vectors[0], expected, atol=1e-5)
    assert beats


def test_a_subprocess_that_cannot_load_the_model_raises_a_transient_error() -> None:
    broken = ModelVersion("/no/such/model", "main", windows=4, dimensions=384)
    with (
        SubprocessEncoder(broken, EXACT, on_wait=nothing) as encoder,
        pytest.raises(TransientEncoderError, match="cannot load '/no/such/model'"),
    ):
        encode_isolating(encoder.encode, ["a", "b"], suspect=True)


def test_an_exception_from_on_wait_ends_the_call_and_the_subprocess() -> None:
    def lost() -> None:
        raise LookupError("the lease is lost")

    with SubprocessEncoder(VERSION, EXACT, on_wait=lost) as encoder, pytest.raises(LookupError):
        encoder.encode(["a"])
    assert not encoding_processes(os.getpid())


def test_the_subprocess_ends_when_its_parent_is_killed() -> None:
    script = (
        "import time\n"
        "from tests.integration.workers.subprocess_encoder_test import *\n"
        "if __name__ == '__main__':\n"
        "    encoder = SubprocessEncoder(VERSION, EXACT, on_wait=nothing)\n"
        "    encoder.encode(['a'])\n"
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
    """Return whether a process runs. A zombie does not: a container may lack an init that reaps it."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
