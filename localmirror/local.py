"""The mirror directory: atomic writes, confinement, locks. It knows of no remote."""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
import stat
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cached_property
from typing import IO

from django.conf import settings
from django.core.exceptions import SuspiciousFileOperation
from django.core.files import locks

from localmirror.names import RESERVED, is_reserved

#: What the operating system says when a directory cannot be written to.
READ_ONLY_ERRORS = frozenset({errno.EROFS, errno.EACCES, errno.EPERM})

_LOCK_BUCKETS = 4096
_STALE_SPOOL_SECONDS = 24 * 3600
# Longer than the ticks in which operating systems note when a file was changed.
_TICK_NS = 20_000_000


def is_read_only_error(error: OSError) -> bool:
    """Whether *error* means that the mirror cannot be written to at all."""
    return error.errno in READ_ONLY_ERRORS


class Spool:
    """A file being written beside the mirror's names, invisible until it is put in place.

    Use as a context manager: what was not put in place is gone afterwards.
    """

    def __init__(self, directory: str) -> None:
        self.path = f"{directory}/{os.getpid()}-{secrets.token_hex(8)}"
        # Plain os.open: the mode follows the umask, where tempfile would leave 0600 behind.
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
        try:
            self.fd = os.open(self.path, flags, 0o666)
        except FileNotFoundError:
            os.makedirs(directory, exist_ok=True)
            self.fd = os.open(self.path, flags, 0o666)

    @cached_property
    def file(self) -> IO[bytes]:
        """The file, open for writing and reading."""
        return os.fdopen(self.fd, "w+b")

    def flush(self) -> None:
        """Leave nothing of what was written in the buffer of `file`."""
        if "file" in self.__dict__:
            self.file.flush()

    def date_back(self) -> None:
        """Have it look older than any clock's tick: whoever writes into it from now on changes its time."""
        self.flush()
        then = time.time_ns() - _TICK_NS
        os.utime(self.path, ns=(then, then))

    def write(self, data: bytes) -> None:
        """Append *data* past the buffer of `file`: what was written is on disk, for `move` to take along."""
        left = memoryview(data)
        while left:
            left = left[os.write(self.fd, left) :]

    def move(self, directory: str, size: int) -> None:
        """Go on in another *directory*, with the first *size* bytes of what has been written."""
        other = Spool(directory)
        try:
            self.file.seek(0)
            while size and (piece := self.file.read(min(size, 1 << 18))):
                other.write(piece)
                size -= len(piece)
        except BaseException:
            other.discard()
            raise
        self.discard()
        del self.file
        self.path, self.fd = other.path, other.fd

    def __enter__(self) -> Spool:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.discard()

    def discard(self) -> None:
        """Close and remove the file, unless it has been put in place."""
        with suppress(OSError):  # a full disk refuses the rest of the buffer once more; it is to go anyway
            self.file.close() if "file" in self.__dict__ else os.close(self.fd)
        with suppress(FileNotFoundError):
            os.unlink(self.path)


