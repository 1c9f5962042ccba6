"""What the last staging learnt of each collected file, so that what has not changed is neither read nor hashed again.

Two things are remembered. The digest that a source had when it looked as it does now. And what post-processing made of
it, which holds as long as nothing that decides it has changed: see `what_decides`.
"""

from __future__ import annotations

import functools
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
from pathlib import Path
from types import FunctionType, SimpleNamespace
from typing import Any

import django
from django.conf import settings
from django.contrib.staticfiles.storage import HashedFilesMixin
from django.core.files.storage import FileSystemStorage, Storage

from localmirror.local import MirrorDirectory
from localmirror.names import HASH_PART, is_named_by
from localmirror.references import ENHANCED, has_no_references, is_enhanced, is_looked_into, texts_scanned_once
from localmirror.release import ReleaseFile
from localmirror.sources import HASH_LENGTH, Source, told

logger = logging.getLogger("localmirror")

MEMO = "memo.json"
_VERSION = 1

# A file that was changed so shortly before it was read may have been changed once more within the same tick of the
# file system's clock; FAT's, the coarsest, ticks every two seconds.
_TICK_NS = 2_000_000_000

# Where the classes come from whose hashing is known to depend on names, contents and plain attributes alone.
_KNOWN_PACKAGES = ("django", "django_manifeststaticfiles_enhanced", "localmirror", "storages")
_KNOWN_HASHING = ("django.contrib.staticfiles.storage", ENHANCED, "localmirror.cached")
# A digest in the name of a hashed file that a hashed file refers to, however the rest of the name is spelt there.
_NAMED = re.compile(rb"\.([0-9a-f]{8,64})(?![0-9a-f])")
# A reference to CSS or JavaScript that is not spelt as the name itself: quoted for URLs, or with a query behind it.
_MISSPELT = rb"""["'(]\s*(?=\S)[^"'()\n]*(?:[%%\\ \x80-\xff][^"'()\n]*%b\.(?:css|js)\b|%b\.(?:css|js)\?)"""
_MISSPELT_IN_SOURCE = re.compile(_MISSPELT % (b"", b""))
_MISSPELT_IN_OUTPUT = re.compile(_MISSPELT % ((rb"\.[0-9a-f]{12}",) * 2))
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
    """A collected file: how its source looked, the MD5 of that, and which name hashing gave to which bytes.

    *warnings* is what hashing had to say of it.
    """

    stamp: str | None
    md5: str
    output: str | None
    output_md5: str | None
    warnings: list[str]


