"""Which storage a project has named as the remote, and how it is built."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.contrib.staticfiles.storage import HashedFilesMixin
from django.core.exceptions import ImproperlyConfigured
from django.core.files.storage import FileSystemStorage, Storage, storages
from django.utils.module_loading import import_string

from localmirror.adapters import with_repairs
from localmirror.mirror import LocalMirrorMixin

# Storages that have one connection.
_FILE_SERVERS = ("storages.backends.ftp.FTPStorage", "storages.backends.sftpstorage.SFTPStorage")

# What mends a storage that is not whole without it: a subclass.
_MENDED = {
    "storages.backends.apache_libcloud.LibCloudStorage": "localmirror.backends._libcloud_storage.LibCloudRemote",
    "storages.backends.ftp.FTPStorage": "localmirror.backends._ftp.FTPRemote",
    "storages.backends.sftpstorage.SFTPStorage": "localmirror.backends._sftp.SFTPRemote",
}

# Which extra brings what a module needs.
_EXTRAS = {
    "storages.backends.apache_libcloud": "libcloud",
    "storages.backends.azure_storage": "azure",
    "storages.backends.gcloud": "gcs",
    "storages.backends.s3": "s3",
    "storages.backends.sftpstorage": "sftp",
}

# Attributes that say where a storage keeps its files.
_PLACES = ("endpoint_url", "account_name", "bucket_name", "azure_container", "bucket", "location", "root_path")

_CREDENTIALS = re.compile(r"//[^/@]*@")


def named_class(remote: Any, seen: tuple[str, ...] = ()) -> type[Storage]:
    """Return the class of the storage that the option *remote* names: an alias of ``STORAGES``, or an entry like one.

    Raises ImproperlyConfigured where that names nothing, or nothing that can be a remote. *seen* are the aliases that
    led here.
    """
    entry = remote
    if isinstance(remote, str):
        if remote in seen:
            raise ImproperlyConfigured(f"The remote of a mirror is the mirror itself: {' → '.join([*seen, remote])}.")
        if remote not in settings.STORAGES:
            aliases = ", ".join(map(repr, settings.STORAGES))
            raise ImproperlyConfigured(f"The option 'remote' is {remote!r}, but STORAGES has only {aliases}.")
        entry, seen = settings.STORAGES[remote], (*seen, remote)
    if not isinstance(entry, Mapping) or "BACKEND" not in entry or entry.keys() - {"BACKEND", "OPTIONS"}:
        raise ImproperlyConfigured(
            "The option 'remote' must be an alias of STORAGES, or {'BACKEND': …, 'OPTIONS': {…}} as STORAGES has it."
        )
    try:
        cls: type[Storage] = import_string(entry["BACKEND"])
    except (ImportError, ImproperlyConfigured) as error:  # django-storages raises one or the other
        extra = _EXTRAS.get(entry["BACKEND"].rpartition(".")[0])
        hint = f'; pip install "django-localmirror[{extra}]"' if extra else ""
        raise ImproperlyConfigured(f"The remote {entry['BACKEND']!r} cannot be imported: {error}{hint}") from error
    if issubclass(cls, LocalMirrorMixin):
        further = (entry.get("OPTIONS") or {}).get("remote")
        if isinstance(further, str):
            named_class(further, seen)
        raise ImproperlyConfigured(
            f"The remote {entry['BACKEND']!r} is a mirrored storage itself: name the storage that it mirrors."
        )
    if HashedFilesMixin in cls.__mro__:
        raise ImproperlyConfigured(
            f"The remote {entry['BACKEND']!r} gives files hashed names: name a storage that does not, and use "
            "MirroredManifestStaticStorage."
        )
    return cls


def build(remote: Any) -> Storage:
    """Return the storage that *remote* names; that of an alias is the one which the rest of the project uses."""
    cls = named_class(remote)
    mended = next((_MENDED[path] for path in _paths(cls) if path in _MENDED), None)
    if mended is None:
        return storages[remote] if isinstance(remote, str) else storages.create_storage(dict(remote))
    bases = with_repairs((cls,), stock_of(cls), import_string(mended))
    made: Storage = type(cls.__name__, bases, {})(**_entry(remote).get("OPTIONS") or {})
    return made


def stock_of(cls: type) -> type:
    """Return the class, *cls* itself or one of its bases, whose methods are known here; else `Storage`."""
    return next((base for base in cls.__mro__ if base is FileSystemStorage or _path(base) in _MENDED), Storage)


def has_one_connection(remote: Any) -> bool:
    """Whether parallel transfers to *remote* would only wait for each other."""
    return any(path in _FILE_SERVERS for path in _paths(named_class(remote)))


def is_mended(storage: Storage) -> bool:
    """Whether *storage* was made here, for one mirror alone."""
    return any(path in _MENDED.values() for path in _paths(type(storage)))


def _paths(cls: type) -> list[str]:
    return [_path(base) for base in cls.__mro__]


def _path(cls: type) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"


def place_of(storage: Storage, remote: Any) -> str:
    """Return words that say where *storage*, which *remote* names, keeps its files, without any credential."""
    names = ("place",) if hasattr(storage, "place") else _PLACES
    told = [str(getattr(storage, name, None) or "") for name in names]
    if not any(told):
        secrets = secrets_of(remote).values()
        options = sorted((_entry(remote).get("OPTIONS") or {}).items())
        told = [f"{name}={value}" for name, value in options if isinstance(value, str | int) and value not in secrets]
    return " ".join(_CREDENTIALS.sub("//", word) for word in dict.fromkeys(told) if word)


def _entry(remote: Any) -> Mapping[str, Any]:
    found: Mapping[str, Any] = settings.STORAGES[remote] if isinstance(remote, str) else remote
    return found


def secrets_of(remote: Any) -> dict[str, str]:
    """Return the credentials among the options of *remote*, whatever they are called there."""
    found: dict[str, str] = {}
    pending = [dict(_entry(remote).get("OPTIONS") or {})]
    while pending:
        for name, value in pending.pop().items():
            if isinstance(value, Mapping):
                pending.append(dict(value))
            elif isinstance(value, str) and re.search(r"pass|secret|key|token|credential", name, re.IGNORECASE):
                found[f"{name} {len(found)}"] = value
            elif isinstance(value, str) and (login := re.search(r"//[^/:@]*:([^/@]+)@", value)):
                found[f"{name} {len(found)}"] = login[1]
    return found