class MirrorDirectory:
    """A directory that holds one half of a mirrored storage.

    *root* is its path; it may be a link itself. Names are clean names (`localmirror.names.clean_name`), those under
    ``.localmirror/`` included. File modes follow ``FILE_UPLOAD_PERMISSIONS`` and
    ``FILE_UPLOAD_DIRECTORY_PERMISSIONS``, read when a file is put in place.
    """

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self.root = os.path.abspath(os.fspath(root))
        self._known_directories: set[str] | None = None
        self._held = threading.local()
        self._is_swept = False

    def path(self, name: str) -> str:
        """Return the absolute path of *name*, whether or not it exists.

        Raises SuspiciousFileOperation if a linked directory on the way leads outside the mirror.
        """
        walked = self.root
        head, _, tail = name.rpartition("/")
        known = self._known_directories
        if known is not None and tail and head in known:
            return f"{walked}/{name}"
        for part in head.split("/") if head else ():
            walked = f"{walked}/{part}"
            if os.path.islink(walked) and not self._inside(walked):
                raise SuspiciousFileOperation(
                    f"{name!r} leads out of the mirror {self.root}: {walked} is a link to {os.path.realpath(walked)}."
                )
        if known is not None:
            known.add(head)
        return f"{walked}/{tail}" if tail else walked

    @contextmanager
    def directories_known(self) -> Iterator[None]:
        """Look at each directory once only, for as long as one process alone works in the mirror."""
        if self._known_directories is not None:
            yield
            return
        self._known_directories = set()
        try:
            yield
        finally:
            self._known_directories = None

    def _inside(self, path: str) -> bool:
        """Whether the link *path* leads to what callers may reach: not out of the mirror, nor to what is ours."""
        root, target = os.path.realpath(self.root), os.path.realpath(path)
        return os.path.commonpath((root, target)) == root and not is_reserved(os.path.relpath(target, root))

    def find(self, name: str) -> os.stat_result | None:
        """Return the status of the file *name*, or None if there is none; a link that leads outside is none."""
        path = self.path(name)
        try:
            found = os.lstat(path)
            if stat.S_ISLNK(found.st_mode):
                if not self._inside(path):
                    return None
                found = os.stat(path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        return found if stat.S_ISREG(found.st_mode) else None

    def check_writable(self, name: str) -> None:
        """Raise the OSError that putting a file in place under *name* would raise, as far as can be told before.

        So that a name which the local file system cannot hold is refused before the remote has accepted it.
        """
        path = self.path(name)
        with suppress(FileNotFoundError):
            if stat.S_ISDIR(os.lstat(path).st_mode) and _holds_anything(path):
                raise IsADirectoryError(errno.EISDIR, "The mirror has a directory of that name", path)
        directory, part = os.path.split(path)
        to_make = [part]
        while not os.path.isdir(directory):
            if os.path.lexists(directory):
                if os.path.isdir(directory):  # which another thread has made meanwhile
                    break
                raise NotADirectoryError(errno.ENOTDIR, "The mirror has a file of that name", directory)
            directory, part = os.path.split(directory)
            to_make.append(part)
        if hasattr(os, "pathconf"):
            longest = os.pathconf(directory, "PC_NAME_MAX")
            if any(len(os.fsencode(part)) > longest for part in to_make):
                raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG), path)
        if not os.access(directory, os.W_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids):
            raise PermissionError(errno.EACCES, "The mirror's directory cannot be written to", directory)

    def spool(self) -> Spool:
        """Return a new, empty spool on the mirror's own file system."""
        if not self._is_swept:
            self._confine_own()
            self._is_swept = True
            self.sweep_spools()
        return Spool(self._spools())

    def _confine_own(self) -> None:
        own = os.path.join(self.root, RESERVED)
        if os.path.islink(own):
            raise SuspiciousFileOperation(
                f"{own} is a link to {os.path.realpath(own)}: what the mirror keeps for itself must be in it."
            )

    def _spools(self) -> str:
        return os.path.join(self.root, RESERVED, "tmp")

    def place(self, spool: Spool, name: str) -> str:
        """Put the spooled file in place as *name* in one step, replacing what is there, a link included."""
        spool.flush()
        path = self.path(name)
        self._make_directories(os.path.dirname(path))
        self._set_mode(spool.fd)
        try:
            os.replace(spool.path, path)
        except IsADirectoryError:
            if _holds_anything(path):
                raise
            # What deleted files have left behind is no obstacle: object stores know no directories.
            for directory, _, _ in os.walk(path, topdown=False):
                os.rmdir(directory)
            os.replace(spool.path, path)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            # Spooled elsewhere, because the mirror was full.
            spool.move(self._spools(), os.path.getsize(spool.path))
            return self.place(spool, name)
        return path

    def link(self, source: str, name: str) -> str | None:
        """Give the file *source* the second name *name*, replacing what is there; None if links cannot be had.

        Both names share their bytes: nothing may ever write either of them in place.
        """
        target = self.path(name)
        origin = self.path(source)
        self._make_directories(os.path.dirname(target))
        temporary = os.path.join(self.root, RESERVED, "tmp", f"{os.getpid()}-{secrets.token_hex(8)}")
        try:
            with suppress(FileExistsError):
                os.link(origin, target, follow_symlinks=False)
                return target
            os.makedirs(os.path.dirname(temporary), exist_ok=True)
            os.link(origin, temporary, follow_symlinks=False)
        except OSError:
            return None
        try:
            os.replace(temporary, target)
        finally:
            # rename(2) does nothing, and leaves both names, when they are links to one file already.
            with suppress(FileNotFoundError):
                os.unlink(temporary)
        return target

    def _set_mode(self, fd: int) -> None:
        if settings.FILE_UPLOAD_PERMISSIONS is not None:
            os.fchmod(fd, settings.FILE_UPLOAD_PERMISSIONS)

    def _make_directories(self, directory: str) -> None:
        if os.path.isdir(directory):
            return
        self._make_directories(os.path.dirname(directory))
        mode = settings.FILE_UPLOAD_DIRECTORY_PERMISSIONS
        try:
            os.mkdir(directory)
            if mode is not None:
                os.chmod(directory, mode)  # mkdir's own mode would be cut by the umask
        except FileExistsError:
            if not os.path.isdir(directory):
                raise NotADirectoryError(errno.ENOTDIR, "The mirror has a file of that name", directory) from None

    def delete(self, name: str) -> None:
        """Remove the file *name*; a missing one is no error."""
        with suppress(FileNotFoundError, NotADirectoryError, IsADirectoryError):
            os.unlink(self.path(name))

    def listdir(self, name: str) -> tuple[list[str], list[str]]:
        """Return the directories and the files directly in directory *name*, localmirror's own left out.

        Raises FileNotFoundError where there is no such directory.
        """
        directories: list[str] = []
        files: list[str] = []
        base = self.path(f"{name}/") if name else self.root
        with os.scandir(base) as entries:
            for entry in entries:
                if not name and is_reserved(entry.name):
                    continue
                (directories if entry.is_dir() else files).append(entry.name)
        return directories, files

    def walk(self, prefix: str = "") -> Iterator[tuple[str, os.stat_result]]:
        """Yield the name and the status of every file of the mirror, localmirror's own and links left out."""
        try:
            entries = os.scandir(os.path.join(self.root, prefix))
        except FileNotFoundError:
            return
        with entries:
            for entry in entries:
                name = f"{prefix}{entry.name}"
                if entry.is_dir(follow_symlinks=False):
                    if not is_reserved(name):
                        yield from self.walk(f"{name}/")
                elif entry.is_file(follow_symlinks=False):
                    yield name, entry.stat(follow_symlinks=False)

    @contextmanager
    def lock(self, name: str) -> Iterator[None]:
        """Hold the lock of *name* against other threads and processes that use this mirror.

        A thread that holds it may take it again: a remote whose ``_save`` deletes first calls back.
        """
        digest = hashlib.sha1(name.encode("utf-8", "surrogatepass"), usedforsecurity=False).digest()
        bucket = int.from_bytes(digest[:4]) % _LOCK_BUCKETS
        held: set[int] = self._held.__dict__.setdefault("buckets", set())
        if bucket in held:
            yield
            return
        with self._open_lock(f"locks/{bucket:03x}") as file:
            locks.lock(file, locks.LOCK_EX)
            held.add(bucket)
            try:
                yield
            finally:
                held.discard(bucket)
                # Closing alone would leave it with a child that another thread has forked meanwhile.
                locks.unlock(file)

    @contextmanager
    def try_lock(self, name: str, holder: str) -> Iterator[str | None]:
        """Take the lock file *name* at once: yields None, or what the present holder wrote about itself."""
        with self._open_lock(name) as file:
            if not locks.lock(file, locks.LOCK_EX | locks.LOCK_NB):
                yield file.read().decode("utf-8", "replace") or "another process"
                return
            file.truncate(0)
            file.write(holder.encode())
            file.flush()
            try:
                yield None
            finally:
                locks.unlock(file)

    @contextmanager
    def _open_lock(self, name: str) -> Iterator[IO[bytes]]:
        self._confine_own()
        path = os.path.join(self.root, RESERVED, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        # Closing the descriptor releases the lock; each holder opens its own, so that threads exclude each other too.
        with open(path, "a+b") as file:
            file.seek(0)
            yield file

    def read_state(self, name: str) -> bytes | None:
        """Return one of localmirror's own files under ``.localmirror/``, or None."""
        try:
            with open(os.path.join(self.root, RESERVED, name), "rb") as file:
                return file.read()
        except (FileNotFoundError, NotADirectoryError):
            return None

    def state_status(self, name: str) -> os.stat_result | None:
        """Return the status of one of localmirror's own files under ``.localmirror/``, or None."""
        try:
            return os.stat(os.path.join(self.root, RESERVED, name))
        except (FileNotFoundError, NotADirectoryError):
            return None

    def write_state(self, name: str, data: bytes) -> None:
        """Write one of localmirror's own files under ``.localmirror/``, atomically."""
        with self.spool() as spool:
            spool.file.write(data)
            self.place(spool, f"{RESERVED}/{name}")

    def delete_state(self, name: str) -> None:
        """Remove one of localmirror's own files under ``.localmirror/``, if it is there."""
        with suppress(FileNotFoundError):
            os.unlink(os.path.join(self.root, RESERVED, name))

    def sweep_spools(self) -> None:
        """Remove what killed processes have left half-written more than a day ago."""
        directory = os.path.join(self.root, RESERVED, "tmp")
        horizon = time.time() - _STALE_SPOOL_SECONDS
        with suppress(FileNotFoundError), os.scandir(directory) as entries:
            for entry in entries:
                with suppress(FileNotFoundError):
                    if entry.stat(follow_symlinks=False).st_mtime < horizon:
                        os.unlink(entry.path)


def _holds_anything(directory: str) -> bool:
    """Whether there is anything but directories below *directory*."""
    with os.scandir(directory) as entries:
        return any(not e.is_dir(follow_symlinks=False) or _holds_anything(e.path) for e in entries)
