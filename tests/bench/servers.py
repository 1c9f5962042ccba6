"""What stands on the far side: an S3 server in memory, and the proxy before it.

The server is ``rclone serve s3 :memory:``. It must not be what a benchmark measures: on two cores it takes some 4,700
PUTs per second from 64 connections, moto 700, which is less than the 2,133 that 64 connections can send at 30 ms. Its
directory backend is as fast but answers some concurrent PUTs into a new directory with 500.

The proxy is ours (``proxy.py``) rather than ``tests/wire.py``, which parses and keeps every request: at 30 ms it passes
1,600 requests per second from 64 connections, this one 1,900, for a third of the CPU.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Self
from urllib.request import urlopen

from tests.servers.base import ProcessServer, find_program
from tests.servers.rclone_s3 import ACCESS_KEY, SECRET_KEY, RcloneS3

BUCKET = "bench-bucket"


class MemoryS3(RcloneS3):
    """``rclone serve s3`` that keeps its objects in memory."""

    def command(self) -> list[str]:
        return [*super().command()[:-1], ":memory:"]


class Controlled(ProcessServer):
    """A process that counts what passes and answers below ``/__bench__/``."""

    latency_ms: float

    def counts(self) -> dict[str, Any]:
        """Return what has passed since the last ``reset``."""
        return self._control("counts")

    def reset(self) -> None:
        self._control("reset")

    def _control(self, what: str) -> dict[str, Any]:
        with urlopen(f"{self.url}/__bench__/{what}", timeout=10) as response:
            answer: dict[str, Any] = json.load(response)
        return answer


class Proxy(Controlled):
    """The counting, delaying proxy in a process of its own."""

    name = "bench-proxy"

    def __init__(self, upstream: str, latency_ms: float) -> None:
        super().__init__()
        self.upstream, self.latency_ms = upstream, latency_ms

    def command(self) -> list[str]:
        program = str(Path(__file__).with_name("proxy.py"))
        options = ["--upstream", self.upstream, "--port", str(self.port), "--latency-ms", str(self.latency_ms)]
        return [sys.executable, program, *options]


class Rig:
    """A fresh server with one empty bucket, and a proxy before it."""

    def __init__(self, latency_ms: float) -> None:
        self.server = MemoryS3()
        self.latency_ms = latency_ms

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            stack.enter_context(self.server)
            self.proxy = stack.enter_context(Proxy(self.server.url, self.latency_ms))
            self._rclone("mkdir", f"direct:{BUCKET}")
            self._running = stack.pop_all()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._running.close()

    def objects(self) -> dict[str, tuple[int, str]]:
        """Return size and MD5 of every object in the bucket, asked of the server itself."""
        listing = self._rclone(
            *("lsjson", "-R", "--files-only", "--hash", "--no-modtime", "--no-mimetype", f"direct:{BUCKET}")
        )
        return {entry["Path"]: (entry["Size"], entry["Hashes"]["md5"]) for entry in json.loads(listing)}

    def read(self, name: str) -> bytes:
        """Return an object's content, asked of the server itself."""
        return self._rclone("cat", f"direct:{BUCKET}/{name}")

    def _rclone(self, *arguments: str) -> bytes:
        program = find_program("rclone")
        assert program is not None
        environment = {**self.server.environment(), **rclone_remote("direct", self.server.url)}
        return subprocess.run([program, *arguments], check=True, stdout=subprocess.PIPE, env=environment).stdout


def rclone_remote(name: str, url: str) -> dict[str, str]:
    """Return the environment variables that configure an rclone remote for the S3 server at ``url``."""
    options = {
        "type": "s3",
        "provider": "Rclone",
        "access_key_id": ACCESS_KEY,
        "secret_access_key": SECRET_KEY,
        "region": "us-east-1",
        "endpoint": url,
    }
    prefix = f"RCLONE_CONFIG_{name.upper()}_"
    return {"RCLONE_CONFIG": os.devnull, **{prefix + key.upper(): value for key, value in options.items()}}
