"""What SDKs built on Requests have in common."""

from __future__ import annotations

from typing import Any

# A connection to each of so many hosts is kept, which is Requests' own default.
_HOSTS = 10


def widen_pool(session: Any, connections: int) -> None:
    """Let the Requests *session* keep *connections* of a host open, one for each thread that uses it.

    Requests keeps ten and closes what is beyond that after each request: every further thread would shake hands anew.
    """
    for adapter in session.adapters.values():
        adapter.init_poolmanager(_HOSTS, max(connections, _HOSTS))
