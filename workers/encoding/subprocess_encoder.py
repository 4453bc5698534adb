"""Encoding in a subprocess, so that a text that crashes the encoder cannot take the worker down."""

import multiprocessing
import signal
import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from types import TracebackType
from typing import Any, Self

import numpy as np

from workers.encoding.encoder import Encoder, ModelVersion, Vectors
from workers.encoding.errors import EncoderBrokenError, TransientEncoderError
from workers.encoding.hardware import Hardware
from workers.encoding.isolation import CANARY

# The subprocess is not forked from the worker, because neither CUDA nor threads survive a fork. It is forked
# from a server that has imported torch and never used it, so that a restart costs the loading of the model
# only.
_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["workers.encoding.encoder"])

START_SECONDS = 120.0  # to load the model and to encode the canary
POLL_SECONDS = 1.0
EXIT_SECONDS = 0.5  # before a subprocess that should end is killed


Load = Callable[[ModelVersion, Hardware], Encoder]


class TextFatalError(Exception):
    """A text crashed the subprocess that encoded it, or kept it busy beyond its time limit."""


class RemoteTextError(Exception):
    """An exception that the encoder raised in the subprocess. `remote_traceback` holds its stack frames."""

    def __init__(self, message: str, remote_traceback: str) -> None:
        super().__init__(message)
        self.remote_traceback = remote_traceback


class SubprocessEncoder:
    """An encoder whose model lives in a subprocess, which is restarted after each failure.

    Use it as a context manager, from one thread. The subprocess ends with its parent, even if that is killed.
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
        """Keep the arguments; the first call of `encode` starts the subprocess.

        `on_wait` is called about once a second while a call is under way; an exception from it ends the call.
        `batch_seconds` is the longest time for one batch.
        `load` makes the encoder in the subprocess; it must be importable by name.
        """
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
        """Encode texts as `Encoder.encode` does: float32, len(texts) × dimensions.

        Raises TextFatalError or RemoteTextError for a failure that a text may have caused, and
        TransientEncoderError if the subprocess is short of memory or fails before it has received the texts.
        """
        pipe = self._start()
        try:
            pipe.send(list(texts))
            return np.asarray(self._receive(pipe, self._batch_seconds), np.float32)
        except (EOFError, BrokenPipeError, ConnectionResetError):
            raise TextFatalError(self._stop_and_describe_exit()) from None
        except BaseException:
            self._stop()  # its state is unknown: a CUDA context does not survive an error
            raise

    def _start(self) -> "Connection[Any, Any]":
        if self._pipe is not None:
            return self._pipe
        self._pipe, child_end = _context.Pipe()
        self._process = _context.Process(
            target=_serve, args=(child_end, self._load, self._version, self._hardware), daemon=True
        )
        try:
            self._start_process(self._process)
            child_end.close()
            self._receive(self._pipe, START_SECONDS)
        except (EOFError, ConnectionResetError):
            raise TransientEncoderError(
                f"cannot load the model in a subprocess: {self._stop_and_describe_exit()}"
            ) from None
        except (TextFatalError, RemoteTextError) as error:
            self._stop()
            raise TransientEncoderError(f"cannot encode a plain word in a subprocess: {error}") from error
        except BaseException:
            self._stop()
            raise
        return self._pipe

    def _start_process(self, process: ForkServerProcess) -> None:
        """Start the subprocess. The first one of a worker waits until the fork server has imported torch."""
        with ThreadPoolExecutor(1) as executor:
            started = executor.submit(process.start)
            while not wait([started], POLL_SECONDS).done:
                self._on_wait()
            started.result()

    def _receive(self, pipe: "Connection[Any, Any]", batch_seconds: float) -> Any:
        """Wait for the reply of the subprocess, at most `batch_seconds` between two of its messages."""
        waited = 0.0
        while True:
            while not pipe.poll(POLL_SECONDS):
                waited += POLL_SECONDS
                self._on_wait()
                if waited >= batch_seconds:
                    raise TextFatalError(f"no batch was done within {batch_seconds:.0f} s")
            kind, value = pipe.recv()
            waited = 0.0
            if kind == "vectors":
                return value
            if kind == "transient":
                raise TransientEncoderError(value)
            if kind == "failed":
                raise RemoteTextError(*value)
            self._on_wait()  # a batch is done

    def _stop_and_describe_exit(self) -> str:
        process = self._process
        self._stop()
        code = process.exitcode if process else None
        if code is None or code >= 0:
            return f"the subprocess ended with status {code}"
        return f"the subprocess was killed by {signal.Signals(-code).name}"

    def _stop(self) -> None:
        if self._pipe is not None:
            self._pipe.close()
        if self._process is not None and self._process.pid is not None:
            self._process.join(EXIT_SECONDS)
            self._process.kill()
            self._process.join()
        self._pipe = self._process = None


def _serve(pipe: "Connection[Any, Any]", load: Load, version: ModelVersion, hardware: Hardware) -> None:
    """Run the subprocess: reply to each list of texts until the worker closes the pipe."""
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