class Memo:
    """What is remembered of the last staging into *mirror*, and what is noted of this one for the next."""

    def __init__(self, mirror: MirrorDirectory) -> None:
        self._mirror = mirror
        self._before = mirror.read_state(MEMO)
        self._decided_by, self._last = _read(self._before)
        self._sources: dict[str, tuple[str | None, str]] = {}
        self._outputs: dict[str, str] = {}
        self._warnings: dict[str, list[str]] = {}
        self._decides: str | None = None

    # -- sources -------------------------------------------------------------------------------------------------

    def digest(self, name: str, stamp: str | None) -> str | None:
        """Return the MD5 of the source of *name* if it looks just as it did when that was taken, else None."""
        known = self._last.get(name)
        return known.md5 if known is not None and stamp is not None and known.stamp == stamp else None

    def note_source(self, name: str, stamp: str | None, md5: str) -> None:
        """Note how the source of *name* looked before it was read, and the MD5 of what was read."""
        self._sources[name] = stamp, md5

    # -- what post-processing makes of them ----------------------------------------------------------------------

    def kept(self, storage: Any, names: Iterable[str], present: Mapping[str, ReleaseFile]) -> dict[str, str]:
        """Return the hashed names that still hold, by the names of their sources, for those of *names* that have one.

        *present* is what is in the mirror as it was staged before. The hashed copy of a file names the hashed copies of
        those that it refers to: it holds if it and all of these are as they were.
        """
        self._decides = what_decides(storage, names)
        if self._decides is None or self._decides != self._decided_by:
            return {}
        same = {name: known for name in names if (known := self._unchanged(name, present))}
        if changed := set(names) - same.keys():
            same = self._unreached(same, changed, in_order=is_enhanced(storage))
        return {name: str(known.output) for name, known in same.items()}

    def renamed(self, storage: Any, paths: Mapping[str, str]) -> Iterator[tuple[str, str]]:
        """Yield those names of *paths* that hashing only renames, each with its hashed name.

        *paths* says where each name was collected from. To be called after `kept`, while digests are handed on, which
        alone decide these names. It is so for what hashing does not look into or finds no references in. The rest is
        hashed in the order that it would have anyway: what is only renamed refers to nothing.
        """
        if self._decides is None:
            return
        for name, path in paths.items():
            md5 = self._sources.get(name, (None, None))[1]
            if md5 is not None and (
                not is_looked_into(storage, name)
                or has_no_references(storage, name, path, functools.partial(self._bytes, name))
            ):
                yield name, storage.hashed_name(name, told(SimpleNamespace(), Source(name, md5)))

    def _unchanged(self, name: str, present: Mapping[str, ReleaseFile]) -> Known | None:
        """Return what is known of *name* if its source and its hashed copy are what they were."""
        known = self._last.get(name)
        if known is None or known.output is None or self._sources.get(name, (None, None))[1] != known.md5:
            return None
        made = present.get(known.output)
        return known if made is not None and made.md5 == known.output_md5 else None

    def _unreached(self, same: dict[str, Known], changed: set[str], *, in_order: bool) -> dict[str, Known]:
        """Return those of *same* that do not refer to any of *changed*, nor to what does.

        None of them if hashing goes by the order of references, *in_order*, and does not recognise one for what it is.
        Files that refer to each other in a circle share one hash, which any other file can become part of.
        """
        changed |= {name for name, known in same.items() if not is_named_by(str(known.output), str(known.output_md5))}
        if in_order and any(_MISSPELT_IN_SOURCE.search(self._bytes(n)) for n in changed if n.endswith((".css", ".js"))):
            return {}
        gone = set().union(*(_digests_of(name, self._last.get(name)) for name in changed))
        left = {name: known for name, known in same.items() if name not in changed}
        referring = {}
        for name, known in left.items():
            if known.output_md5 == known.md5:
                continue
            data = self._bytes(str(known.output))
            if in_order and _MISSPELT_IN_OUTPUT.search(data):
                return {}
            referring[name] = {found.decode() for found in _NAMED.findall(data)}
        while stale := [name for name, named in referring.items() if None in gone or named & gone]:
            for name in stale:
                del referring[name]
                gone |= _digests_of(name, left.pop(name))
        return left

    def _bytes(self, name: str) -> bytes:
        with open(self._mirror.path(name), "rb") as file:
            return file.read()

    def warnings(self, name: str) -> list[str]:
        """Return what hashing had to say of *name* when it was processed last."""
        return self._last[name].warnings if name in self._last else []

    def note_output(self, name: str, output: str | None, processed: Any) -> None:
        """Note what post-processing yielded for *name*."""
        if isinstance(processed, Exception):
            self._warnings.setdefault(name, []).append(str(processed))
        elif output is not None and self._outputs.setdefault(name, output) != output:
            self._outputs[name] = ""

    def write(self, files: Mapping[str, ReleaseFile]) -> None:
        """Write down what was noted; *files* are those of the release."""
        rows = {}
        for name in files.keys() & self._sources.keys():
            made = files.get(self._outputs.get(name, ""))
            rows[name] = [*self._sources[name], made and made.name, made and made.md5, self._warnings.get(name, [])]
        data = json.dumps([_VERSION, self._decides, rows], sort_keys=True, separators=(",", ":")).encode()
        if data != self._before:
            self._mirror.write_state(MEMO, data)


