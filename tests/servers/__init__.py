"""Real servers for tests, each started on a free port of 127.0.0.1 and stopped with its process group.

Every class is a context manager; ``available()`` returns None, or why the server cannot be had::

    with require(Moto)() as server:
        boto3.client("s3", endpoint_url=server.url, **server.credentials)
"""

from __future__ import annotations

from .base import ProcessServer, Server, ServerError, free_port, is_required, require, shared, stop_shared

__all__ = [
    "ProcessServer",
    "Server",
    "ServerError",
    "free_port",
    "is_required",
    "require",
    "shared",
    "stop_shared",
]
