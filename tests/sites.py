"""A site that is staged into a mirror again and again, and what would be staged into an empty one by hashing alone."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

from django.contrib.staticfiles.storage import ManifestFilesMixin
from django_manifeststaticfiles_enhanced.storage import EnhancedManifestFilesMixin

from localmirror.backends.s3 import MirroredS3StaticStorage
from localmirror.hashing import CachedFilesMixin, PrecompressedFilesMixin
from localmirror.memo import Memo

from .corpus import Project


class Manifest(ManifestFilesMixin, MirroredS3StaticStorage):
    """Django's own hashing."""


class Modules(Manifest):
    support_js_module_import_aggregation = True


class Enhanced(EnhancedManifestFilesMixin, MirroredS3StaticStorage):
    """Hashing in the order of references, with one hash for all that refer to each other in circles."""


class EnhancedModules(Enhanced):
    support_js_module_import_aggregation = True


class EnhancedLexer(EnhancedModules):
    use_lexer = True


class Cached(CachedFilesMixin, MirroredS3StaticStorage):
    """Django's hashing with the names in the cache."""


class Precompressed(PrecompressedFilesMixin, ManifestFilesMixin, MirroredS3StaticStorage):
    """Compressed siblings of hashed files."""


ENHANCED = [Enhanced, EnhancedModules, EnhancedLexer]
REMEMBERING = [Manifest, Modules, *ENHANCED, Cached]
STACKS = [*REMEMBERING, Precompressed]


class Staged(NamedTuple):
    """A staged release: its files with all that is published of them, their digests on disk, and the manifest."""

    files: dict[str, list[Any]]
    on_disk: dict[str, str]
    manifest: bytes | None


class Site:
    """Sources, and a mirror that is staged into again and again."""

    def __init__(self, directory: Path, backend: type, files: Mapping[str, bytes], **settings: Any) -> None:
        self.directory = directory
        self.mirror = directory / "mirror"
        # A domain of its own spares the SDK the search for an address: nothing of all this asks the remote.
        options = {"bucket_name": "a-bucket", "custom_domain": "static.example.com"}
        entry = {"BACKEND": f"{backend.__module__}.{backend.__qualname__}", "OPTIONS": options}
        words = {"STORAGES": {"staticfiles": entry}, "STATIC_ROOT": str(self.mirror), **settings}
        self.project = Project(directory / "project", words)
        self.sources = self.project.directory / "static"
        for name, content in files.items():
            self.write(name, content)

    def write(self, name: str, content: bytes, directory: Path | None = None) -> Path:
        path = (directory or self.sources) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        before = path.stat() if path.exists() else None
        path.write_bytes(content)
        for _ in range(1_000_000):
            # The clock of a file system ticks every few milliseconds; localmirror waits for it, tests do not.
            if before is None or path.stat().st_ctime_ns != before.st_ctime_ns:
                break
            os.utime(path)
        return path

    def stage(self, *arguments: str, mirror: Path | None = None, **options: Any) -> str:
        where = mirror or self.mirror
        self.project.settings["STORAGES"]["staticfiles"]["OPTIONS"]["mirror_location"] = str(where)
        return self.project.call("collectstatic", "--stage", *arguments, interactive=False, **options)

    def staged(self, mirror: Path | None = None) -> Staged:
        where = mirror or self.mirror
        told = json.loads((where / ".localmirror/staged.json").read_bytes())["files"]
        manifest = where / ".localmirror/staged-manifest"
        return Staged(
            # All but the stamp, which tells the very file.
            {name: row[:-1] for name, row in told.items()},
            {name: hashlib.md5((where / name).read_bytes()).hexdigest() for name in told},
            manifest.read_bytes() if manifest.exists() else None,
        )

    def fresh(self, **options: Any) -> Staged:
        """Return the release that is staged into an empty mirror by hashing alone. Raises what collectstatic does."""
        with mock.patch.object(Memo, "renamed", return_value={}):
            return self.once(**options)

    def once(self, **options: Any) -> Staged:
        """Return the release that is staged into an empty mirror. Raises what collectstatic does."""
        where = self.directory / "fresh"
        try:
            self.stage(mirror=where, **options)
            return self.staged(where)
        finally:
            shutil.rmtree(where)

    def check(self, *arguments: str, **options: Any) -> str:
        """Stage, assert that the release is the same as in an empty mirror, and return what the command said."""
        output = self.stage(*arguments, **options)
        assert self.staged() == self.fresh(**options)
        return output

    def hashed(self, name: str) -> Path:
        """Return the path of the hashed copy that the last release has of *name*."""
        return self.mirror / json.loads(self.state("staged-manifest").read_bytes())["paths"][name]

    def state(self, name: str) -> Path:
        return self.mirror / ".localmirror" / name
