"""Staging: writing a release into the mirror alone, and knowing afterwards what belongs to it."""

from __future__ import annotations

import os
import posixpath
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from django.core.files.base import ContentFile, File

from localmirror.books import staged_before, write_staged
from localmirror.content import CHUNK_SIZE, byte_chunks
from localmirror.exceptions import LocalMirrorError
from localmirror.index import stamp_of
from localmirror.local import MirrorDirectory, Spool
from localmirror.manifest import place_manifest
from localmirror.memo import Memo, leaves_sources, names_kept, stamp_of_open, stamp_of_source
from localmirror.names import (
    HASH_PART,
    SIBLING_ENCODINGS,
    Digests,
    clean_file_name,
    digests_of_file,
    is_named_by,
    is_sibling,
    sibling_of,
)
from localmirror.observer import Observer
from localmirror.release import Release, ReleaseFile
from localmirror.sources import KnownSource, Source, digests_handed_on, source_of, told
from localmirror.writing import MirroredFile

if TYPE_CHECKING:
    from localmirror.roles import StaticMirrorMixin


class Staging:
    """One staging into one mirror directory: what was written, found, produced and deleted meanwhile.

    While it is open the storage writes to the mirror only. Deletes are put off to the end and dropped if the name is
    saved again. The manifest is held in memory until `commit`.
    """

    def __init__(self, storage: StaticMirrorMixin) -> None:
        self.storage = storage
        self.observer: Observer | None = None
        self.mirror: MirrorDirectory = storage.mirror
        self.held: dict[str, bytes] = {}
        self._started = time.time()
        self._lock = threading.Lock()
        self._before = staged_before(self.mirror)
        self._files: dict[str, ReleaseFile] = {}
        self._deleted: dict[str, str | None] = {}
        self._gone: dict[str, str] = {}
        self._found: set[str] = set()
        self._outputs: dict[str, set[str]] = {}
        self._produced: set[str] = set()
        self._removed: set[str] = set()
        self._snapshot: dict[str, str] | None = None
        self._memo = Memo(self.mirror)

    @cached_property
    def address(self) -> str | None:
        """The address that the remote puts before all names, None if there is no such thing."""
        return self.storage.base_address()

    @cached_property
    def _leaves_sources(self) -> bool:
        """Whether post-processing is known to write nothing over what was collected."""
        return leaves_sources(self.storage)

    # -- what the storage calls while staging --------------------------------------------------------------------

    def save(self, name: str, content: Any) -> str:
        """Write *content* to the mirror as *name*, unless the mirror holds these very bytes already."""
        if self.storage.is_manifest(name):
            self.held[name] = b"".join(byte_chunks(content))
            return name
        stamp = stamp_of_open(content)
        if not self._linked(name, source_of(content)) and not self._saved_as_is(name, content):
            with self.mirror.spool() as spool:
                digests = Digests(name)
                for chunk in byte_chunks(content):
                    digests.update(chunk)
                    spool.write(chunk)
                spool.date_back()
                self._place(spool, name)
            self._note(name, digests)
        with self._lock:
            self._deleted.pop(name, None)
            self._gone.pop(name, None)
            if self._snapshot is not None:
                self._produced.add(name)
            elif name in self._found:
                self._memo.note_source(name, stamp, self._files[name].md5)
        return name

    def _place(self, spool: Spool, name: str) -> None:
        try:
            self.mirror.place(spool, name)
        except (NotADirectoryError, IsADirectoryError):
            # A directory has become a file since an earlier release, or a file a directory.
            for other in set(self.names_staged_before()) - self._found:
                if f"{name}/".startswith(f"{other}/") or f"{other}/".startswith(f"{name}/"):
                    self.mirror.delete(other)
            self.mirror.place(spool, name)

    def _linked(self, name: str, source: Source | None) -> bool:
        """Give the mirror's copy of a collected file a second name, where only the name is new."""
        original = self._files.get(source.name) if source else None
        if original is None or source is None or original.md5 != source.md5 or original.name == name:
            return False
        if self.mirror.link(original.name, name) is None:
            return False
        self._files[name] = replace(original, name=name, immutable=is_named_by(name, original.md5))
        return True

    def _saved_as_is(self, name: str, content: Any) -> bool:
        """Deal with small content without a temporary file if nothing has changed, which is the common case."""
        present = self.mirror.find(name)
        seekable = getattr(content, "seekable", None)
        if present is None or seekable is None or not seekable() or os.path.islink(self.mirror.path(name)):
            return False
        if content.size > CHUNK_SIZE or content.size != present.st_size:
            return False
        digests = _digests(name, content)
        known = self.known(name, present)
        if digests.md5 != known.md5 or digests.size != known.size:
            return False
        self._files[name] = known
        return True

    def _note(self, name: str, digests: Digests) -> ReleaseFile:
        stamp = stamp_of(os.stat(self.mirror.path(name)))
        noted = ReleaseFile(name, digests.size, digests.md5, digests.named, False, stamp)
        self._files[name] = noted
        return noted

    def known(self, name: str, found: os.stat_result) -> ReleaseFile:
        """Return size and digest of the file *name* in the mirror, read from it unless noted for this very file."""
        stamp = stamp_of(found)
        for source in (self._files, self._before.files if self._before else {}):
            noted = source.get(name)
            if noted is not None and noted.stamp == stamp:
                return noted
        return self._note(name, digests_of_file(name, self.mirror.path(name)))

    def open(self, name: str, mode: str) -> File[Any]:
        """Open *name* as the mirror has it."""
        if name in self.held:
            data = self.held[name]
            return ContentFile(data if "b" in mode else data.decode("utf-8"), name)
        found = self.status(name)
        file = MirroredFile(self.storage, open(self.mirror.path(name), mode), name, mode)  # noqa: SIM115
        noted = self._files.get(name)
        return told(file, Source(name, noted.md5)) if noted and noted.stamp == stamp_of(found) and "b" in mode else file

    def find(self, name: str) -> os.stat_result | None:
        """Return the status of *name* in the mirror.

        None for what has been deleted in this staging, and for what only an earlier release had among its sources.
        """
        found = self.mirror.find(name)
        return found if found is not None and not self._is_hidden(name, stamp_of(found)) else None

    def _is_hidden(self, name: str, stamp: str | None) -> bool:
        """Whether *name* counts for nothing: unless it was written anew, past the storage perhaps."""
        return (name in self._deleted and self._deleted[name] == stamp) or self._gone.get(name, "") == stamp

    def _to_delete(self, tree: Mapping[str, os.stat_result]) -> set[str]:
        return {name for name, stamp in self._deleted.items() if name not in tree or stamp_of(tree[name]) == stamp}

    def status(self, name: str) -> os.stat_result:
        """Return the status of *name* in the mirror. Raises FileNotFoundError if it is not there."""
        found = self.find(name)
        if found is None:
            raise FileNotFoundError(f"{name!r} is not in the mirror {self.mirror.root}.")
        return found

    def exists(self, name: str) -> bool:
        """Whether the staged tree has *name*; a hashed copy that somebody has altered it has not."""
        found = self.find(name)
        return name in self.held or (found is not None and not self._is_spoilt(name, found))

    def _is_spoilt(self, name: str, found: os.stat_result) -> bool:
        """Whether the content of a hashed copy is not what its name says: hashing would leave it as it is."""
        if self._snapshot is None or name in self._found or name in self._produced:
            return False
        return HASH_PART.sub("", name, count=1) in self._found and not self.known(name, found).immutable

    def listdir(self, path: str) -> tuple[list[str], list[str]]:
        """Return the directories and files that the staged tree has directly in *path*."""
        directories, files = self.mirror.listdir(path)
        return directories, [name for name in files if self.find(posixpath.join(path, name)) is not None]

    def delete(self, name: str) -> None:
        """Put off deleting *name* until the end."""
        if self.held.pop(name, None) is None and not self.storage.is_manifest(name):
            found = self.mirror.find(name)
            with self._lock:
                self._deleted[name] = stamp_of(found) if found is not None else None

    def holds(self, name: str, source_storage: Any, path: str) -> bool:
        """Whether the staged tree has *name* with just the bytes of *path* in the finder's *source_storage*."""
        name = clean_file_name(name)
        present = self.find(name)
        if present is None or os.path.islink(self.mirror.path(name)):
            return False
        stamp = stamp_of_source(source_storage, path)
        digest = self._memo.digest(name, stamp)
        if digest is None:
            with source_storage.open(path) as source:
                taken = _digests(name, source)
            if taken.size != present.st_size:
                return False
            digest = taken.md5
        self._memo.note_source(name, stamp, digest)
        known = self._files[name] = self.known(name, present)
        return known.md5 == digest

    def post_process(self, paths: Mapping[str, tuple[Any, str]], **options: Any) -> Iterator[tuple[str, Any, Any]]:
        """Let the storage post-process *paths*, but for what still holds of the last time; yield as it does."""
        self.begin_post_processing()
        # A finder may yield "a\\b"; two names for one file would confuse hashing.
        paths = {clean_file_name(name): source for name, source in paths.items()}
        there = self._still_there()
        kept = {} if options["dry_run"] else self._memo.kept(self.storage, paths, there)
        for name, output in kept.items():
            yield name, output, False
            yield from ((name, name, UserWarning(text)) for text in self._memo.warnings(name))
        with digests_handed_on(self.storage):
            left = {name: path for name, (_, path) in paths.items() if name not in kept}
            for name, output in self._memo.renamed(self.storage, left):
                yield name, output, self._renamed(name, output, there.get(output))
                kept[name] = output
            changed = {name: source for name, source in self.sources(paths).items() if name not in kept}
            with names_kept(self.storage, kept):
                yield from self.storage.post_process(changed, **options)  # type: ignore[attr-defined]

    def _renamed(self, name: str, output: str, there: ReleaseFile | None) -> bool:
        """Give *name* its hashed name, unless the mirror has it; return whether that was to be done."""
        if output in self._found or (there is not None and there.md5 == self._files[name].md5):
            return False
        with self.open(name, "rb") as file:
            self.save(output, file)
        return True

    def _still_there(self) -> dict[str, ReleaseFile]:
        before, now = self._before.files if self._before else {}, self._snapshot or {}
        return {n: f for n, f in before.items() if now.get(n) == f.stamp and not self._is_hidden(n, f.stamp)}

    def sources(self, paths: Mapping[str, tuple[Any, str]]) -> dict[str, tuple[Any, str]]:
        """Return *paths*, as ``post_process`` takes them, with sources that tell what is known of them."""
        return {
            name: (KnownSource(storage, Source(name, self._files[name].md5)) if name in self._files else storage, path)
            for name, (storage, path) in paths.items()
        }

    # -- what collectstatic tells --------------------------------------------------------------------------------

    def names_staged_before(self) -> list[str]:
        """Return the names of earlier staged releases that are still in the mirror."""
        return sorted(self._before.earlier.union(self._before.files)) if self._before else []

    def found(self, name: str) -> None:
        """Tell that a finder yielded *name*, whether or not it had to be copied."""
        self._found.add(clean_file_name(name))

    def begin_post_processing(self) -> None:
        """Watch the mirror directory: what changes from now on belongs to the release, however it is written."""
        self._snapshot = {name: stamp_of(found) for name, found in self.mirror.walk()}
        # A reference to a file that is gone from the sources leads nowhere, whatever earlier releases have left here.
        for name in self.names_staged_before():
            if name in self._snapshot and name not in self._found and not self._may_be_made(name):
                self._gone[name] = self._snapshot[name]
        if self.observer is not None:
            self.observer.narrow(self._found)

    def _may_be_made(self, name: str) -> bool:
        """Whether *name* looks like what post-processing makes of a collected file, which it may take as it is."""
        plain, _ = sibling_of(name) or (name, "")
        return plain in self._found or HASH_PART.sub("", plain, count=1) != plain

    def produced(self, name: str, output: str | None, processed: Any) -> None:
        """Tell what post-processing yielded for *name*."""
        self._memo.note_output(name, output, processed)
        if output and not isinstance(processed, Exception):
            self._outputs.setdefault(name, set()).add(output)
            self.settled(output)

    def settled(self, name: str) -> None:
        """Tell that the bytes of *name* are final, as far as can be foreseen."""
        observer = self.observer
        may_change = self._snapshot is None and not self._leaves_sources
        if observer is None or may_change or not observer.wants(name):
            return
        # What was noted a moment ago need not be looked at again: the digest is checked when the file is sent.
        noted = self._files.get(name) if name not in self._deleted else None
        if noted is None and (found := self.find(name)) is not None:
            noted = self.known(name, found)
        if noted is not None:
            observer.offer(noted)

    # -- the end -------------------------------------------------------------------------------------------------

    def release(self) -> Release:
        """Return the release that has been staged: what was found, and what post-processing produced.

        Raises LocalMirrorError if post-processing names a file that is not in the mirror.
        """
        tree = dict(self.mirror.walk())
        superseded = self._superseded()
        outputs = set().union(*self._outputs.values())
        deleted = self._to_delete(tree)
        self._removed = deleted | superseded
        names = (self._found | outputs | self._produced | self._written_past(tree)) - self._removed
        names |= set(_siblings(names, tree))
        renamed = {n for n, made in self._outputs.items() if any(m != n and not is_sibling(m, n) for m in made)}
        originals = renamed - outputs
        originals |= {name for name in names if (sibling := sibling_of(name)) and sibling[0] in originals}
        files = {name: self._file(name, tree.get(name), original=name in originals) for name in sorted(names)}
        manifest_name = next(iter(self.held), None)
        earlier = set(self.names_staged_before()) - files.keys() - deleted
        return Release(files, manifest_name, self.held.get(manifest_name or ""), self.storage.mirror_release, earlier)

    def _file(self, name: str, found: os.stat_result | None, *, original: bool) -> ReleaseFile:
        found = found or self.mirror.find(name)
        if found is None:
            raise LocalMirrorError(
                f"{name!r} belongs to the release but is not in the mirror {self.mirror.root}: it was removed while "
                "staging, or post-processing named a file that it did not write."
            )
        known = self.known(name, found)
        return replace(known, original=original) if known.original != original else known

    def _superseded(self) -> set[str]:
        """Return hashed copies of earlier passes: a later pass gave their original another name."""
        outputs = set().union(*self._outputs.values())
        return {
            name
            for name in self._produced - outputs
            if (base := HASH_PART.sub("", name)) != name and self._outputs.get(base, {name}) != {name}
        }

    def _written_past(self, tree: dict[str, os.stat_result]) -> set[str]:
        """Return what has changed in the directory since post-processing began without the storage being asked."""
        before = self._snapshot
        if before is None:
            return set()
        changed = {name for name, found in tree.items() if before.get(name) != stamp_of(found)}
        return {
            name
            for name in changed - self._produced - self._found
            # What another storage saves into the same directory meanwhile, compressor's say, is no part of this.
            if not self.storage.is_manifest(name) and not self.storage.index.written_since(name, self._started)
        }

    def commit(self, release: Release) -> None:
        """Write down the staged release and carry out the deletes that were put off."""
        ours = set(self.names_staged_before()) | self._files.keys()
        for name in self._removed - release.files.keys():
            if name in ours:
                self.mirror.delete(name)
        self._memo.write(release.files)
        if self._before != release:
            write_staged(self.mirror, release)

    def put_manifest_in_place(self, release: Release) -> None:
        """Make the mirror serve the staged manifest, for an artefact that is published later."""
        place_manifest(self.mirror, release)


def _digests(name: str, content: Any) -> Digests:
    digests = Digests(name)
    for chunk in byte_chunks(content):
        digests.update(chunk)
    return digests


def _siblings(names: Iterable[str], tree: dict[str, os.stat_result]) -> Iterator[str]:
    """Yield the compressed siblings of *names*; one that is older than its file belongs to an earlier content."""
    for name in names:
        for extension in SIBLING_ENCODINGS:
            sibling = tree.get(f"{name}{extension}")
            if sibling and name in tree and sibling.st_mtime_ns >= tree[name].st_mtime_ns:
                yield f"{name}{extension}"
