"""What makes the SDKs' clients cheaper in a process that makes hundreds of them."""

from __future__ import annotations

from typing import Any


def share_models() -> None:
    """Have all botocore sessions of this process share the descriptions of services that one of them has read.

    A session shares them among its own clients; reading them is most of the time that a first client takes, and
    most of the memory that is left of it. Every storage of the tests makes a session of its own.
    """
    try:
        from botocore.loaders import Loader
    except ImportError:
        return
    if getattr(Loader.__init__, "shares", False):
        return
    make, read = Loader.__init__, dict[tuple[str, ...], dict[Any, Any]]()

    def make_sharing(self: Any, *args: Any, **kwargs: Any) -> None:
        make(self, *args, **kwargs)
        self._cache = read.setdefault(tuple(self.search_paths), {})

    make_sharing.shares = True  # type: ignore[attr-defined]
    Loader.__init__ = make_sharing
