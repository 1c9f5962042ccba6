"""A pool of uploads, each of whose results is read."""

from __future__ import annotations

import threading
from collections.abc import Callable, Container, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, as_completed, wait
from dataclasses import dataclass

from localmirror.release import ReleaseFile
from localmirror.remote import Uploaded


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one upload: the answer, or an error, or neither where it was not attempted."""

    file: ReleaseFile
    uploaded: Uploaded | None = None
    error: BaseException | None = None


class Transfers:
    """Uploads in parallel. A file that fails does not stop the others, unless *is_fatal* says that it would hit all."""

    def __init__(
        self, workers: int, upload: Callable[[ReleaseFile], Uploaded], is_fatal: Callable[[BaseException], bool]
    ) -> None:
        self._upload = upload
        self._is_fatal = is_fatal
        self._stopped = threading.Event()
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="localmirror")
        self._futures: dict[str, tuple[ReleaseFile, Future[Uploaded | None]]] = {}

    def submit(self, file: ReleaseFile) -> None:
        """Begin uploading *file*, as soon as a worker is free."""
        self._futures[file.name] = (file, self._pool.submit(self._run, file))

    def _run(self, file: ReleaseFile) -> Uploaded | None:
        if self._stopped.is_set():
            return None
        try:
            return self._upload(file)
        except BaseException as error:
            if not isinstance(error, Exception) or self._is_fatal(error):
                self._stopped.set()
            raise

    def has(self, file: ReleaseFile) -> bool:
        """Whether these very bytes of *file* have been submitted."""
        sent = self._futures.get(file.name)
        return sent is not None and sent[0].md5 == file.md5

    def drop(self, keep: Iterable[ReleaseFile]) -> None:
        """Forget what was submitted and is not among *keep*, having waited for what is under way."""
        wanted = {file.name: file.md5 for file in keep}
        dropped = [name for name, (file, _) in self._futures.items() if wanted.get(name) != file.md5]
        pending = [future for name in dropped if not (future := self._futures.pop(name)[1]).cancel()]
        wait(pending)

    def outcomes(self) -> Iterator[Outcome]:
        """Yield what came of each upload, as they end."""
        files = {future: file for file, future in self._futures.values()}
        for future in as_completed(files):
            yield self._outcome(files.pop(future), future)

    def rest(self, told: Container[str]) -> Iterator[Outcome]:
        """Yield, after `stop`, what came of the uploads whose names are not among *told*."""
        for file, future in self._futures.values():
            if file.name not in told:
                yield self._outcome(file, future)

    @staticmethod
    def _outcome(file: ReleaseFile, future: Future[Uploaded | None]) -> Outcome:
        if future.cancelled():
            return Outcome(file)
        error = future.exception()
        return Outcome(file, None, error) if error is not None else Outcome(file, future.result())

    def stop(self) -> None:
        """Begin nothing more, and wait for what is under way."""
        self._stopped.set()
        self._pool.shutdown(cancel_futures=True)

    def close(self) -> None:
        """End the pool when all that was submitted is done."""
        self._pool.shutdown()
