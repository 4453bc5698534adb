"""The process manager: supervisord, with a generated configuration, controlled over its socket."""

import configparser
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from xmlrpc.client import Fault, ServerProxy

import psutil
from supervisor.xmlrpc import SupervisorTransport

from jobrec_site.addresses import socket_folder
from jobrec_site.local.programs import ROOT, Program

STARTED = frozenset({"RUNNING"})
FAILED = frozenset({"FATAL", "EXITED"})
STOPPING = "STOPPING"


class ProgramError(Exception):
    """A process did not start. The message contains the end of its log."""


class Supervisor:
    """Runs programs with logs in `data`/log, restarts those that die, and stops them together."""

    def __init__(self, data: Path, programs: Sequence[Program]) -> None:
        self.logs = data / "log"
        self._socket = socket_folder(data) / "supervisor.sock"
        self._configuration = data / "supervisor.conf"
        self._programs = {program.name: program for program in programs}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start supervisord, without any program."""
        self.logs.mkdir(parents=True, exist_ok=True)
        self._socket.parent.mkdir(parents=True, exist_ok=True)
        self._configuration.write_text(self._render())
        self._configuration.chmod(0o600)
        # A session of its own, so that Ctrl-C reaches only the command in the terminal, which stops all in
        # order
        self._process = subprocess.Popen(
            [sys.executable, "-m", "supervisor.supervisord", "--nodaemon", "-c", str(self._configuration)],
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._wait_for_socket()

    def run(self, names: Iterable[str], *, timeout: float = 60) -> None:
        """Start programs and wait until all run. Raises ProgramError with the log of one that does not."""
        names = list(names)
        for name in names:
            self._rpc().startProcess(name, False)
        until = time.monotonic() + timeout
        for name in names:
            while (state := self.state(name)) not in STARTED:
                if state in FAILED or time.monotonic() > until:
                    raise ProgramError(f"{name} did not start ({state.lower()}):\n{self.log_end(name)}")
                time.sleep(0.1)

    def halt(self, name: str) -> None:
        """Stop one program and wait for its end."""
        self._rpc().stopProcess(name, True)

    def state(self, name: str) -> str:
        """The state of a program, in supervisord's words."""
        return str(self._rpc().getProcessInfo(name)["statename"])

    def pid(self, name: str) -> int:
        """The process id of a program; 0 if it does not run."""
        return int(self._rpc().getProcessInfo(name)["pid"])

    def failed(self) -> list[str]:
        """Programs that died and that supervisord no longer restarts."""
        return [info["name"] for info in self._rpc().getAllProcessInfo() if info["statename"] == "FATAL"]

    def log_end(self, name: str, lines: int = 15) -> str:
        """The last lines of a program's log, indented."""
        path = self.logs / f"{name}.log"
        text = path.read_text(errors="replace").splitlines()[-lines:] if path.exists() else []
        return "\n".join(f"    {line}" for line in text) or "    (its log is empty)"

    def stop(self) -> None:
        """Stop the programs, then the servers that they use, then supervisord, and wait for their end."""
        if self._process is None:
            return
        programs = self._programs.values()
        self._stop_together([each.name for each in programs if not each.others_need_it])
        self._stop_together([each.name for each in programs if each.others_need_it])
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._kill_all(self._process)
        self._process = None

    def _kill_all(self, process: "subprocess.Popen[bytes]") -> None:
        """Kill supervisord first, since it would restart the programs, then each of them."""
        left = psutil.Process(process.pid).children(recursive=True)
        process.kill()
        process.wait()
        for each in left:
            with suppress(psutil.NoSuchProcess):
                each.kill()

    def _stop_together(self, names: Iterable[str]) -> None:
        stopping = []
        for name in names:
            try:
                self._rpc().stopProcess(name, False)
            except (OSError, Fault):  # supervisord has ended, or the program was not running
                continue
            stopping.append(name)
        try:
            while any(self.state(name) == STOPPING for name in stopping):  # for their `stop_seconds` at most
                time.sleep(0.1)
        except OSError:  # supervisord has ended
            return

    def _rpc(self) -> Any:
        transport = SupervisorTransport(None, None, f"unix://{self._socket}")
        return ServerProxy("http://127.0.0.1", transport=transport).supervisor

    def _wait_for_socket(self) -> None:
        for _ in range(100):
            try:
                self._rpc().getState()
            except (OSError, Fault):
                time.sleep(0.1)
            else:
                return
        raise ProgramError(f"supervisord did not start: see {self.logs / 'supervisord.log'}")

    def _render(self) -> str:
        sections: dict[str, dict[str, str]] = {
            "unix_http_server": {"file": str(self._socket), "chmod": "0700"},
            "supervisord": {
                "logfile": str(self.logs / "supervisord.log"),
                "pidfile": str(self._socket.with_suffix(".pid")),
                "childlogdir": str(self.logs),
                "directory": str(ROOT),
                "minfds": "1024",
            }
            | ({"user": "root"} if os.geteuid() == 0 else {}),  # it warns if no user is named
            "rpcinterface:supervisor": {
                "supervisor.rpcinterface_factory": "supervisor.rpcinterface:make_main_rpcinterface"
            },
            "supervisorctl": {"serverurl": f"unix://{self._socket}"},
        }
        for program in self._programs.values():
            sections[f"program:{program.name}"] = self._section(program)
        parser = configparser.RawConfigParser()
        parser.read_dict(sections)
        lines: list[str] = []
        for name in parser.sections():
            lines += [f"[{name}]", *(f"{key} = {value}" for key, value in parser.items(name)), ""]
        return "\n".join(lines)

    def _section(self, program: Program) -> dict[str, str]:
        section = {
            "command": _escape(shlex.join(program.arguments)),
            "autostart": "false",
            "autorestart": "true",
            "startsecs": "1",
            "startretries": "10",  # a killed server may find its stale lock for a while
            "stopsignal": program.stop_signal,
            "stopwaitsecs": str(program.stop_seconds),
            "killasgroup": "true",
            "redirect_stderr": "true",
            "stdout_logfile": _escape(str(self.logs / f"{program.name}.log")),
            "stdout_logfile_maxbytes": "20MB",
            "stdout_logfile_backups": "2",
        }
        if program.user:
            section["user"] = program.user
            section["directory"] = "/"  # this user may not enter the others
        variables = {"JOBREC_PROCESS": program.name} | program.environment
        section["environment"] = ",".join(f'{key}="{_escape(value)}"' for key, value in variables.items())
        return section


def _escape(text: str) -> str:
    return text.replace("%", "%%")
