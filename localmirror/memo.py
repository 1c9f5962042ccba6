"""What the last staging learnt of each collected file, so that what has not changed is neither read nor hashed again.

Two things are remembered. The digest that a source had when it looked as it does now. And what post-processing made of
it, which holds as long as nothing that decides it has changed: see `what_decides`.
"""

from __future__ import annotations

import json
import logging
import os
import re
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import django
from django.conf import settings
from django.contrib.staticfiles.storage import HashedFilesMixin

from localmirror.local import MirrorDirectory
from localmirror.names import HASH_PART

if TYPE_CHECKING:
    from localmirror.release import ReleaseFile

logger = logging.getLogger("localmirror")

MEMO = "memo.json"
_VERSION = 1

# A file that was changed so shortly before it was read may have been changed once more within the same tick of the
# file system's clock; FAT's, the coarsest, ticks every two seconds.
_TICK_NS = 2_000_000_000

# Where the classes come from whose hashing is known to depend on names, contents and plain attributes alone.
_KNOWN_PACKAGES = ("django", "django_manifeststaticfiles_enhanced", "localmirror", "storages")
_KNOWN_HASHING = (
    "django.contrib.staticfiles.storage",
    "django_manifeststaticfiles_enhanced.storage",
    "localmirror.cached",
)
# A digest in the name of a hashed file that a hashed file refers to, however the rest of the name is spelt there.
_NAMED = re.compile(rb"\.([0-9a-f]{8,64})(?![0-9a-f])")
# Attributes that name code: what it does may change while they stay the same.
_NAMES_OF_CODE = frozenset(["prehashed"])
# What Python itself puts into the namespace of a class.
_BY_PYTHON = frozenset(
    [
        *("__module__", "__qualname__", "__doc__", "__dict__", "__weakref__", "__slots__", "__parameters__"),
        *("__annotations__", "__annotate__", "__annotate_func__", "__annotations_cache__", "__orig_bases__"),
        *("__firstlineno__", "__static_attributes__", "__abstractmethods__", "_abc_impl"),
    ]
)


@dataclass(frozen=True, slots=True)
class Known:
    """A collected file: how its source looked, the MD5 of its bytes, and which name hashing gave to which bytes.

    What is not certain has to be processed again in any case.
    """

    stamp: str | None
    md5: str
    output: str | None
    output_md5: str | None
    is_certain: bool


class Memo:
    """What is remembered of the last staging into *mirror*, and what is noted of this one for the next."""

    def __init__(self, mirror: MirrorDirectory) -> None:
        self._mirror = mirror
        self._before = mirror.read_state(MEMO)
        self._decided_by, self._last = _read(self._before)
        self._stamps: dict[str, str] = {}
        self._outputs: dict[str, str] = {}
        self._uncertain: set[str] = set()
        self._decides: str | None = None

    # -- sources -------------------------------------------------------------------------------------------------

    def digest(self, name: str, stamp: str | None) -> str | None:
        """Return the MD5 of the source of *name* if it looks just as it did when that was taken, else None."""
        known = self._last.get(name)
        if known is None or stamp is None or known.stamp != stamp:
            return None
        self._stamps[name] = stamp
        return known.md5

    def note_source(self, name: str, stamp: str | None) -> None:
        """Note how the source of *name* looked before it was read."""
        if stamp is not None:
            self._stamps[name] = stamp

    # -- what post-processing makes of them ----------------------------------------------------------------------

    def kept(
        self,
        storage: Any,
        names: Iterable[str],
        files: Mapping[str, ReleaseFile],
        present: Mapping[str, ReleaseFile],
    ) -> dict[str, str]:
        """Return the hashed names that still hold, by the names of their sources, for those of *names* that have one.

        *files* are the collected files, *present* what is in the mirror as it was staged before. The hashed copy of a
        file names the hashed copies of those that it refers to: it holds if it and all of these are as they were.
        """
        self._decides = what_decides(storage, names)
        if self._decides is None or self._decides != self._decided_by:
            return {}
        same: dict[str, Known] = {}
        for name in names:
            known, file = self._last.get(name), files.get(name)
            made = present.get(known.output) if known and known.output and known.is_certain else None
            if known and file and file.md5 == known.md5 and made and made.md5 == known.output_md5:
                same[name] = known
        gone = {_digest_in(name, self._last.get(name)) for name in names if name not in same}
        rewritten = {name: known for name, known in same.items() if known.output_md5 != known.md5}
        referring = {name: self._digests_named_by(known) for name, known in rewritten.items()} if gone else {}
        while stale := [name for name, named in referring.items() if None in gone or named & gone]:
            for name in stale:
                del referring[name]
                gone.add(_digest_in(name, same.pop(name)))
        return {name: str(known.output) for name, known in same.items()}

    def _digests_named_by(self, known: Known) -> set[str]:
        with open(self._mirror.path(str(known.output)), "rb") as file:
            return {found.decode() for found in _NAMED.findall(file.read())}

    def note_output(self, name: str, output: str | None, processed: Any) -> None:
        """Note what post-processing yielded for *name*; what it warns of is processed, and warned of, each time."""
        if isinstance(processed, Exception):
            self._uncertain.add(name)
        elif output is not None and self._outputs.setdefault(name, output) != output:
            self._outputs[name] = ""

    def write(self, files: Mapping[str, ReleaseFile]) -> None:
        """Write down what was noted; *files* are those of the release."""
        rows = {}
        for name in files.keys() & (self._stamps.keys() | self._outputs.keys()):
            made = files.get(self._outputs.get(name, ""))
            noted = self._stamps.get(name), files[name].md5, made and made.name, made and made.md5
            rows[name] = [*noted, name not in self._uncertain]
        data = json.dumps([_VERSION, self._decides, rows], sort_keys=True, separators=(",", ":")).encode()
        if data != self._before:
            self._mirror.write_state(MEMO, data)


