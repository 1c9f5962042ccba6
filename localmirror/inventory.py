"""What the remote has, learnt from one listing that runs in a thread of its own."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable, Iterator

from localmirror.names import is_reserved
from localmirror.remote import RemoteFile

# What may stand before a digest in a name.
_SEPARATOR = re.compile(r"[.\-_~@]")

# How many names are kept while it is not known yet which can matter; the listing waits then.
_UNSORTED_LIMIT = 50_000


class Inventory:
    """The remote's files by name, as far as they can belong to the release.

    `start` begins the listing; `narrow` tells which originals there are, so that names which cannot come from any of
    them are dropped as they pass; `wait` returns when all is known.
    """

    def __init__(self, list_files: Callable[[], Iterator[RemoteFile]]) -> None:
        self._list_files = list_files
        self._files: dict[str, RemoteFile] = {}
        self._stems: frozenset[str] | None = None
        self._narrowed = threading.Event()
        self._done = threading.Event()
        self._cancelled = False
        self._error: Exception | None = None

    def start(self) -> None:
        """Begin listing, in the background."""
        threading.Thread(target=self._run, name="localmirror-listing", daemon=True).start()

    def _run(self) -> None:
        try:
            for file in self._list_files():
                if self._cancelled:
                    return
                self._take(file)
        except Exception as error:  # reported by `wait`, in the thread that asked for the listing
            self._error = error
        finally:
            self._done.set()

    def _take(self, file: RemoteFile) -> None:
        if self._stems is None and len(self._files) >= _UNSORTED_LIMIT:
            self._narrowed.wait()
        if self._may_matter(file.name):
            self._files[file.name] = file

    def narrow(self, originals: Iterable[str]) -> None:
        """Tell the names that a file of the release can come from: itself, hashed, or compressed. Once only."""
        if self._stems is None:
            self._stems = frozenset(map(_stem, originals))
        self._narrowed.set()

    def _may_matter(self, name: str) -> bool:
        return self._stems is None or _stem(name) in self._stems or is_reserved(name)

    def speaks_of(self, name: str) -> bool:
        """Whether *name* would have been kept had the remote listed it."""
        return self._may_matter(name)

    @property
    def is_complete(self) -> bool:
        """Whether the listing has come to its end, with or without success."""
        return self._done.is_set()

    def cancel(self) -> None:
        """Let the listing end; nobody waits for it any more."""
        self._cancelled = True
        self._narrowed.set()

    def wait(self) -> dict[str, RemoteFile]:
        """Return all that was kept, by name. Raises what the listing raised."""
        self._done.wait()
        if self._error is not None:
            raise self._error
        return self._files


def _stem(name: str) -> str:
    """Return what *name* has in common with its hashed and compressed forms, however a hashing mixin spells them."""
    directory, _, base = name.rpartition("/")
    return f"{directory}/{_SEPARATOR.split(base.lstrip('.'), maxsplit=1)[0]}"
