"""The role of a storage for the output of django-compressor. It knows of that package no more than its settings."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.files.base import ContentFile, File

from localmirror.content import SpooledContent
from localmirror.current import nothing_outdated
from localmirror.hashing import check_role
from localmirror.local import Spool, is_read_only_error
from localmirror.manifest import keep, pinned_name, read_manifest
from localmirror.mirror import LocalMirrorMixin
from localmirror.names import Digests, clean_file_name, clean_name
from localmirror.offline import is_offline
from localmirror.output import StagedOutput
from localmirror.remote import Uploaded, renamed_error
from localmirror.staged import StagedFirst
from localmirror.writing import is_write_mode

# Compressor asks whether the manifest exists and opens it in the next line: one download serves both.
_HAND_OVER_SECONDS = 5


class CompressorMirrorMixin(StagedFirst):
    """The role of a storage for django-compressor's output, and for its offline manifest.

    It shares its mirror with the storage for static files and hands compressor its sources from there. Output is
    overwritten, never renamed or hashed again: compressor puts a digest of the content into each name. What the
    mirror knows to be public exists, so that a page that was rendered before costs no request. The offline manifest
    is read from the remote, and written there only if it has changed.
    """

    role: ClassVar[str] = "compressor"
    mirror_location_setting: ClassVar[str | None] = "COMPRESS_ROOT"
    exists_trusts_mirror: ClassVar[bool] = True

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        check_role(cls, LocalMirrorMixin)
        if hasattr(cls, "post_process"):
            raise ImproperlyConfigured(
                f"{cls.__qualname__} hashes names, which compressor's output has in them already: its links would "
                "lead nowhere. Leave the hashing mixin out, or use StaticMirrorMixin for static files."
            )

    @property
    def output_prefix(self) -> str:
        """The directory of the output, with a slash at its end: ``COMPRESS_OUTPUT_DIR``."""
        directory = clean_name(getattr(settings, "COMPRESS_OUTPUT_DIR", "CACHE").strip("/"))
        return f"{directory}/" if directory else ""

    def is_manifest(self, name: str) -> bool:
        """Whether *name* is the offline manifest: ``COMPRESS_OFFLINE_MANIFEST``."""
        return name == clean_name(getattr(settings, "COMPRESS_OFFLINE_MANIFEST", "manifest.json"))

    # -- reading -------------------------------------------------------------------------------------------------

    def exists(self, name: str) -> bool:
        """Whether the mirror has a source *name*, or can fetch it; for output, whether it is public."""
        name = clean_name(name)
        if self.is_manifest(name):
            return self._manifest_exists(name)
        is_output = name.startswith(self.output_prefix)
        if is_offline() or not name or (is_output and self.mirror.find(name) is not None):
            return super().exists(name)
        try:
            self.local_copy(name)
        except FileNotFoundError:
            return False
        except OSError as error:
            if not is_read_only_error(error):
                raise
            return is_output and super().exists(name)
        return True

    def path(self, name: str) -> str:
        """Return the absolute path of *name* in the mirror, having fetched it if need be and if possible."""
        try:
            return super().path(name)
        except OSError as error:
            if not is_read_only_error(error):
                raise
            return self.mirror.path(clean_file_name(name))

    def _manifest_exists(self, name: str) -> bool:
        try:
            data = read_manifest(self, name)
        except FileNotFoundError:
            return False
        self._hand_over().manifest = (name, data, time.monotonic())
        return True

    def _open(self, name: str, mode: str = "rb") -> Any:
        name = clean_file_name(name)
        if not is_write_mode(mode) and self.is_manifest(name):
            known, data, read_at = self._hand_over().__dict__.pop("manifest", (None, b"", 0))
            if known == name and time.monotonic() - read_at < _HAND_OVER_SECONDS:
                return ContentFile(data if "b" in mode else data.decode("utf-8"), name)
        return super()._open(name, mode)

    def _hand_over(self) -> threading.local:
        found: threading.local = self.__dict__.setdefault("_localmirror_hand_over", threading.local())
        return found

    # -- writing -------------------------------------------------------------------------------------------------

    def get_available_name(self, name: str, max_length: int | None = None) -> str:
        """Return *name*: compressor links to the name it asked for, whatever is there."""
        return name

    def upload(self, name: str, file: File[bytes], *, immutable: bool) -> Uploaded:
        """Send *file* to the remote as *name*. Raises PublishError if the remote stores it under another name."""
        uploaded = super().upload(name, file, immutable=immutable)
        if uploaded.name != name:
            self.delete_many([uploaded.name])
            raise renamed_error(self, name, uploaded.name)
        return uploaded

    @contextmanager
    def staging_output(self) -> Iterator[StagedOutput]:
        """Save output to the mirror alone, in all threads, until the end of the ``with`` block.

        `StagedOutput.publish` uploads it. The offline manifest is none of it: it is published when it is saved. No
        source and no manifest is read from the mirror meanwhile because the remote cannot be reached.
        """
        staged = StagedOutput(self)
        self.__dict__["_localmirror_output"] = staged
        try:
            with nothing_outdated():
                yield staged
        finally:
            del self.__dict__["_localmirror_output"]

    def save_spooled(self, name: str, spool: Spool, digests: Digests, content_type: str | None = None) -> str:
        """Put a spooled file in place in both halves, or in the mirror alone during `staging_output`."""
        if self.is_manifest(name):
            self._save_manifest(name, spool, digests)
        elif not self._stage(name, spool, digests):
            return super().save_spooled(name, spool, digests, content_type)
        return name

    def _stage(self, name: str, spool: Spool, digests: Digests) -> bool:
        staged: StagedOutput | None = self.__dict__.get("_localmirror_output")
        if staged is None:
            return False
        try:
            staged.save(name, spool, digests)
        except OSError as error:
            self._do_without(error)
            return False
        return True

    def _save_manifest(self, name: str, spool: Spool, digests: Digests) -> None:
        spool.file.flush()
        release = self.mirror_release
        targets = [pinned_name(release, name), name] if release else [name]
        with self.locked(name, self._may_do_without):
            for target in targets:
                fingerprint = self._publish_manifest(target, spool, digests)
                with self._local_errors_as_configured(target):
                    keep(self, target, Path(spool.path).read_bytes())
                    self._note_manifest(target, digests, fingerprint)

    def _publish_manifest(self, target: str, spool: Spool, digests: Digests) -> str | None:
        there = self.remote_file(target)
        with open(spool.path, "rb") as file:
            content = SpooledContent(file, target, spool.path, digests.size)
            md5 = self.encoded_md5(target, content) if self.encodes(target) else digests.md5
            known = self._known(target)
            if there is not None and (
                there.md5 == md5
                or (known and known.md5 == digests.md5 and known.fingerprint == there.fingerprint is not None)
            ):
                return there.fingerprint
            content.seek(0)
            return self.upload(target, content, immutable=False).etag

    def _note_manifest(self, target: str, digests: Digests, fingerprint: str | None) -> None:
        found = self.mirror.find(target)
        if found is not None:
            remote = self.remote_identity()
            self.index.note_copy(target, remote, digests, found, fingerprint=fingerprint, checked=time.time())
