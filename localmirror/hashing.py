"""Hashing mixins, and how hashing, role, mirror and remote stack: the MRO, checked when a class is created."""

from __future__ import annotations

from django.contrib.staticfiles.storage import HashedFilesMixin
from django.core.exceptions import ImproperlyConfigured
from django.core.files.storage import FileSystemStorage, InMemoryStorage, Storage

from localmirror.cached import CachedFilesMixin, CachedStaticFilesStorage
from localmirror.precompressed import PrecompressedFilesMixin

__all__ = [
    "CachedFilesMixin",
    "CachedStaticFilesStorage",
    "PrecompressedFilesMixin",
    "adopt_role",
    "check_mro",
    "check_role",
    "is_role",
    "is_storage",
]

ORDER = (
    "hashing, role, mirror, remote, as in "
    "class X(ManifestFilesMixin, StaticMirrorMixin, LocalMirrorMixin, S3StaticStorage)"
)


def check_mro(cls: type, mirror: type) -> None:
    """Raise ImproperlyConfigured if *cls*, which has *mirror* among its bases, would silently not mirror."""
    mro = cls.__mro__
    position = mro.index(mirror)
    for base in mro:
        if issubclass(base, InMemoryStorage) and not issubclass(base, mirror):
            raise ImproperlyConfigured(
                f"{cls.__qualname__} has {base.__qualname__} among its bases, which resolves names with the path() "
                "that is the mirror's. Use localmirror.backends.generic.MirroredStorage over it."
            )
        if issubclass(base, FileSystemStorage) and not issubclass(base, mirror):
            raise ImproperlyConfigured(
                f"{cls.__qualname__} has {base.__qualname__} among its bases, a storage on local disk: it would write "
                f"past the mirror. Stack mixins only on a remote storage. The order is {ORDER}."
            )
    for base in mro[:position]:
        if is_storage(base) and not issubclass(base, mirror):
            raise ImproperlyConfigured(
                f"{cls.__qualname__} names the remote {base.__qualname__} before {mirror.__qualname__}, so nothing "
                f"would reach the mirror. The order is {ORDER}."
            )
    for base in mro[position + 1 :]:
        if is_role(base):
            raise ImproperlyConfigured(
                f"{cls.__qualname__} names {base.__qualname__} after {mirror.__qualname__}, where it has no effect. "
                f"The order is {ORDER}."
            )


def adopt_role(cls: type, mirror: type) -> None:
    """Give *cls* the role for static files if it hashes names and has no role: nothing but static files is hashed.

    People stack ``class X(LocalMirrorMixin, S3ManifestStaticStorage)``, as they would with any other mixin.
    """
    from localmirror.roles import StaticMirrorMixin

    hashes = any(issubclass(base, HashedFilesMixin) for base in cls.__mro__)
    if hashes and not any(is_role(base) for base in cls.__mro__ if base is not mirror):
        position = next(i for i, base in enumerate(cls.__bases__) if issubclass(base, mirror))
        cls.__bases__ = (*cls.__bases__[:position], StaticMirrorMixin, *cls.__bases__[position:])


def check_role(cls: type, mirror: type) -> None:
    """Raise ImproperlyConfigured if *cls* puts a role on a storage that has no mirror."""
    if is_storage(cls) and not issubclass(cls, mirror):
        role = next(base for base in cls.__mro__ if is_role(base))
        raise ImproperlyConfigured(
            f"{cls.__qualname__} has {role.__qualname__} but not {mirror.__qualname__} among its bases, so nothing "
            f"would be mirrored. The order is {ORDER}."
        )


def is_storage(cls: type) -> bool:
    """Whether *cls* is a storage that can save: Django's bare base class is none."""
    return issubclass(cls, Storage) and hasattr(cls, "_save")


def is_role(cls: type) -> bool:
    """Whether *cls* is itself a role mixin, rather than a class that has one among its bases."""
    return "role" in cls.__dict__ and not issubclass(cls, Storage)
