"""The manifest of hashed names: read never stale, pinned to a release if so asked, and kept in the mirror."""

from __future__ import annotations

import io
import logging
from typing import TYPE_CHECKING, Any

from django.core.files.base import ContentFile

from localmirror.current import must_be_current
from localmirror.exceptions import PublishError, ReleaseNotPublishedError
from localmirror.local import MirrorDirectory, is_read_only_error
from localmirror.names import RESERVED
from localmirror.offline import is_offline

if TYPE_CHECKING:
    from localmirror.mirror import LocalMirrorMixin
    from localmirror.release import Release

logger = logging.getLogger("localmirror")

# Noted on a storage whose manifest came from the mirror because the remote could not be reached.
_OUTDATED = "_localmirror_manifest_may_be_outdated"


def pinned_name(release: str, name: str) -> str:
    """Return where the manifest *name* of the release with the id *release* is kept, in both halves."""
    return f"{RESERVED}/releases/{release}/{name}"


def open_manifest(storage: LocalMirrorMixin, name: str, mode: str = "rb") -> ContentFile[Any]:
    """Return the manifest *name* that *storage* is to work with.

    Read from the remote, in one request; from the mirror where ``mirror_manifest`` is ``"local"``, inside `offline`
    and, with a warning, while the remote cannot be reached. With ``mirror_release`` it is that release's manifest.
    Raises FileNotFoundError if there is none, `ReleaseNotPublishedError` if a pinned release is not there; inside
    `localmirror.current.nothing_outdated` PublishError if the remote's cannot be read.
    """
    data = read_manifest(storage, name)
    return ContentFile(data if "b" in mode else data.decode("utf-8"), name)


def read_manifest(storage: LocalMirrorMixin, name: str) -> bytes:
    """Return the bytes of the manifest that `open_manifest` opens; raises as it does."""
    release = storage.mirror_release
    source = pinned_name(release, name) if release else name
    if is_offline():
        return _from_mirror(storage, source)
    where = f"the mirror {storage.mirror.root}"
    try:
        if storage.mirror_manifest == "local":
            return _from_mirror(storage, source)
        where = storage.describe_remote()
        return _from_remote(storage, source)
    except FileNotFoundError as error:
        if release is None:
            raise
        raise ReleaseNotPublishedError(
            f"The release {release!r} that this process is pinned to (mirror_release) is not published in {where}."
        ) from error


def _from_remote(storage: LocalMirrorMixin, source: str) -> bytes:
    buffer = io.BytesIO()
    try:
        with storage.missing_is_not_found(source):
            storage.download(source, buffer)
    except FileNotFoundError:
        raise
    except Exception as error:
        if must_be_current():
            raise PublishError(
                f"The manifest {source!r} cannot be read from {storage.describe_remote()}, and the copy in the mirror "
                f"may be older: {storage.describe_error(error)}"
            ) from error
        if not storage.is_unavailable(error) or storage.mirror.find(source) is None:
            raise
        logger.warning(
            "Reading the manifest %r from the mirror %s, which may be older than the remote's: %s",
            source,
            storage.mirror.root,
            storage.describe_error(error),
        )
        storage.__dict__[_OUTDATED] = True
        return _from_mirror(storage, source)
    data = buffer.getvalue()
    keep(storage, source, data)
    return data


def renew_manifest(storage: Any) -> None:
    """Let *storage* read its manifest again if the names that it goes by may be those of an earlier release.

    They may be where they are kept in a cache, and where the manifest came from the mirror for want of a remote.
    Raises as `open_manifest` does.
    """
    outdated = storage.__dict__.pop(_OUTDATED, False)
    renew = getattr(getattr(storage, "hashed_files", None), "renew", None)
    if renew is not None:
        renew()
    elif outdated and hasattr(storage, "load_manifest"):
        storage.hashed_files, storage.manifest_hash = storage.load_manifest()


def _from_mirror(storage: LocalMirrorMixin, source: str) -> bytes:
    with open(storage.mirror.path(source), "rb") as file:
        return file.read()


def keep(storage: LocalMirrorMixin, source: str, data: bytes) -> None:
    """Put the manifest *data* in place in the mirror as *source*, unless it is there or the mirror is read-only."""
    try:
        _put(storage.mirror, source, data)
    except OSError as error:
        if not is_read_only_error(error):
            raise


def place_manifest(mirror: MirrorDirectory, release: Release) -> None:
    """Put the manifest of *release* in place in the mirror, under its name and under the id it is pinned to."""
    if release.manifest is None or release.manifest_name is None:
        return
    if release.pinned_id:
        _put(mirror, pinned_name(release.pinned_id, release.manifest_name), release.manifest)
    _put(mirror, release.manifest_name, release.manifest)


def _put(mirror: MirrorDirectory, name: str, data: bytes) -> None:
    found = mirror.find(name)
    if found is not None and found.st_size == len(data):
        with open(mirror.path(name), "rb") as file:
            if file.read() == data:
                return
    with mirror.spool() as spool:
        spool.file.write(data)
        mirror.place(spool, name)
