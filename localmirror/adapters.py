"""Finding the adapter that knows a remote, so that classes stacked by hand are as fast as the prebuilt ones.

Adapters announce themselves as entry points of the group ``localmirror.adapters``: the name is the dotted path of a
storage class, the value the mixin that mirrors it, a subclass of LocalMirrorMixin. The core names none of them.
"""

from __future__ import annotations

from functools import cache
from importlib.metadata import EntryPoint, entry_points

from django.core.exceptions import ImproperlyConfigured

from localmirror.remote import RemoteSeam, is_own

GROUP = "localmirror.adapters"


@cache
def _announced() -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=GROUP)}


# What of the seam goes past a method of the remote, and what is true of it only then.
_LISTING = ("remote_files", "listing_is_flat", "listing_is_sorted")
_SENDING = ("upload", "upload_manifest", "writes_on_condition", "listing_tells_content")
_ASKING = ("remote_file", *_LISTING, *_SENDING)
_GOES_PAST = {
    "_open": ("download",),
    "_save": (*_SENDING, "encodes"),
    "delete": ("delete_many",),
    "listdir": _LISTING,
    "size": _ASKING,
    "get_modified_time": _ASKING,
}


def adapter_for(remote: type) -> type | None:
    """Return the mixin announced for *remote*, or for the nearest of its base classes that has one."""
    return _announcement(remote)[1]


def _announcement(remote: type) -> tuple[type, type | None]:
    for base in remote.__mro__:
        entry = _announced().get(f"{base.__module__}.{base.__qualname__}")
        if entry is not None:
            return base, entry.load()
    return remote, None


def adopt_adapter(cls: type, mirror: type, remote: type) -> None:
    """Put the adapter for *remote* among the bases of *cls*, in the place of the bare *mirror*, and its repairs.

    What a project has overridden of the remote comes before the repairs, and no part of the seam goes past it.
    """
    stock, adapter = _announcement(remote)
    if adapter is None:
        return
    if not issubclass(cls, adapter):
        _adopt(cls, mirror, remote, adapter)
    repairs = getattr(adapter, "repairs", None)
    if repairs is not None:
        if not issubclass(cls, repairs):
            cls.__bases__ = with_repairs(cls.__bases__, stock, repairs)
        _check_nothing_is_hidden(cls, stock, repairs)
    _give_way(cls, adapter, stock)


def _adopt(cls: type, mirror: type, remote: type, adapter: type) -> None:
    bases = cls.__bases__
    if mirror in bases:
        cls.__bases__ = tuple(adapter if base is mirror else base for base in bases)
    else:
        position = next(i for i, base in enumerate(bases) if issubclass(base, remote))
        cls.__bases__ = (*bases[:position], adapter, *bases[position:])


def with_repairs(bases: tuple[type, ...], stock: type, repairs: type) -> tuple[type, ...]:
    """Return *bases* with *repairs*, a subclass of *stock*, between what derives from *stock* and itself."""
    if stock in bases:
        return tuple(repairs if base is stock else base for base in bases)
    behind = max(i for i, base in enumerate(bases) if issubclass(base, stock)) + 1
    return (*bases[:behind], repairs, *bases[behind:])


def overrides(cls: type, stock: type, name: str) -> bool:
    """Whether a project has put a method *name* of its own between the mirror, if *cls* has one, and *stock*."""
    mro = cls.__mro__
    below = mro[mro.index(RemoteSeam) + 1 if RemoteSeam in mro else 0 : mro.index(stock)]
    return any(name in base.__dict__ and not is_own(base) for base in below)


def _check_nothing_is_hidden(cls: type, stock: type, repairs: type) -> None:
    mro = cls.__mro__
    own = [base for base in repairs.__mro__ if is_own(base)]
    mended = {name for base in own for name in base.__dict__ if callable(getattr(base, name))}
    for base in mro[mro.index(repairs) : mro.index(stock)]:
        hidden = sorted(name for name in mended & {*base.__dict__} if not name.startswith("__"))
        if hidden and not is_own(base):
            raise ImproperlyConfigured(
                f"{cls.__qualname__} names {base.__qualname__} behind a mirrored storage, which would go past its "
                f"{', '.join(hidden)}. Stack the mirror on it: class {cls.__name__}(LocalMirrorMixin, "
                f"{base.__name__})."
            )


def _give_way(cls: type, adapter: type, stock: type) -> None:
    for name, goes_past in _GOES_PAST.items():
        if not overrides(cls, stock, name):
            continue
        for attribute in goes_past:
            owner = next(base for base in cls.__mro__ if attribute in base.__dict__)
            if owner in adapter.__mro__:
                setattr(cls, attribute, RemoteSeam.__dict__[attribute])
        if name == "_save":
            cls.saves_in_its_own_way = True  # type: ignore[attr-defined]
