"""What the remote has, learnt from one listing that runs in a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator

from localmirror.remote import RemoteFile
from localmirror.stems import Exactly, Names, Stems

# How many names are kept while it is not known yet just which matter; the listing waits then.
_UNSIFTED_LIMIT = 50_000

# Names in a page of a listing, which is what a request costs. After as many foreign ones it may pay to jump ahead.
_PAGE = 1000

# How long whoever cancels a listing waits for the answer to its last request.
_LAST_REQUEST_SECONDS = 3


class Inventory:
    """The remote's files by name, as far as they can belong to the release.

    `start` begins the listing. `narrow` tells which originals there are, so that names which cannot come from any of
    them are dropped as they pass, and `settle` just which names the release has. `wait` returns when all is known.
    *list_files* takes the name behind which to begin; where it *can_jump*, stretches of foreign names are passed over.
    *misread*, called in the end where anything was listed, tells which names are doubtful all the same.
    """

    def __init__(
        self,
        list_files: Callable[[str], Iterator[RemoteFile]],
        *,
        can_jump: bool = False,
        misread: Callable[[], Iterable[str]] = tuple,
    ) -> None:
        self._list_files = list_files
        self._misread = misread
        self._can_jump = can_jump
        self._files: dict[str, RemoteFile] = {}
        self._doubtful: set[str] = set()
        self._wanted: Names | None = None
        #: What has been wanted so far of what was listed, the latest last.
        self._sieves: list[Names] = []
        self._told_more = threading.Condition()
        self._settled = False
        self._done = threading.Event()
        self._cancelled = False
        self._error: Exception | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin listing, in the background."""
        self._thread = threading.Thread(target=self._run, name="localmirror-listing", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            begin: str | None = ""
            while begin is not None:
                begin = self._list_from(begin)
            for name in self._misread() if self._files and not self._cancelled else ():
                self._files.pop(name, None)
                self._doubtful.add(name)
        except Exception as error:  # reported by `wait`, in the thread that asked for the listing
            self._error = error
        finally:
            self._done.set()

    def _list_from(self, begin: str) -> str | None:
        """List what comes after *begin*; return where to go on after a page of foreign names, None at the end."""
        foreign, last = 0, begin
        for number, file in enumerate(self._list_files(begin), 1):
            if self._cancelled:
                return None
            # A server that does not keep to the order, or begins where it likes, is listed to its end. Where a doubtful
            # name belongs depends on whether there is a slash behind it.
            self._can_jump = self._can_jump and (file.doubtful or file.name > last)
            last = max(last, file.name) if file.doubtful else file.name
            foreign = 0 if self._take(file) else foreign + 1
            if self._can_jump and self._sieves and foreign >= _PAGE and number % _PAGE == 0 and last > begin:
                return self._sieves[-1].gap_after(last)
        return None

    def _take(self, file: RemoteFile) -> bool:
        if len(self._files) + len(self._doubtful) >= _UNSIFTED_LIMIT:
            with self._told_more:
                self._told_more.wait_for(lambda: self._settled or self._cancelled or self._is_told_more())
        if (wanted := self._wanted) is not None and wanted not in self._sieves:
            self._sieves.append(wanted)
            self._files = {name: file for name, file in self._files.items() if name in wanted}
            self._doubtful = {name for name in self._doubtful if name in wanted}
        kept = not self._sieves or file.name in self._sieves[-1]
        if kept and file.doubtful:
            self._doubtful.add(file.name)
        elif kept:
            self._files[file.name] = file
        return kept

    def _is_told_more(self) -> bool:
        return self._wanted is not None and self._wanted not in self._sieves

    def narrow(self, originals: Iterable[str]) -> None:
        """Tell the names that a file of the release can come from: itself, hashed, or compressed. Once only."""
        if self._wanted is None:
            self._want(Stems(originals))

    def settle(self, names: Iterable[str]) -> None:
        """Tell the names of the release, manifest and all. Once only."""
        if not self._settled:
            self._want(Exactly(names), settled=True)

    def _want(self, names: Names, *, settled: bool = False) -> None:
        with self._told_more:
            self._wanted, self._settled = names, settled
            self._told_more.notify_all()

    def speaks_of(self, name: str) -> bool:
        """Whether *name* would have been kept had the remote listed it, and is not doubtful."""
        if name in self._doubtful and name not in self._files:
            return False
        return all(name in sieve for sieve in self._sieves)

    @property
    def is_complete(self) -> bool:
        """Whether the listing has come to its end, with or without success."""
        return self._done.is_set()

    def cancel(self) -> None:
        """Let the listing end. Nobody needs it any more, but what it is in the middle of might outlive Python."""
        with self._told_more:
            self._cancelled = True
            self._told_more.notify_all()
        if self._thread is not None:
            self._thread.join(_LAST_REQUEST_SECONDS)

    def wait(self) -> dict[str, RemoteFile]:
        """Return all that was kept, by name, doubtful names apart. Raises what the listing raised."""
        self._done.wait()
        if self._error is not None:
            raise self._error
        return self._files
