"""What an adapter tells the engine over obstore, and what becomes of obstore's errors."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any, TypeVar

from django.core.files.base import File
from obstore.exceptions import BaseError

from localmirror.backends._engines import Unfit
from localmirror.backends._obstore_setup import Credentials
from localmirror.backends._obstore_words import Failure
from localmirror.remote import Engine, RemoteFile, RemoteSeam

T = TypeVar("T")


class ObstoreAdapter(Engine):
    """How a storage of django-storages would have its files moved, in obstore's words."""

    #: From this size on a file goes in parts, of so many bytes each.
    multipart_from: int
    part_size: int

    def __init__(self, storage: RemoteSeam) -> None:
        super().__init__(storage)
        # Weakly: what obstore's stores hold on to is out of sight of Python's garbage collector.
        keys = weakref.WeakMethod(self.keys)
        self.credentials = Credentials(lambda: call() if (call := keys()) else {})
        #: Whether S3 has sent us elsewhere.
        self.moved = False
        self._given_up = ""
        self._connected = False

    def store(self, *, sending: bool = False) -> Any:
        """Return the store of the remote; the one for *sending* is patient with slow lines."""
        raise NotImplementedError

    def keys(self) -> dict[str, Any]:
        """Return the credentials that the storage uses now, in obstore's words."""
        raise NotImplementedError

    def key(self, name: str) -> str:
        """Return the full key of *name*."""
        raise NotImplementedError

    def attributes(self, name: str, file: File[bytes], *, immutable: bool) -> dict[str, str]:
        """Return what the storage would store along with *file*, in obstore's words. Raises Unfit if there are none."""
        raise NotImplementedError

    def encoded(self, name: str, file: File[bytes], attributes: dict[str, str]) -> bytes | None:
        """Return the body that the storage would make of *file*; None: *file* as it is. Raises Unfit."""
        return None

    def listed(self, name: str, entry: Any) -> RemoteFile:
        """Return what the *entry* of a listing tells of *name*."""
        raise NotImplementedError

    def version(self, answer: Any) -> str | None:
        """Return the word for the version of an object that the *answer* to its upload tells."""
        return answer["e_tag"].strip('"') if answer["e_tag"] else None

    def translated(self, failure: Failure) -> Exception:
        """Return the exception that the storage would have raised."""
        raise NotImplementedError

    def unconnected(self, failure: Failure) -> Exception:
        """Return what to raise where obstore has had no connection from the start."""
        if not failure.disagreed:
            return self.translated(failure)
        self._given_up = "obstore and the server, or the proxy, do not agree on a connection"
        return Unfit(self._given_up)

    def asked(self, ask: Callable[[], T]) -> T:
        """Return what *ask* does, or raise what the storage would. Raises Unfit if the storage may fare better."""
        if self._given_up:
            raise Unfit(self._given_up)
        try:
            answer = ask()
        except (BaseError, FileNotFoundError, ValueError) as error:
            failure = Failure.of(error)
        else:
            self._connected = True
            return answer
        # Not inside the except clause: obstore's own error would be printed as the context of this one.
        if self.credentials.error is not None:
            raise self.credentials.error
        self._connected = self._connected or bool(failure.status)
        if failure.connection == "Connect" and not self._connected:
            raise self.unconnected(failure)
        if not failure.unclear:
            raise self.translated(failure)
        self.moved = self.moved or failure.elsewhere
        if failure.status and not self.moved and failure.code != "RequestTimeout":
            self._given_up = failure.unclear  # whoever does not understand obstore will not understand it later
        raise Unfit(failure.unclear)

    def remark(self, what: str, reason: Unfit) -> None:
        """Note, once, *what* the storage does itself, and why."""
        remark = f"{self.storage.describe_remote()} {what} itself: {reason}."
        if remark not in self.remarks:
            self.remarks.append(remark)
