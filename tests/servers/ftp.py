"""FTP by pyftpdlib, in a process of its own."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

from .base import HOST, ProcessServer

USER = "mirror"
PASSWORD = "ftp-test-password"

#: Run by ``python -c`` with port, user, password and directory.
_SERVE = """
import sys
from pyftpdlib.authorizers import DummyAuthorizer
from pyftpdlib.handlers import FTPHandler
from pyftpdlib.servers import FTPServer
host, port, user, password, directory = sys.argv[1:]
FTPHandler.authorizer = DummyAuthorizer()
FTPHandler.authorizer.add_user(user, password, directory, perm="elradfmwMT")
FTPServer((host, int(port)), FTPHandler).serve_forever()
"""


class Ftp(ProcessServer):
    """An FTP server whose files are below ``root``."""

    name = "ftp"
    scheme = "ftp"

    @classmethod
    def available(cls) -> str | None:
        if importlib.util.find_spec("pyftpdlib") is None:
            return "pyftpdlib is not installed: pip install pyftpdlib"
        return None

    @property
    def root(self) -> Path:
        return self.directory / "files"

    def location(self, path: str = "") -> str:
        """Return the ``location`` that django-storages' FTPStorage takes."""
        return f"ftp://{USER}:{PASSWORD}@{HOST}:{self.port}/{path}"

    def command(self) -> list[str]:
        self.root.mkdir(exist_ok=True)
        return [sys.executable, "-c", _SERVE, HOST, str(self.port), USER, PASSWORD, str(self.root)]
