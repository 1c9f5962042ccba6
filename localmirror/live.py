"""The last step of a publish: record, pinned manifest, and then the manifest that makes the release live."""

from __future__ import annotations

import io
import os
import secrets
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Literal

from django.core.files.base import ContentFile

from localmirror.exceptions import LocalMirrorError, PublishError, ReleaseConflictError
from localmirror.local import is_read_only_error
from localmirror.manifest import pinned_name, place_manifest

if TYPE_CHECKING:
    from localmirror.publish import Publish


def go_live(publish: Publish, *, changed: bool) -> Literal["uploaded", "current"] | None:
    """Make the release of *publish*, all of whose files are public, the live one, on the remote and in the mirror.

    *changed* tells whether any file had to be uploaded. Returns what became of the manifest, None where the storage
    has none. Raises PublishError, naming what could not be written; the release that was live stays live then.
    """
    storage, release = publish.storage, publish.release
    foreign = _foreign_manifest_storage(storage)
    try:
        if release.manifest is None and changed and storage.listing_is_flat:
            _check_undisturbed(publish)
        current = release.manifest is None or _is_live(publish, foreign)
        if changed or publish.everything or not current or not _is_recorded(publish):
            _upload_record(publish)
        if release.manifest is not None and release.manifest_name is not None and (not current or publish.everything):
            content = ContentFile(release.manifest, release.manifest_name)
            if foreign is None:
                seen = publish.remote.get(release.manifest_name)
                storage.upload_manifest(release.manifest_name, content, seen=seen)
            else:
                write_foreign(foreign, release.manifest_name, release.manifest)
    except LocalMirrorError:
        raise
    except Exception as error:
        raise PublishError(
            f"All files are in {storage.describe_remote()}, but the release could not be made live: "
            f"{storage.describe_error(error)}"
        ) from error
    _place_in_mirror(publish)
    if release.manifest is None:
        return None
    return "current" if current and not publish.everything else "uploaded"


def _check_undisturbed(publish: Publish) -> None:
    """Raise ReleaseConflictError if somebody else has written to a name of the release meanwhile.

    Without a manifest there is nothing that could be written on a condition: who ends last looks what is public.
    """
    disturbed = next(publish.disturbed(), None)
    if disturbed is not None:
        raise ReleaseConflictError(
            f"Somebody else has published to {publish.storage.describe_remote()} meanwhile: {disturbed!r} is not what "
            "was uploaded. What is public may be a mixture of both; run it again if this release shall win."
        )


def _foreign_manifest_storage(storage: Any) -> Any:
    manifest_storage = getattr(storage, "manifest_storage", None)
    return None if manifest_storage is None or manifest_storage is storage else manifest_storage


def _is_live(publish: Publish, foreign: Any) -> bool:
    release = publish.release
    manifest, name = release.manifest, release.manifest_name
    if manifest is None or name is None:
        return True
    if foreign is not None:
        try:
            with foreign.open(name) as file:
                return bool(file.read() == manifest)
        except FileNotFoundError:
            return False
    return _has(publish, name, manifest)


def _has(publish: Publish, name: str, data: bytes) -> bool:
    """Whether the remote has *data* as *name*, as the listing tells, or else the file itself."""
    there = publish.remote.get(name)
    if there is None:
        return False
    if there.md5 is not None and not publish.storage.saves_in_its_own_way:
        return there.md5 == publish.storage.encoded_md5(name, ContentFile(data, name))
    buffer = io.BytesIO()
    publish.storage.download(name, buffer)
    return buffer.getvalue() == data


def _is_recorded(publish: Publish) -> bool:
    """Whether record and pinned manifest of this very release are there; an id may have been given away before."""
    release = publish.release
    if release.record_name not in publish.remote:
        return False
    if release.manifest is None or release.manifest_name is None:
        return True
    name = pinned_name(release.id, release.manifest_name)
    # What names the release itself depends on what is in it.
    return _has(publish, name, release.manifest) if release.pinned_id else name in publish.remote


def _upload_record(publish: Publish) -> None:
    """Send the record and the pinned manifest, at the same time."""
    release = publish.release
    files = {release.record_name: release.to_record(publish.public.values())}
    if release.manifest is not None and release.manifest_name is not None:
        files[pinned_name(release.id, release.manifest_name)] = release.manifest
    with ThreadPoolExecutor(min(len(files), publish.storage.mirror_workers)) as pool:
        for sent in [pool.submit(publish.upload_bytes, name, data) for name, data in files.items()]:
            sent.result()


def _place_in_mirror(publish: Publish) -> None:
    try:
        place_manifest(publish.storage.mirror, publish.release)
    except OSError as error:
        if not is_read_only_error(error):
            raise PublishError(
                f"The release is live, but its manifest is not in the mirror {publish.storage.mirror.root}: {error}. "
                "Run it again."
            ) from error


def write_foreign(storage: Any, name: str, data: bytes) -> None:
    """Write the manifest to the storage that a project keeps it in apart from its files.

    On local disk it is replaced in one step; elsewhere it is deleted and saved, as Django itself does.
    """
    try:
        path = storage.path(name)
    except NotImplementedError:
        if storage.exists(name):
            storage.delete(name)
        storage.save(name, ContentFile(data, name))
        return
    temporary = f"{path}.{secrets.token_hex(8)}"
    os.makedirs(os.path.dirname(path), exist_ok=True)
    try:
        with open(temporary, "wb") as file:
            file.write(data)
        os.replace(temporary, path)
    finally:
        if os.path.exists(temporary):
            os.unlink(temporary)
