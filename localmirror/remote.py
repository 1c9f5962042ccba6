"""The seam between the mirror and a remote: what an adapter may supply, with defaults built on Django's Storage API.

An adapter overrides whatever its provider does faster or more exactly; the rest works as it stands here.
"""

from __future__ import annotations

import hashlib
import posixpath
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import IO, TYPE_CHECKING, Any, ClassVar, NamedTuple

from django.core.exceptions import ImproperlyConfigured
from django.core.files.base import File
from django.core.files.storage import Storage

from localmirror.content import byte_chunks
from localmirror.exceptions import PublishError, ReleaseConflictError
from localmirror.names import first_line, redact

if TYPE_CHECKING:

    class Base(Storage):
        def _save(self, name: str, content: Any) -> str: ...
        def _open(self, name: str, mode: str = "rb") -> Any: ...

else:
    Base = object


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """One object as the provider lists it.

    *size* is in bytes and *md5* in hexadecimal, both of the stored (perhaps encoded) body; *etag* is the provider's
    word for this version of the object. None: the provider does not say. A *doubtful* one may be the marker of a
    directory, with a slash behind its name.
    """

    name: str
    size: int
    md5: str | None = None
    modified: datetime | None = None
    etag: str | None = None
    doubtful: bool = False

    @property
    def fingerprint(self) -> str | None:
        """What tells this version of the object from any other one."""
        if self.etag:
            return self.etag
        return f"{self.size}@{self.modified.timestamp()}" if self.modified else None


class Uploaded(NamedTuple):
    """The name that the remote stored an upload under, and its word for this version if the answer told it."""

    name: str
    etag: str | None = None


@dataclass(frozen=True, slots=True)
class Headers:
    """HTTP headers that an upload must carry; None leaves one to the remote's own configuration."""

    cache_control: str | None = None
    content_type: str | None = None
    content_encoding: str | None = None


class Engine:
    """How publish moves files in bulk; this one goes through the storage's own methods.

    An adapter with a faster way returns its own from `RemoteSeam.bulk_engine`. It is used from several threads.
    """

    def __init__(self, storage: RemoteSeam) -> None:
        self.storage = storage
        #: What somebody who wants details should know of how the files were moved: sentences without credentials.
        self.remarks: list[str] = []

    def remote_files(self, prefix: str = "", after: str = "") -> Iterator[RemoteFile]:
        """Iterate over what the remote has, as `RemoteSeam.remote_files` does, but perhaps with some doubtful files."""
        return self.storage.remote_files(prefix, after)

    def misread(self) -> Iterator[str]:
        """Iterate over names that `remote_files` may have told although only another file is there."""
        return iter(())

    def upload(self, name: str, file: File[bytes], *, immutable: bool) -> Uploaded:
        """Upload *file* as *name*, replacing what is there, and return under which name it went."""
        return self.storage.upload(name, file, immutable=immutable)

    def delete_many(self, names: Iterable[str]) -> None:
        """Delete *names* from the remote."""
        self.storage.delete_many(names)

    def close(self) -> None:
        """Give back what the engine holds."""


