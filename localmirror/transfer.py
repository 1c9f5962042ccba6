"""A pool of uploads, each of whose results is read."""

from __future__ import annotations

import threading
from collections.abc import Callable, Container, Iterable, Iterator
from dataclasses import dataclass
from queue import SimpleQueue

from localmirror.release import ReleaseFile
from localmirror.remote import Uploaded


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one upload: the answer, or an error, or neither where it was not attempted."""

    file: ReleaseFile
    uploaded: Uploaded | None = None
    error: BaseException | None = None


class _Job:
    __slots__ = ("file", "is_taken", "outcome")

    def __init__(self, file: ReleaseFile) -> None:
        self.file = file
        self.is_taken = False
        self.outcome: Outcome | None = None


class Transfers:
    """Uploads in parallel. A file that fails does not stop the others, unless *is_fatal* says that it would hit all.

    One thread submits files and reads outcomes. (``concurrent.futures`` would do the same: its futures, each with a
    lock and a condition, took a tenth of the time of a deployment.)
    """

    def __init__(
        self, workers: int, upload: Callable[[ReleaseFile], Uploaded], is_fatal: Callable[[BaseException], bool]
    ) -> None:
        self._workers = workers
        self._upload = upload
        self._is_fatal = is_fatal
        self._stopped = False
        self._jobs: dict[str, _Job] = {}
        self._queue: SimpleQueue[_Job | None] = SimpleQueue()
        self._ended: SimpleQueue[_Job] = SimpleQueue()
        self._taking = threading.Lock()
        self._threads: list[threading.Thread] = []

    def submit(self, file: ReleaseFile) -> None:
        """Begin uploading *file*, as soon as a worker is free; in the place of other bytes of that name."""
        self._forget([file.name])
        job = self._jobs[file.name] = _Job(file)
        self._queue.put(job)
        if len(self._threads) < self._workers:
            thread = threading.Thread(target=self._work, name=f"localmirror-{len(self._threads)}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def _work(self) -> None:
        while (job := self._queue.get()) is not None:
            if self._take(job):
                job.outcome = self._run(job.file)
                self._ended.put(job)

    def _take(self, job: _Job) -> bool:
        """Whether the caller is the one who has *job* now, be it to do it or to drop it."""
        with self._taking:
            if job.is_taken:
                return False
            job.is_taken = True
            return True

    def _run(self, file: ReleaseFile) -> Outcome:
        if self._stopped:
            return Outcome(file)
        try:
            return Outcome(file, self._upload(file))
        except BaseException as error:
            if not isinstance(error, Exception) or self._is_fatal(error):
                self._stopped = True
            return Outcome(file, error=error)

    def has(self, file: ReleaseFile) -> bool:
        """Whether these very bytes of *file* have been submitted."""
        sent = self._jobs.get(file.name)
        return sent is not None and sent.file.md5 == file.md5

    def drop(self, keep: Iterable[ReleaseFile]) -> None:
        """Forget what was submitted and is not among *keep*, having waited for what is under way."""
        wanted = {file.name: file.md5 for file in keep}
        self._forget([name for name, job in self._jobs.items() if wanted.get(name) != job.file.md5])

    def _forget(self, names: Iterable[str]) -> None:
        dropped = [job for name in names if (job := self._jobs.pop(name, None)) and not self._take(job)]
        while any(job.outcome is None for job in dropped):
            self._ended.get()

    def outcomes(self) -> Iterator[Outcome]:
        """Yield what came of each upload, as they end."""
        told = set()
        for job in list(self._jobs.values()):
            if job.outcome is not None:
                told.add(job.file.name)
                yield job.outcome
        while len(told) < len(self._jobs):
            job = self._ended.get()
            if job.outcome is not None and self._jobs.get(job.file.name) is job and job.file.name not in told:
                told.add(job.file.name)
                yield job.outcome

    def rest(self, told: Container[str]) -> Iterator[Outcome]:
        """Yield, after `stop`, what came of the uploads whose names are not among *told*."""
        for name, job in self._jobs.items():
            if name not in told:
                yield job.outcome or Outcome(job.file)

    def stop(self) -> None:
        """Begin nothing more, and wait for what is under way."""
        self._stopped = True
        self.close()

    def close(self) -> None:
        """End the pool when all that was submitted is done."""
        for _ in self._threads:
            self._queue.put(None)
        for thread in self._threads:
            thread.join()
        self._threads.clear()
