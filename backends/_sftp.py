"""django-storages' storage for SFTP (1.14.6), mended: no waiting for each other, no half files, no silent failures."""

from __future__ import annotations

import posixpath
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import IO, Any, ClassVar

import paramiko
from django.core.files.base import File
from storages.backends.sftpstorage import SFTPStorage

from localmirror.backends._files import FileServerStorage, FilesMirrorMixin, lock_of
from localmirror.backends._told import LoginRefusedError, temporary_name
from localmirror.remote import RemoteFile


class SFTPRemote(FileServerStorage, SFTPStorage):
    """`SFTPStorage`, mended."""

    host: str
    root_path: str
    sftp: Any
    _ssh: Any
    _sftp: Any
    _remote_path: Any

    @property
    def place(self) -> str:
        """Where the files are."""
        return f"{self.host} {self.root_path}"

    @contextmanager
    def _session(self) -> Iterator[Any]:
        with lock_of(self):
            if self._ssh is not None and self._ssh.get_transport() is None:
                self._drop()  # it has been closed, which SFTPStorage does not expect
            try:
                yield self.sftp
            except paramiko.AuthenticationException as error:
                raise LoginRefusedError(f"The SFTP server {self.host} refused the login: {error}") from error
            except (paramiko.SSHException, paramiko.ssh_exception.NoValidConnectionsError, EOFError) as error:
                self._drop()
                raise ConnectionError(f"The SFTP server {self.host} cannot be reached: {error}") from error
            except OSError as error:
                # A closed channel, which SFTPStorage does not notice. An answer of the server's may have no number too.
                if error.errno is None and self._sftp is not None and self._sftp.get_channel().closed:
                    self._drop()
                raise

    def _drop(self) -> None:
        if self._ssh is not None:
            self._ssh.close()
        self._ssh = self._sftp = None

    def entries(self, path: str) -> Iterator[tuple[str, RemoteFile | None]]:
        with self._session() as sftp:
            found = sftp.listdir_attr(self._remote_path(path))
        for entry in found:
            yield entry.filename, _remote_file(posixpath.join(path, entry.filename), entry)

    def file_status(self, name: str) -> RemoteFile | None:
        with self._session() as sftp, suppress(FileNotFoundError):
            return _remote_file(name, sftp.stat(self._remote_path(name)))
        return None

    def read_into(self, name: str, target: IO[bytes]) -> None:
        with self._session() as sftp:
            sftp.getfo(self._remote_path(name), target)

    def put(self, name: str, content: File[bytes]) -> None:
        temporary = temporary_name(name)
        with self._session() as sftp:
            try:
                # SFTPStorage's own: with the directories, the mode and the owner that are configured.
                SFTPStorage._save(self, temporary, content)
                self._rename(sftp, temporary, name, content)
            except BaseException:
                with suppress(OSError):
                    sftp.remove(self._remote_path(temporary))
                raise

    def _rename(self, sftp: Any, temporary: str, name: str, content: File[bytes]) -> None:
        old, new = self._remote_path(temporary), self._remote_path(name)
        try:
            sftp.posix_rename(old, new)
        except OSError as error:
            if error.errno is not None:
                raise
            # The server has no such extension of OpenSSH's. What SFTP itself has renames over no file.
            try:
                sftp.rename(old, new)
            except OSError:
                sftp.stat(new)
                SFTPStorage._save(self, name, content)
                sftp.remove(old)

    def delete(self, name: str) -> None:
        with self._session() as sftp, suppress(FileNotFoundError):
            sftp.remove(self._remote_path(name))


def _remote_file(name: str, told: Any) -> RemoteFile | None:
    if stat.S_ISDIR(told.st_mode or 0):
        return None
    return RemoteFile(name, told.st_size, None, datetime.fromtimestamp(told.st_mtime, UTC))


class SFTPMirrorMixin(FilesMirrorMixin):
    """LocalMirrorMixin for `SFTPStorage`."""

    repairs = SFTPRemote
    connection_attributes: ClassVar[tuple[str, ...]] = ("_ssh", "_sftp")