def _digest_in(name: str, known: Known | None) -> str | None:
    """Return the digest that hashing put into *name*, None if that is not known, or not clear."""
    found = HASH_PART.findall(known.output) if known and known.output else []
    return found[0][1:] if len(found) == 1 and HASH_PART.sub("", str(known and known.output)) == name else None


def _read(data: bytes | None) -> tuple[str | None, dict[str, Known]]:
    try:
        version, decided_by, rows = json.loads(data) if data else (_VERSION, None, {})
        if version == _VERSION:
            return decided_by, {name: Known(*row) for name, row in rows.items()}
    except (ValueError, TypeError, AttributeError) as error:
        logger.warning("Ignoring the memo of the last staging, which cannot be read: %s", error)
    return None, {}


def stamp_of_source(storage: Any, path: str) -> str | None:
    """Return how the source *path* of a finder's *storage* looks, None where it is no local file."""
    try:
        local = storage.path(path)
    except NotImplementedError:
        return None
    try:
        # Opened, not only looked at: a network file system answers from its cache otherwise.
        descriptor = os.open(local, os.O_RDONLY)
    except OSError:  # which reading it will meet too, and report
        return None
    try:
        return _stamp(os.fstat(descriptor))
    finally:
        os.close(descriptor)


def stamp_of_open(content: Any) -> str | None:
    """Return how the open file *content* looks, None where it is no file of the operating system."""
    try:
        return _stamp(os.fstat(content.fileno()))
    except (AttributeError, OSError, ValueError):
        return None


def _stamp(found: os.stat_result) -> str | None:
    # The time of the last change of the inode cannot be set back, as that of the content can. Windows has none.
    if os.name != "posix" or max(found.st_mtime_ns, found.st_ctime_ns) > time.time_ns() - _TICK_NS:
        return None
    return f"{found.st_dev}-{found.st_ino}-{found.st_size}-{found.st_mtime_ns}-{found.st_ctime_ns}"


@contextmanager
def names_kept(storage: Any, kept: Mapping[str, str]) -> Iterator[None]:
    """Let *storage* find the hashed names that are *kept* when other files refer to them, and put them in its manifest.

    It asks for the hash of a file by name alone where that is not among those it is processing.
    """
    if not kept:
        yield
        return
    hashed_name, save_manifest = storage.hashed_name, storage.save_manifest

    def find_hashed_name(name: str, content: Any = None, filename: str | None = None) -> Any:
        found = kept.get(name) if content is None and filename is None else None
        return found or hashed_name(name, content, filename)

    def save_whole_manifest() -> None:
        for name, output in kept.items():
            storage.hashed_files[storage.hash_key(storage.clean_name(name))] = output
        save_manifest()

    storage.hashed_name, storage.save_manifest = find_hashed_name, save_whole_manifest
    try:
        yield
    finally:
        del storage.hashed_name, storage.save_manifest


def what_decides(storage: Any, names: Iterable[str]) -> str | None:
    """Return a digest of all that decides what hashing makes of a file, but for the contents of files.

    That are the classes and their plain attributes, the versions of their code, the settings they read, and which
    names there are. None where that cannot be told: a project's own class has a method, say, or another package's
    mixin takes part.
    """
    if not hasattr(storage, "save_manifest"):
        return None
    parts: list[Any] = [_VERSION, django.get_version(), str(settings.STATIC_URL), *sorted(names)]
    hashing: set[str] = set()
    for cls in type(storage).__mro__[:-1]:
        own = vars(cls)
        parts.append(f"{cls.__module__}.{cls.__qualname__}")
        if cls.__module__.partition(".")[0] not in _KNOWN_PACKAGES:
            values = {name: value for name, value in own.items() if name not in _BY_PYTHON}
            if not _is_plain(values) or _NAMES_OF_CODE & values.keys():
                return None
            parts.append(_spelt(values))
        elif issubclass(cls, HashedFilesMixin) and cls.__module__ in _KNOWN_HASHING:
            hashing |= own.keys()
            parts.append(_version_of(cls.__module__))
        elif "post_process" in own:
            return None
    given = {name: value for name, value in vars(storage).items() if name in hashing and not name.startswith("_")}
    if not _is_plain(given) or any(getattr(storage, name, None) for name in _NAMES_OF_CODE):
        return None
    parts.append(_spelt(given))
    return sha256("\0".join(map(str, parts)).encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _version_of(module: str) -> str:
    """Return what tells the code of *module*, and of those beside it, from any other version."""
    directory = os.path.dirname(sys.modules[module].__file__ or "")
    with os.scandir(directory) as entries:
        files = sorted((e.name, e.stat().st_size, e.stat().st_mtime_ns) for e in entries if e.name.endswith(".py"))
    return f"{directory}\0{files}"


def _is_plain(value: Any) -> bool:
    if isinstance(value, Mapping):
        return all(_is_plain(key) and _is_plain(entry) for key, entry in value.items())
    if isinstance(value, tuple | list | set | frozenset):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, bool | int | float | str | bytes | re.Pattern)


def _spelt(value: Any) -> str:
    if isinstance(value, Mapping):
        return str(sorted((_spelt(key), _spelt(entry)) for key, entry in value.items()))
    if isinstance(value, set | frozenset):
        return str(sorted(map(_spelt, value)))
    if isinstance(value, tuple | list):
        return str([_spelt(entry) for entry in value])
    return f"{value.pattern!r} {value.flags}" if isinstance(value, re.Pattern) else repr(value)
