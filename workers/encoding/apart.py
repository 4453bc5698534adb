"""Encoding in a process apart: what a text may kill there is not the worker."""

import multiprocessing
import signal
import traceback
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from types import TracebackType
from typing import Any, Self

import numpy as np

from workers.encoding.encoder import Encoder, ModelVersion, Vectors
from workers.encoding.errors import EncoderBrokenError, TransientEncoderError
from workers.encoding.hardware import Hardware
from workers.encoding.isolation import CANARY

# Not forked from the worker: neither CUDA nor its threads survive that. A server that has imported torch and never used
# it forks instead, so that a new process costs the loading of the model and not the seconds of the import.
_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["workers.encoding.encoder"])

START_SECONDS = 120.0  # for loading the model and the canary


Load = Callable[[ModelVersion, Hardware], Encoder]


class TextFatalError(Exception):
    """A text ended the process that encoded it, or kept it busy without end."""


class RemoteTextError(Exception):
    """What the encoder raised in the process apart. `remote_traceback` has the frames there."""

    def __init__(self, message: str, remote_traceback: str) -> None:
        super().__init__(message)
        self.remote_traceback = remote_traceback


class EncoderApart:
    """Encodes as an Encoder does, in a process that is started anew after each failure.

    Use it as a context manager, from one thread. `on_wait` is called about once a second while a call is under way;
    what it raises ends the call. Killing the parent ends the process.
    """

    def __init__(
        self,
        version: ModelVersion,
        hardware: Hardware,
        *,
        on_wait: Callable[[], None],
        batch_seconds: float = 60.0,
        load: Load = Encoder,
    ) -> None:
        """`load` makes the encoder there; it must be importable by name."""
        self._version, self._hardware, self._on_wait, self._load = version, hardware, on_wait, load
        self._batch_seconds = batch_seconds
        self._process: ForkServerProcess | None = None
        self._pipe: Connection[Any, Any] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def encode(self, texts: Sequence[str]) -> Vectors:
        """As Encoder.encode. Raises TextFatalError or RemoteTextError for what the texts do.

        Raises TransientEncoderError where the process fails before it saw them, or is short of memory.
        """
        pipe = self._started()
        try:
            pipe.send(list(texts))
            return np.asarray(self._answer(pipe, self._batch_seconds), np.float32)
        except (EOFError, BrokenPipeError, ConnectionResetError):
            raise TextFatalError(self._last_words()) from None
        except BaseException:
            self._stop()  # its state is unknown: a CUDA context does not survive an error
            raise

    def _started(self) -> "Connection[Any, Any]":
        if self._pipe is not None:
            return self._pipe
        self._pipe, theirs = _context.Pipe()
        self._process = _context.Process(
            target=_serve, args=(theirs, self._load, self._version, self._hardware), daemon=True
        )
        self._process.start()
        theirs.close()
        try:
            self._answer(self._pipe, START_SECONDS)
        except (EOFError, ConnectionResetError):
            raise TransientEncoderError(
                f"a process apart cannot even load the model: {self._last_words()}"
            ) from None
        except (TextFatalError, RemoteTextError) as error:
            self._stop()
            raise TransientEncoderError(f"a process apart cannot encode anything: {error}") from error
        except BaseException:
            self._stop()
            raise
        return self._pipe

    def _answer(self, pipe: "Connection[Any, Any]", patience: float) -> Any:
        """What the process answers, after any number of signs of life no further apart than `patience` seconds."""
        waited = 0.0
        while True:
            while not pipe.poll(1.0):
                waited += 1.0
                self._on_wait()
                if waited >= patience:
                    raise TextFatalError(f"no batch was done within {patience:.0f} s")
            kind, value = pipe.recv()
            waited = 0.0
            if kind == "vectors":
                return value
            if kind == "transient":
                raise TransientEncoderError(value)
            if kind == "failed":
                raise RemoteTextError(*value)
            self._on_wait()

    def _last_words(self) -> str:
        process = self._process
        self._stop()
        code = process.exitcode if process else None
        if code is None or code >= 0:
            return f"the process ended with status {code}"
        return f"the process was killed by {signal.Signals(-code).name}"

    def _stop(self) -> None:
        if self._pipe is not None:
            self._pipe.close()
        if self._process is not None:
            self._process.join(0.5)
            self._process.kill()
            self._process.join()
        self._pipe = self._process = None


def _serve(pipe: "Connection[Any, Any]", load: Load, version: ModelVersion, hardware: Hardware) -> None:
    """The process apart: answers with vectors until the other end is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C in the terminal is for the worker
    encoder: Encoder | None = None
    try:
        while True:
            texts = [CANARY] if encoder is None else pipe.recv()
            try:
                encoder = encoder or load(version, hardware)
                pipe.send(("vectors", encoder.encode(texts, on_batch=lambda: pipe.send(("batch", None)))))
            except (TransientEncoderError, EncoderBrokenError) as error:
                pipe.send(("transient", str(error)))
            except (EOFError, BrokenPipeError):
                raise
            except Exception as error:  # noqa: BLE001  a text may make a tokenizer or a model raise anything
                frames = "".join(traceback.format_tb(error.__traceback__))
                pipe.send(("failed", (f"{type(error).__name__}: {error}", frames)))
    except (EOFError, BrokenPipeError):
        return
