"""A Redis server that keeps nothing on disk."""

from __future__ import annotations

from .base import HOST, ProcessServer, find_program


class Redis(ProcessServer):
    """redis-server; ``url`` is the LOCATION of Django's RedisCache."""

    name = "redis"
    scheme = "redis"

    @classmethod
    def available(cls) -> str | None:
        return None if find_program("redis-server") else "redis-server is not installed"

    def command(self) -> list[str]:
        words = {"--bind": HOST, "--port": str(self.port), "--save": "", "--appendonly": "no"}
        return [str(find_program("redis-server")), *(word for pair in words.items() for word in pair)]
