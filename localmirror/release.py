"""Releases: the names, sizes and digests that one publish makes public, and how they are written down."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from localmirror.exceptions import LocalMirrorError
from localmirror.names import RESERVED, sibling_of

_VERSION = 1

#: Where the records of releases lie on the remote.
RELEASES = f"{RESERVED}/releases/"


@dataclass(frozen=True, slots=True)
class ReleaseFile:
    """One name of a release.

    *size* in bytes and *md5* are those of the plain content. *immutable* tells that the name contains the digest of
    it; *original* that it was collected and that no page links to it by this name once the manifest is used.
    *stamp* tells the very file in the mirror; *etag* is the remote's word for the object, once it is known.
    """

    name: str
    size: int
    md5: str
    immutable: bool
    original: bool
    stamp: str = ""
    etag: str | None = None


@dataclass
class Release:
    """The set of names, sizes and digests that one publish makes public.

    *manifest* is the content of the manifest of hashed names, None for a storage without one. *earlier* are names of
    releases staged before that are still in the mirror and not part of this one.
    """

    files: dict[str, ReleaseFile]
    manifest_name: str | None = None
    manifest: bytes | None = None
    pinned_id: str | None = None
    earlier: set[str] = field(default_factory=set)

    @property
    def id(self) -> str:
        """The id of the release: the one it is pinned to, else a digest of all that it names."""
        if self.pinned_id:
            return self.pinned_id
        digest = hashlib.sha256(self.manifest or b"")
        for name in sorted(self.files):
            digest.update(f"\0{name}\0{self.files[name].md5}".encode("utf-8", "surrogatepass"))
        return digest.hexdigest()[:16]

    def public(self, publish: str) -> list[ReleaseFile]:
        """Return the files that are to be public: all of them, or the hashed ones where *publish* is ``"hashed"``."""
        return [f for f in self.files.values() if publish == "all" or not f.original]

    def content_headers(self, name: str) -> tuple[str, str] | None:
        """Return the plain name and the Content-Encoding of a compressed sibling of one of the files, else None."""
        sibling = sibling_of(name)
        return sibling if sibling and sibling[0] in self.files else None

    def to_staged(self) -> bytes:
        """Return the release as the mirror keeps it between staging and publishing, the manifest apart."""
        return _dump(
            {
                "version": _VERSION,
                "pinned": self.pinned_id,
                "manifest": self.manifest_name if self.manifest is not None else None,
                "manifest_md5": _md5(self.manifest),
                "files": {f.name: [f.size, f.md5, f.immutable, f.original, f.stamp] for f in self.files.values()},
                "earlier": sorted(self.earlier),
            }
        )

    @classmethod
    def from_staged(cls, data: bytes, manifest: bytes | None) -> Release:
        """Return the release that `to_staged` wrote, with the *manifest* that was kept beside it.

        Raises LocalMirrorError if it cannot be understood, or if the manifest is another release's.
        """
        stored = _load(data, "The staged release")
        if stored["manifest_md5"] != _md5(manifest):
            raise LocalMirrorError(
                "The staged release and its manifest do not belong together, as if staging had been stopped in "
                "between: run 'manage.py collectstatic' again."
            )
        return cls(_staged_files(stored), stored["manifest"], manifest, stored["pinned"], set(stored["earlier"]))

    @classmethod
    def without_manifest(cls, data: bytes) -> Release:
        """Return what `to_staged` wrote of the files alone. Raises LocalMirrorError if it cannot be understood."""
        stored = _load(data, "The staged release")
        return cls(_staged_files(stored), earlier=set(stored["earlier"]))

    def to_record(self, public: Iterable[ReleaseFile]) -> bytes:
        """Return the record that a publish leaves on the remote: what became *public*, and when.

        An ETag that is the MD5 need not be told twice.
        """
        files = {f.name: [f.size, f.md5, None if f.etag == f.md5 else f.etag] for f in public}
        return _dump(
            {
                "version": _VERSION,
                "id": self.id,
                "published": datetime.now(UTC).isoformat(timespec="seconds"),
                "manifest": self.manifest_name if self.manifest is not None else None,
                "files": dict(sorted(files.items())),
            }
        )

    @property
    def record_name(self) -> str:
        """Where the record of this release lies on the remote."""
        return f"{RELEASES}{self.id}/record.json"


@dataclass(frozen=True)
class Record:
    """What a publish left on the remote: *files* maps each public name to its size, MD5 and ETag."""

    id: str
    published: datetime
    manifest: str | None
    files: Mapping[str, tuple[int, str, str | None]]

    @classmethod
    def from_bytes(cls, data: bytes) -> Record:
        """Return the record that `Release.to_record` wrote. Raises LocalMirrorError if it cannot be understood."""
        stored = _load(data, "The release record")
        files = {name: (size, md5, etag) for name, (size, md5, etag) in stored["files"].items()}
        return cls(stored["id"], datetime.fromisoformat(stored["published"]), stored["manifest"], files)


def with_etag(file: ReleaseFile, etag: str | None) -> ReleaseFile:
    """Return *file* with the remote's word for it."""
    return replace(file, etag=etag) if etag else file


def _staged_files(stored: dict[str, Any]) -> dict[str, ReleaseFile]:
    return {
        name: ReleaseFile(name, size, md5, immutable, original, stamp)
        for name, (size, md5, immutable, original, stamp) in stored["files"].items()
    }


def _md5(data: bytes | None) -> str | None:
    return None if data is None else hashlib.md5(data, usedforsecurity=False).hexdigest()


def _dump(data: dict[str, Any]) -> bytes:
    return json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")


def _load(data: bytes, what: str) -> dict[str, Any]:
    try:
        stored = json.loads(data.decode("utf-8", "surrogatepass"))
        version = stored["version"]
    except (ValueError, KeyError, TypeError) as error:
        raise LocalMirrorError(f"{what} cannot be read: {error}") from error
    if version != _VERSION:
        raise LocalMirrorError(f"{what} was written by another version of localmirror (format {version}).")
    result: dict[str, Any] = stored
    return result
