"""What the servers share: a free port, a bounded wait until ready, an end that leaves no process behind."""

from __future__ import annotations

import atexit
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Self, TypeVar, cast

HOST = "127.0.0.1"
READY_SECONDS = 30.0
STOP_SECONDS = 5.0

#: Runs "$@" and ends the whole process group as soon as standard input closes, which it also does when the
#: process that started the server is killed and has no chance to clean up.
#: On SIGTERM, which the whole group gets, it stays to collect the server's exit status.
_GUARDED = """
exec 3<&0
(cat <&3 >/dev/null; kill -KILL 0) &
"$@" </dev/null 3<&- &
trap : TERM
wait $!
wait $!
"""


class ServerError(RuntimeError):
    """A server did not become ready."""


class Server:
    """A server on 127.0.0.1 that lives as long as the ``with`` block."""

    name = "server"
    scheme = "http"

    def __init__(self) -> None:
        self.host = HOST
        self.port = 0
        self.directory = Path()

    @classmethod
    def available(cls) -> str | None:
        """Return why this server cannot be had here, or None when it can."""
        return None

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.host}:{self.port}"

    def start(self) -> Self:
        raise NotImplementedError

    def stop(self) -> None:
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *exc_info: object) -> None:
        self.stop()


class ProcessServer(Server):
    """A server in a process group of its own, with a scratch ``directory`` and its output in its log."""

    def __init__(self) -> None:
        super().__init__()
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = os.getpid()

    def command(self) -> list[str]:
        """Return the command line for ``self.port``, preparing what it needs in ``self.directory``."""
        raise NotImplementedError

    def environment(self) -> dict[str, str]:
        return dict(os.environ)

    def is_ready(self) -> bool:
        """Return whether the server answers; called until it does."""
        return accepts_connections(self.port)

    def start(self) -> Self:
        self.directory = Path(tempfile.mkdtemp(prefix=f"{self.name}-"))
        atexit.register(self.stop)
        # Another process may take the free port before the server binds it.
        for attempt in range(3):
            self.port = free_port()
            if self._launch():
                return self
            if attempt == 2:
                log = self.log()
                self.stop()
                raise ServerError(f"{self.name} did not become ready:\n{log[-3000:]}")
            self._end_process()
        raise AssertionError("unreachable")

    def _launch(self) -> bool:
        with (self.directory / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                ["/bin/sh", "-c", _GUARDED, "sh", *self.command()],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env=self.environment(),
                cwd=self.directory,
                start_new_session=True,
            )
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline and self._process.poll() is None:
            if self.is_ready():
                return True
            time.sleep(0.05)
        return False

    def log(self) -> str:
        """Return what the server has written to its standard output and error."""
        return (self.directory / "server.log").read_text(errors="replace")

    def stop(self) -> None:
        atexit.unregister(self.stop)
        # A forked child that ends in the ordinary way must not take its parent's servers along.
        if os.getpid() != self._owner:
            return
        self._end_process()
        if self.directory != Path():
            shutil.rmtree(self.directory, ignore_errors=True)

    def _end_process(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        # The guard is in the group too, so that the group exists until it has been killed.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_SECONDS)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(STOP_SECONDS)
        if process.stdin:
            process.stdin.close()


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that nothing is bound to at the moment."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def accepts_connections(port: int) -> bool:
    """Return whether something listens on ``port`` of 127.0.0.1."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((HOST, port)) == 0


def find_program(name: str, *directories: str) -> str | None:
    """Return the path of a program beside this Python, on PATH, or in ``directories``."""
    places = [str(Path(sys.executable).parent), os.environ.get("PATH", ""), *directories]
    return shutil.which(name, path=os.pathsep.join(places))


def is_required() -> bool:
    """Return whether a server that cannot be had is a failure (in CI) rather than a skip."""
    return os.environ.get("LOCALMIRROR_REQUIRE_SERVERS") == "1"


S = TypeVar("S", bound=Server)
_shared: dict[type[Server], Server] = {}


def shared(server: type[S]) -> S:
    """Return the one running server of this class in this process, started at the first call."""
    if server not in _shared:
        _shared[server] = server().start()
    return cast(S, _shared[server])


def stop_shared() -> None:
    """Stop what ``shared`` has started."""
    while _shared:
        _shared.popitem()[1].stop()


def require(server: type[S]) -> type[S]:
    """Return ``server`` if it can be had here; else skip the test with the reason, or fail it if required."""
    # Not at the top: the demonstration and the benchmark run these servers without pytest.
    import pytest

    reason = server.available()
    if reason is None:
        return server
    if is_required():
        pytest.fail(f"{server.name}: {reason}", pytrace=False)
    pytest.skip(f"{server.name}: {reason}")
