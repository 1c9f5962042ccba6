"""Python processes for tests that start in a fraction of the time: forked from one that has imported the libraries.

    done = run_script(directory / "manage.py", ["check"], environment)
    assert done.returncode == 0, done

What a child runs is a process of its own in every respect but one: Django, the SDKs and the storage classes of
others are in ``sys.modules`` already, and botocore has read what it knows of S3. Nothing of this project, no settings
and no obstore is there. What looks at its modules or its memory, or is about how Python starts, starts its own.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import gc
import importlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import types
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple

REPOSITORY = Path(__file__).resolve().parent.parent

#: Slow to import and used by most children; what is not installed is left out.
LIBRARIES = (
    *("django.contrib.staticfiles.management.commands.collectstatic", "django.contrib.staticfiles.views"),
    *("django.core.cache.backends.locmem", "django.core.checks", "django.core.management.commands.check"),
    *("django.core.files.storage.memory", "django.db.backends.sqlite3.base", "django.db.models", "django.test"),
    *("django.template.backends.django", "django.template.defaulttags", "django.template.loader_tags"),
    *("django.core.handlers.wsgi", "django.urls", "django.utils.autoreload", "django.views.static"),
    *("asyncio", "concurrent.futures", "fcntl", "http.server", "sqlite3", "unittest.mock"),
    *("boto3.s3.transfer", "s3transfer.manager", "storages.backends.s3"),
    *("azure.storage.blob", "storages.backends.azure_storage"),
    *("google.cloud.storage", "storages.backends.gcloud"),
    *("libcloud.storage.drivers.s3", "libcloud.storage.drivers.local", "storages.backends.apache_libcloud"),
    *("bs4", "html5lib", "lxml.html", "rcssmin", "rjsmin", "tinycss2"),
)
SECONDS = 120.0


class Result(NamedTuple):
    """What a process left behind."""

    returncode: int
    stdout: str
    stderr: str

    @property
    def last_line(self) -> str:
        return self.stdout.strip().rsplit("\n", 1)[-1]


def run_script(
    script: Path, arguments: Sequence[str], environment: Mapping[str, str], *, seconds: float = SECONDS
) -> Result:
    """Run a Python script in its directory for at most ``seconds``, as ``python script.py`` there does."""
    with contextlib.ExitStack() as stack:
        request, stdout, stderr = (stack.enter_context(tempfile.TemporaryFile("w+")) for _ in range(3))
        json.dump({"script": str(script), "arguments": list(arguments), "environment": dict(environment)}, request)
        request.flush()
        ours, theirs = socket.socketpair()
        stack.enter_context(ours)
        with theirs:
            _forker().send([request.fileno(), stdout.fileno(), stderr.fileno(), theirs.fileno()])
        news = stack.enter_context(ours.makefile("r"))
        child = int(news.readline())
        ours.settimeout(seconds)
        try:
            status = int(news.readline())
        except BaseException as error:
            os.kill(child, signal.SIGKILL)
            if isinstance(error, TimeoutError):
                raise subprocess.TimeoutExpired([str(script), *arguments], seconds) from None
            raise
        return Result(status, _written(stdout), _written(stderr))


def _written(file: IO[str]) -> str:
    file.seek(0)
    return file.read()


class _Forker:
    """The process that has everything imported; it ends with its standard input."""

    def __init__(self) -> None:
        self._socket, theirs = socket.socketpair()
        self._lock = threading.Lock()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.children"],
                cwd=REPOSITORY,
                stdin=theirs,
                # What the test that comes first has set is not for all children.
                env={name: os.environ[name] for name in os.environ if not name.startswith(("AWS_", "DJANGO_"))},
            )
        atexit.register(self.stop)

    def send(self, files: list[int]) -> None:
        with self._lock:
            socket.send_fds(self._socket, [b"."], files)

    def stop(self) -> None:
        self._socket.close()
        self._process.wait(10)


@functools.cache
def _forker() -> _Forker:
    return _Forker()


# In the process that forks


def _import_libraries() -> None:
    for name in LIBRARIES:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    from .sdk import share_models

    share_models()
    with contextlib.suppress(ImportError):
        import boto3

        boto3.session.Session("none", "none", region_name="us-east-1").resource("s3")


def _next_child(requests: socket.socket) -> dict[str, Any] | None:
    """Fork for each request; return in the child what it is to run, and None at the end of the requests."""
    while True:
        _, files, _, _ = socket.recv_fds(requests, 1, 4)
        if not files:
            return None
        # Two forks: the one between waits for its child, whoever else is running.
        if os.fork() == 0:
            return _watched_child(requests, files)
        for file in files:
            os.close(file)


def _watched_child(requests: socket.socket, files: list[int]) -> dict[str, Any]:
    request, stdout, stderr, news = files
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    child = os.fork()
    if child:
        os.write(news, b"%d\n" % child)
        _, status = os.waitpid(child, 0)
        with contextlib.suppress(BrokenPipeError):  # who asked has given it up
            os.write(news, b"%d\n" % os.waitstatus_to_exitcode(status))
        os._exit(0)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    requests.close()
    # The place of the requests' socket is the lowest that is free.
    assert os.open(os.devnull, os.O_RDONLY) == 0
    os.dup2(stdout, 1)
    os.dup2(stderr, 2)
    with open(request, closefd=False) as file:
        file.seek(0)
        wanted: dict[str, Any] = json.load(file)
    for file_number in files:
        os.close(file_number)
    return wanted


def _become(wanted: dict[str, Any]) -> None:
    """Run the script as the main module of this process, which ends as it lets it end."""
    script = Path(wanted["script"])
    os.environ.clear()
    os.environ.update(wanted["environment"])
    os.chdir(script.parent)
    more = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    sys.path[:] = [str(script.parent), *more, *sys.path[1:]]
    sys.argv[:] = [script.name, *wanted["arguments"]]
    main = types.ModuleType("__main__")
    main.__file__ = str(script)
    sys.modules["__main__"] = main
    exec(compile(script.read_bytes(), script, "exec"), main.__dict__)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    _import_libraries()
    gc.collect()
    gc.freeze()
    _wanted = _next_child(socket.socket(fileno=0))
    if _wanted is not None:
        _become(_wanted)
