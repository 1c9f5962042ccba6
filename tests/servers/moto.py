"""S3 by moto: in this process (fast) or in one of its own (for tests that measure memory, fork or kill)."""

from __future__ import annotations

import importlib.util
import logging
import sys
from typing import Self
from urllib.request import urlopen

from .base import HOST, ProcessServer, Server, accepts_connections

#: moto takes any credentials; these are the ones that the rigs use.
CREDENTIALS = {"aws_access_key_id": "test-access-key", "aws_secret_access_key": "test-secret-key"}


class MotoInProcess(Server):
    """moto in a thread of this process."""

    name = "moto"
    credentials = CREDENTIALS

    @classmethod
    def available(cls) -> str | None:
        return _missing()

    def start(self) -> Self:
        from moto.server import ThreadedMotoServer

        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        self._server = ThreadedMotoServer(HOST, 0, verbose=False)
        self._server.start()
        self.port = self._server.get_host_and_port()[1]
        return self

    def stop(self) -> None:
        self._server.stop()


class Moto(ProcessServer):
    """moto in a process of its own."""

    name = "moto"
    credentials = CREDENTIALS

    @classmethod
    def available(cls) -> str | None:
        return _missing()

    def command(self) -> list[str]:
        return [sys.executable, "-m", "moto.server", "-H", HOST, "-p", str(self.port)]

    def is_ready(self) -> bool:
        if not accepts_connections(self.port):
            return False
        with urlopen(f"{self.url}/moto-api/data.json", timeout=20) as response:
            return bool(response.status == 200)


def _missing() -> str | None:
    if importlib.util.find_spec("moto") is None or importlib.util.find_spec("flask") is None:
        return 'moto is not installed: pip install "moto[server,s3]"'
    return None
