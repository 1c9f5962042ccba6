"""A Memcached server."""

from __future__ import annotations

import os

from .base import HOST, ProcessServer, find_program


class Memcached(ProcessServer):
    """memcached; ``location`` is the LOCATION of Django's PyMemcacheCache."""

    name = "memcached"
    scheme = "memcached"

    @classmethod
    def available(cls) -> str | None:
        return None if find_program("memcached") else "memcached is not installed"

    @property
    def location(self) -> str:
        return f"{HOST}:{self.port}"

    def command(self) -> list[str]:
        # As root, memcached starts only if it is told so.
        as_root = ["-u", "root"] if os.geteuid() == 0 else []
        return [str(find_program("memcached")), "-l", HOST, "-p", str(self.port), "-U", "0", *as_root]
