"""Finding the adapter that knows a remote, so that classes stacked by hand are as fast as the prebuilt ones.

Adapters announce themselves as entry points of the group ``localmirror.adapters``: the name is the dotted path of a
storage class, the value the mixin that mirrors it, a subclass of LocalMirrorMixin. The core names none of them.
"""

from __future__ import annotations

from functools import cache
from importlib.metadata import EntryPoint, entry_points

GROUP = "localmirror.adapters"


@cache
def _announced() -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=GROUP)}


def adapter_for(remote: type) -> type | None:
    """Return the mixin announced for *remote*, or for the nearest of its base classes that has one."""
    for base in remote.__mro__:
        entry = _announced().get(f"{base.__module__}.{base.__qualname__}")
        if entry is not None:
            adapter: type = entry.load()
            return adapter
    return None


def adopt_adapter(cls: type, mirror: type, remote: type) -> None:
    """Put the adapter for *remote* among the bases of *cls*, in the place of the bare *mirror*."""
    adapter = adapter_for(remote)
    if adapter is None or issubclass(cls, adapter):
        return
    bases = cls.__bases__
    if mirror in bases:
        cls.__bases__ = tuple(adapter if base is mirror else base for base in bases)
    else:
        position = next(i for i, base in enumerate(bases) if issubclass(base, remote))
        cls.__bases__ = (*bases[:position], adapter, *bases[position:])
