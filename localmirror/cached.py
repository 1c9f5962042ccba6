"""Hashed names in Django's cache instead of a manifest that is read when a process starts."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.contrib.staticfiles.storage import ManifestFilesMixin, StaticFilesStorage
from django.core.cache import BaseCache, caches

from localmirror.exceptions import LocalMirrorError
from localmirror.names import first_line

if TYPE_CHECKING:
    from localmirror.release import Release

_ALIAS = "staticfiles"
_DEFAULT_MAX_AGE = 60

# Names of releases that nobody asks for any more leave the cache after a while.
_KEEP_SECONDS = 7 * 24 * 3600


def cache_alias() -> str:
    """Return the alias of the cache that holds the names: ``staticfiles`` if there is one, else ``default``."""
    return _ALIAS if _ALIAS in settings.CACHES else "default"


class CachedNames(Mapping[str, str]):
    """The names of the live release, or of the pinned one, by original name, as the cache knows them.

    The cache holds each name under the digest of the manifest that gives it, and for ``mirror_max_age`` seconds which
    digest is the live one. What it lacks is read from the manifest, once; no file is ever hashed for it.
    """

    def __init__(self, storage: CachedFilesMixin) -> None:
        self._storage = storage
        # What this process has read, so that a cache that forgets (locmem keeps 300 entries) costs no more requests.
        self._read_before: tuple[str, dict[str, str]] = ("", {})

    @property
    def _cache(self) -> BaseCache:
        return caches[cache_alias()]

    def _key(self, *parts: str) -> str:
        digest = hashlib.sha256("\0".join((_identity(self._storage), *parts)).encode("utf-8", "surrogatepass"))
        return f"localmirror:{digest.hexdigest()[:40]}"

    def _live_key(self, release: str | None) -> str:
        return self._key("live", release or "")

    def __getitem__(self, name: str) -> str:
        cache = self._cache
        live: str = cache.get(self._live_key(getattr(self._storage, "mirror_release", None)), "")
        found: str = cache.get(self._key(live, name), "") if live else ""
        if found:
            return found
        digest, names = self._read_before
        return (names if live and live == digest else self._read())[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._read())

    def __len__(self) -> int:
        return len(self._read())

    def renew(self) -> None:
        """Read the manifest, whatever the cache knows, and put its names there."""
        self._read()

    def _read(self) -> dict[str, str]:
        manifest: Any = self._storage.read_manifest()
        if manifest is None:
            return {}
        return self.remember(manifest, getattr(self._storage, "mirror_release", None))

    def remember(self, manifest: str, *releases: str | None) -> dict[str, str]:
        """Put the names that *manifest* gives into the cache, then that they are those of *releases*; return them.

        None among *releases* is the live release, whichever it is.
        """
        names: dict[str, str] = json.loads(manifest)["paths"]
        digest = hashlib.sha256(manifest.encode()).hexdigest()[:16]
        self._read_before = (digest, names)
        self._cache.set_many({self._key(digest, name): hashed for name, hashed in names.items()}, _KEEP_SECONDS)
        for release in releases:
            self._cache.set(self._live_key(release), digest, self._max_age)
        return names

    @property
    def _max_age(self) -> float | None:
        max_age: float | None = getattr(self._storage, "mirror_max_age", _DEFAULT_MAX_AGE)
        return max_age

    def announce(self, manifest: str, *releases: str | None) -> None:
        """Do as `remember` does for a release that has just gone live. Raises LocalMirrorError if it cannot be done."""
        try:
            self.remember(manifest, *releases)
        except Exception as error:  # every cache has errors of its own
            seen = "" if self._max_age is None else f"Processes that share it see it within {self._max_age:g} seconds. "
            raise LocalMirrorError(
                f"The release is live, but the cache {cache_alias()!r} could not be told: {type(error).__name__}: "
                f"{first_line(error).rstrip('.')}. {seen}Run it again when the cache can be reached."
            ) from error


class CachedFilesMixin(ManifestFilesMixin):
    """Hashing whose names are kept in the cache ``staticfiles``, or else ``default``.

    Nothing is read when a process starts, and a release that goes live is seen by running processes: at once where
    they share the cache with the one that published, otherwise after ``mirror_max_age`` seconds. Behind the cache
    stands the manifest, so a name that is not public is never served, nor is a file hashed to guess one: without
    ``manifest_strict`` a name that the manifest lacks stays as it is.
    """

    hashed_files: Any

    def load_manifest(self) -> Any:
        """Return the names as the cache knows them, without asking anybody yet."""
        return CachedNames(self), ""

    def post_process(self, *args: Any, **kwargs: Any) -> Iterator[Any]:
        """Hash as usual; afterwards the names are those of the live release again, which this one may not be yet."""
        try:
            yield from super().post_process(*args, **kwargs)
        finally:
            self.hashed_files = CachedNames(self)

    def save_manifest(self) -> None:
        """Save the manifest, and tell the cache unless a release is only being staged.

        Raises LocalMirrorError if the manifest is saved and the cache cannot be told.
        """
        super().save_manifest()
        if not getattr(self, "is_staging", False):
            manifest = self.read_manifest()
            if manifest is not None:
                CachedNames(self).announce(manifest, None)

    def release_went_live(self, release: Release) -> None:
        """Tell the cache the names of the release that has just become public. Raises LocalMirrorError if it cannot."""
        if release.manifest is not None:
            CachedNames(self).announce(release.manifest.decode(), None, release.pinned_id)

    def stored_name(self, name: str) -> str:
        """Return the hashed name of *name*. Raises ValueError if ``manifest_strict`` and there is none."""
        try:
            return str(super().stored_name(name))
        except _NotInManifest:
            return name

    def hashed_name(self, name: str, content: Any = None, filename: str | None = None) -> str:
        """Return *name* with the digest of *content*; never of a file that merely happens to be in the mirror."""
        if content is None and filename is None and isinstance(self.hashed_files, CachedNames):
            raise _NotInManifest(name)
        return str(super().hashed_name(name, content, filename))


class _NotInManifest(Exception):
    """A name without a manifest entry was asked for, outside of post-processing."""


class CachedStaticFilesStorage(CachedFilesMixin, StaticFilesStorage):  # type: ignore[misc]
    """Django's own static files storage, without a mirror, with hashed names in the cache."""


def _identity(storage: Any) -> str:
    identity = getattr(storage, "remote_identity", None)
    return str(identity()) if identity else f"{storage.location}\0{storage.base_url}"
