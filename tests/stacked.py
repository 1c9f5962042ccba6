"""Hashing mixins stacked on the static storages of every backend, under names that settings can give.

``tests.stacked.enhanced_localmirror_backends_s3_MirroredS3StaticStorage`` is made when it is asked for.
"""

from __future__ import annotations

from django.contrib.staticfiles.storage import ManifestFilesMixin
from django.utils.module_loading import import_string
from django_manifeststaticfiles_enhanced.storage import EnhancedManifestFilesMixin

from localmirror.hashing import CachedFilesMixin, PrecompressedFilesMixin

MIXINS: dict[str, tuple[type, ...]] = {
    "manifest": (ManifestFilesMixin,),
    "enhanced": (EnhancedManifestFilesMixin,),
    "cached": (CachedFilesMixin,),
    "precompressed": (PrecompressedFilesMixin, ManifestFilesMixin),
    "precompressed-enhanced": (PrecompressedFilesMixin, EnhancedManifestFilesMixin),
}

_classes: dict[str, type] = {}


def stacked(mixin: str, backend: str) -> str:
    """Return the dotted path of the static storage *backend* with the mixins called *mixin* on it."""
    name = f"{mixin}_{backend}".replace(".", "_").replace("-", "_")
    if name not in _classes:
        _classes[name] = type(name, (*MIXINS[mixin], import_string(backend)), {"__module__": __name__})
    return f"{__name__}.{name}"


def __getattr__(name: str) -> type:
    try:
        return _classes[name]
    except KeyError:
        raise AttributeError(name) from None