class RemoteSeam(Base):
    """What the mirror needs of the storage that follows it in the MRO."""

    #: The provider's exceptions that mean "no such file".
    missing_errors: ClassVar[tuple[type[BaseException], ...]] = ()
    #: The provider's exceptions that mean "cannot be reached now"; what is in the mirror is then served as it is.
    unavailable_errors: ClassVar[tuple[type[BaseException], ...]] = ()
    #: The provider's exceptions that mean "so it would be with every other file".
    fatal_errors: ClassVar[tuple[type[BaseException], ...]] = ()
    #: Attributes that, with the class, say which remote this is.
    identity_attributes: ClassVar[tuple[str, ...]] = ("endpoint_url", "bucket_name", "base_url", "location")
    #: Attributes without which nobody knows where the files are.
    required_attributes: ClassVar[tuple[str, ...]] = ()
    #: Attributes whose values must never be printed.
    secret_attributes: ClassVar[tuple[str, ...]] = ()
    #: Attributes in which the remote keeps its clients: None in a pickle, and after a fork.
    connection_attributes: ClassVar[tuple[str, ...]] = ()
    #: What this provider's upload parameters call the fields of `Headers`; one that is not here is left out.
    header_names: ClassVar[Mapping[str, str]] = {}
    #: Whether `remote_files` tells the MD5 or a lasting ETag of what `upload` has sent in one piece.
    listing_tells_content: bool = False
    #: Whether `remote_files` goes by the order of names, and can begin in the middle.
    listing_is_sorted: ClassVar[bool] = False
    #: Whether `remote_files` learns of a thousand files in one request, rather than file by file.
    listing_is_flat: bool = False
    #: Whether the remote keeps Cache-Control, Content-Type and Content-Encoding with a file.
    carries_headers: bool = False
    #: Whether `upload_manifest` leaves it to the remote to compare what it replaces with what was seen.
    writes_on_condition: bool = False
    #: Whether a project has overridden how the remote saves a file. Found out when the class is created.
    saves_in_its_own_way: bool = False
    #: A subclass of the remote that mends it, and stands behind what a project has made of the remote.
    repairs: ClassVar[type[Storage] | None] = None

    @classmethod
    def remote_class(cls) -> type:
        """Return the class of the remote: the first storage in the MRO that is not localmirror's."""
        for base in cls.__mro__:
            if issubclass(base, Storage) and not issubclass(base, RemoteSeam) and not is_own(base):
                return base
        return Storage

    def remote_identity(self) -> str:
        """Return a digest that is the same for two storages exactly if they speak of the same objects."""
        cls = self.remote_class()
        parts = [f"{cls.__module__}.{cls.__qualname__}"]
        parts += [f"{name}={getattr(self, name, None)}" for name in self.identity_attributes]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:24]

    @property
    def unset_option(self) -> str | None:
        """The option without which the remote does not know where its files are, None if nothing is missing."""
        return next((name for name in self.required_attributes if not getattr(self, name, None)), None)

    def check_configured(self) -> None:
        """Raise ImproperlyConfigured, naming the option, if the remote has not been told where its files are."""
        if self.unset_option:
            raise ImproperlyConfigured(f"{type(self).__name__} has no {self.unset_option!r}: set that option.")

    def base_address(self) -> str | None:
        """Return the address that the remote puts before all of its names, None where there is no such thing."""
        probe = "localmirror-probe"
        for cls in type(self).__mro__:
            # Below any hashing mixin, which would look the probe up in its manifest.
            if "url" in cls.__dict__ and issubclass(cls, Storage) and not issubclass(cls, RemoteSeam):
                try:
                    address = str(cls.url(self, probe))
                except (NotImplementedError, ValueError):
                    return None
                return address.removesuffix(probe) if address.endswith(probe) else None
        return None

    def describe_remote(self) -> str:
        """Return words that name the remote in a message: no credential, whatever the configuration holds."""
        told = [
            f"{name.removesuffix('_name').removesuffix('_url')} {str(getattr(self, name))!r}"
            for name in self.identity_attributes
            if getattr(self, name, None)
        ]
        return redact(f"{self.remote_class().__name__} ({', '.join(told)})", self._secrets())

    def describe_error(self, error: BaseException) -> str:
        """Return one line that says why *error* happened, without any credential."""
        return redact(f"{type(error).__name__}: {first_line(error)}", self._secrets())

    def _secrets(self) -> dict[str, Any]:
        return {name: getattr(self, name, None) for name in self.secret_attributes}

    def is_missing(self, error: BaseException) -> bool:
        """Whether *error* says that the file does not exist, and nothing else."""
        # What lies below a file does not exist either.
        return isinstance(error, (FileNotFoundError, NotADirectoryError, *self.missing_errors))

    def is_unavailable(self, error: BaseException) -> bool:
        """Whether *error* says that the remote cannot be reached at the moment."""
        unavailable = isinstance(error, (ConnectionError, TimeoutError, *self.unavailable_errors))
        return unavailable or self.http_status(error) >= 500

    def http_status(self, error: BaseException) -> int:
        """Return the HTTP status that *error* stands for, 0 if it stands for none."""
        return 0

    def is_fatal(self, error: BaseException) -> bool:
        """Whether *error* would hit every other file too, so that trying them is of no use."""
        return isinstance(error, self.fatal_errors) or self.is_unavailable(error)

    @contextmanager
    def missing_is_not_found(self, name: str) -> Iterator[None]:
        """Turn the provider's way of saying "no such file" into FileNotFoundError."""
        try:
            yield
        except Exception as error:
            if self.is_missing(error) and not isinstance(error, FileNotFoundError):
                raise FileNotFoundError(f"{name!r} does not exist in {self.describe_remote()}.") from error
            raise

    def remote_files(self, prefix: str = "", after: str = "") -> Iterator[RemoteFile]:
        """Iterate over all files of the remote below the directory *prefix*, localmirror's own included.

        Where `listing_is_sorted`, only over the names that come after *after*; elsewhere it changes nothing.
        The default walks ``listdir`` and asks for size and date one by one.
        """
        try:
            directories, files = super().listdir(prefix.rstrip("/"))
        except Exception as error:
            if self.is_missing(error):
                return
            raise
        base = prefix.rstrip("/")
        for file in files:
            found = self.remote_file(posixpath.join(base, file))
            if found is not None:
                yield found
        for directory in directories:
            yield from self.remote_files(f"{posixpath.join(base, directory)}/")

    def remote_file(self, name: str) -> RemoteFile | None:
        """Return what the remote says of *name* now, or None if it has no such file. One request where possible."""
        try:
            size = super().size(name)
            modified = None
            with suppress(NotImplementedError):
                modified = super().get_modified_time(name)
        except Exception as error:
            if self.is_missing(error):
                return None
            raise
        return RemoteFile(name, size, None, modified)

    def upload(self, name: str, file: File[bytes], *, immutable: bool) -> Uploaded:
        """Send *file* to the remote as *name*: the object that the storage's own ``_save`` writes.

        *file* can seek and tells its size; ``file.content_type`` and ``file.content_encoding``, where it has them,
        say how it is to be served. Raises whatever the remote raises.
        """
        with self.announced(self.headers_for(file, immutable=immutable)):
            return Uploaded(super()._save(name, file))

    def upload_manifest(self, name: str, file: File[bytes], *, seen: RemoteFile | None) -> Uploaded:
        """Send the manifest, on the condition that the remote still has the one that was *seen*.

        The default asks just before. Raises ReleaseConflictError if another release went live meanwhile.
        """
        self.check_unchanged(name, seen)
        return self.upload(name, file, immutable=False)

    def check_unchanged(self, name: str, seen: RemoteFile | None) -> None:
        """Raise ReleaseConflictError unless the remote has *name* just as it was *seen* (None: not at all)."""
        now = self.remote_file(name)
        if (now and now.fingerprint) != (seen and seen.fingerprint):
            raise ReleaseConflictError(self.conflict_message(name))

    def settle_conflict(self, name: str, file: File[bytes], error: Exception) -> Uploaded:
        """Return what the remote has if it is *file* after all: an answer got lost, and the SDK has sent it again.

        For a conditional write of *name* that was refused with *error*. Raises ReleaseConflictError if it is not.
        """
        there = self.remote_file(name)
        if there is None or there.md5 != self.encoded_md5(name, file):
            raise ReleaseConflictError(self.conflict_message(name)) from error
        return Uploaded(name, there.etag)

    def conflict_message(self, name: str) -> str:
        """Return what to say when the manifest *name* was replaced by somebody else during a publish."""
        return (
            f"Another release went live in {self.describe_remote()} meanwhile: {name!r} is not the one that was there "
            "when this publish began. Nothing is lost; run it again to make this release live."
        )

    def download(self, name: str, target: IO[bytes]) -> RemoteFile | None:
        """Write the content of *name*, decoded, to the open file *target*; return what the answer told of it.

        One request where the provider allows. Raises what `missing_errors` lists if there is no such file.
        """
        told = self.remote_file(name)  # before the content: a change in between is then noticed next time
        with super()._open(name, "rb") as file:
            for chunk in byte_chunks(file):
                target.write(chunk)
        return told

    def delete_many(self, names: Iterable[str]) -> None:
        """Delete *names* from the remote; a missing one is no error."""
        for name in names:
            try:
                super().delete(name)
            except Exception as error:
                if not self.is_missing(error):
                    raise

    def encoded_md5(self, name: str, file: File[bytes]) -> str:
        """Return the MD5, in hexadecimal, of the body that uploading *file* as *name* would store."""
        digest = hashlib.md5(usedforsecurity=False)
        for chunk in byte_chunks(file):
            digest.update(chunk)
        return digest.hexdigest()

    def encodes(self, name: str) -> bool:
        """Whether the remote stores *name* in another form than it was given, compressed for instance, or may."""
        return self.saves_in_its_own_way

    def header_parameters(self, headers: Headers) -> dict[str, Any]:
        """Return *headers* as this provider's upload parameters spell them."""
        spelt = {word: getattr(headers, field) for field, word in self.header_names.items()}
        return {word: value for word, value in spelt.items() if value is not None}

    def headers_for(self, file: File[bytes], *, immutable: bool) -> Headers:
        """Return the headers that the mirror asks for when *file* is uploaded."""
        cache_control = getattr(self, "mirror_immutable_cache_control", None) if immutable else None
        encoding = getattr(file, "content_encoding", None)
        # Without an encoding of ours the type is left to the remote, which looks at the content's own first.
        return Headers(cache_control, file.content_type if encoding else None, encoding)  # type: ignore[attr-defined]

    @contextmanager
    def announced(self, headers: Headers) -> Iterator[None]:
        """Make *headers* what `announced_parameters` returns in this thread, around a call of the remote's code."""
        local = self._announcements()
        local.headers = headers
        try:
            yield
        finally:
            local.headers = None

    def announced_parameters(self) -> dict[str, Any]:
        """Return the upload parameters for the upload that this thread is making; empty outside of one."""
        headers = getattr(self._announcements(), "headers", None)
        return self.header_parameters(headers) if headers else {}

    def _announcements(self) -> threading.local:
        found: threading.local = self.__dict__.setdefault("_localmirror_headers", threading.local())
        return found

    def bulk_engine(self) -> Engine:
        """Return what publish moves files with; only management commands call it."""
        return Engine(self)

    def __getstate__(self) -> dict[str, Any]:
        state: dict[str, Any] = dict(super().__getstate__())  # type: ignore[call-overload]
        return state | {name: None for name in self.connection_attributes if name in state}

    def forget_connections(self) -> None:
        """Drop every client and connection, after a fork: a child must not share its parent's sockets.

        The default drops what is left out of a pickle: by the remote itself, and by `connection_attributes`.
        """
        state, remote = self.__getstate__(), super()
        if hasattr(remote, "__setstate__"):
            remote.__setstate__(state)
        else:
            self.__dict__ = state


def is_own(cls: type) -> bool:
    """Whether *cls* is one of localmirror's own."""
    return cls.__module__.partition(".")[0] == __name__.partition(".")[0]


def renamed_error(storage: RemoteSeam, name: str, stored: str) -> PublishError:
    """Return the error for a remote that stores what it was to overwrite under another name."""
    return PublishError(
        f"{storage.describe_remote()} stored {name!r} as {stored!r}: configure it to overwrite existing files."
    )
