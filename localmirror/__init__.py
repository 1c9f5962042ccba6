"""Django storages that keep every file in two places: on a remote object store and in a mirror on local disk."""

from typing import TYPE_CHECKING, Any

from localmirror.offline import offline

if TYPE_CHECKING:
    from localmirror.exceptions import LocalMirrorError
    from localmirror.mirror import LocalMirrorMixin
    from localmirror.roles import CompressorMirrorMixin, StaticMirrorMixin

__all__ = ["CompressorMirrorMixin", "LocalMirrorError", "LocalMirrorMixin", "StaticMirrorMixin", "offline"]

_LAZY = {
    "CompressorMirrorMixin": "localmirror.roles",
    "LocalMirrorError": "localmirror.exceptions",
    "LocalMirrorMixin": "localmirror.mirror",
    "StaticMirrorMixin": "localmirror.roles",
}


def __getattr__(name: str) -> Any:
    # Importing the mixins costs Django's storages and thread pools, which an app listed in INSTALLED_APPS need not
    # pay for before a storage is used.
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_LAZY[name]), name)