def _digests_of(name: str, known: Known | None) -> set[str | None]:
    """Return the digests by which others may refer to *name*, None among them if that is not clear.

    With a query behind the name, Django takes that of the source for CSS too.
    """
    output = str(known and known.output)
    found = HASH_PART.findall(output)
    if known is None or not found or HASH_PART.sub("", output, count=1) != name:
        return {None}
    return {found[0][1:], known.md5[:HASH_LENGTH]}


def _read(data: bytes | None) -> tuple[str | None, dict[str, Known]]:
    try:
        version, decided_by, rows = json.loads(data) if data else (_VERSION, None, {})
        if version == _VERSION:
            return decided_by, {name: Known(*row) for name, row in rows.items()}
    except (ValueError, TypeError, AttributeError) as error:
        logger.warning("Ignoring the memo of the last staging, which cannot be read: %s", error)
    return None, {}


def stamp_of_source(storage: Any, path: str) -> str | None:
    """Return how the source *path* of a finder's *storage* looks, None where it is no local file as it stands."""
    opens = getattr(type(storage), "open", None), getattr(type(storage), "_open", None)
    if opens != (Storage.open, FileSystemStorage._open):  # type: ignore[attr-defined]
        return None
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

    It asks for the hash of a file by name alone where that is not among those it is processing, for each reference and
    in each of Django's passes. The manifest is sorted: Django 5.2 writes it in the order in which names were processed,
    which depends on what is kept.
    """
    hashed_name, save_manifest = getattr(storage, "hashed_name", None), getattr(storage, "save_manifest", None)

    @functools.cache
    def by_name(name: str) -> Any:
        return kept.get(storage.clean_name(name)) or hashed_name(name)  # type: ignore[misc]

    def find_hashed_name(name: str, content: Any = None, filename: str | None = None) -> Any:
        by_name_alone = content is None and filename is None
        return by_name(name) if by_name_alone else hashed_name(name, content, filename)  # type: ignore[misc]

    def save_whole_manifest() -> None:
        for name, output in kept.items():
            storage.hashed_files[storage.hash_key(storage.clean_name(name))] = output
        storage.hashed_files = dict(sorted(storage.hashed_files.items()))
        save_manifest()  # type: ignore[misc]

    ours: dict[str, Any] = {"hashed_name": find_hashed_name, **texts_scanned_once(storage)} if kept else {}
    if save_manifest is not None:
        ours["save_manifest"] = save_whole_manifest
    vars(storage).update(ours)
    try:
        yield
    finally:
        for name in ours:
            del vars(storage)[name]


def leaves_sources(storage: Any) -> bool:
    """Whether what *storage* makes of collected files is known to get names of its own."""
    known = (*_KNOWN_HASHING, "localmirror.precompressed")
    return all(cls.__module__ in known for cls in type(storage).__mro__ if "post_process" in vars(cls))


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
        values = {name: value for name, value in own.items() if name not in _BY_PYTHON}
        parts.append(f"{cls.__module__}.{cls.__qualname__}")
        if cls.__module__.partition(".")[0] not in _KNOWN_PACKAGES:
            if not _is_plain(values):
                return None
            parts.append(_spelt(values))
        elif issubclass(cls, HashedFilesMixin) and cls.__module__ in _KNOWN_HASHING:
            if any(isinstance(value, FunctionType) and value.__module__ != cls.__module__ for value in values.values()):
                return None
            hashing |= own.keys()
            parts += [
                _version_of(cls.__module__),
                _spelt({n: value for n, value in values.items() if _is_plain(value)}),
            ]
        elif "post_process" in own:
            return None
    given = {name: value for name, value in vars(storage).items() if name in hashing and not name.startswith("_")}
    if not _is_plain(given) or any(getattr(storage, name, None) for name in _NAMES_OF_CODE):
        return None
    parts.append(_spelt(given))
    return sha256("\0".join(map(str, parts)).encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _version_of(module: str) -> str:
    """Return what tells the code of *module*, and of those beside it, from any other version."""
    digest = sha256()
    for path in sorted(Path(sys.modules[module].__file__ or "").parent.glob("*.py")):
        digest.update(f"\0{path.name}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


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
