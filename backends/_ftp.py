"""django-storages' storage for FTP (1.14.6), mended: exact listings, files in one step, errors without the password."""

from __future__ import annotations

import ftplib
import posixpath
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO, Any, ClassVar

from django.core.files.base import File
from storages.backends.ftp import FTPStorage
from storages.utils import setting

from localmirror.backends import _ftp_commands as commands
from localmirror.backends._files import FileServerStorage, FilesMirrorMixin, lock_of
from localmirror.backends._told import LoginRefusedError, temporary_name
from localmirror.content import CHUNK_SIZE
from localmirror.remote import RemoteFile

# Seconds without an answer; FTPStorage would wait for ever.
_TIMEOUT = 60

# RFC 959, 4.2: the command is not known, or not for this. (550: there is no such file, or no right to it.)
_UNKNOWN = ("500", "501", "502", "504")

# In which sizes are those of the bytes; a listing leaves the connection in the other type.
_BINARY = "TYPE I"


class FTPRemote(FileServerStorage, FTPStorage):
    """`FTPStorage`, mended."""

    _config: dict[str, Any]
    _connection: ftplib.FTP | None

    def get_default_settings(self) -> dict[str, Any]:
        # django-storages 1.14.6 takes latin-1; servers have spoken UTF-8 since 1999 (RFC 2640).
        return {**super().get_default_settings(), "encoding": setting("FTP_STORAGE_ENCODING", "utf-8")}

    @property
    def place(self) -> str:
        """Where the files are, without the password."""
        return f"{self._config['host']}:{self._config['port']} {self._config['path']}"

    @contextmanager
    def _session(self, name: str, refusal: type[OSError] = FileNotFoundError) -> Iterator[ftplib.FTP]:
        with lock_of(self):
            self._start_connection()
            ftp = self._connection
            assert ftp is not None
            try:
                yield ftp
            except ftplib.error_perm as error:
                kind = refusal if str(error).startswith("550") else OSError
                raise kind(f"The FTP server refused {name!r}: {error}") from error
            except BaseException as error:
                ftp.close()  # what it would answer next is no longer known
                self._connection = None
                if isinstance(error, (ftplib.Error, EOFError, ConnectionError, TimeoutError)):
                    raise ConnectionError(f"The FTP server failed at {name!r}: {error}") from error
                raise

    def _start_connection(self) -> None:
        """Connect, or make sure that the connection is alive; no error repeats the configuration."""
        if self._connection is not None:
            try:
                self._connection.voidcmd(_BINARY)
                return
            except ftplib.all_errors:
                self._connection.close()
        config = self._config
        ftp = (ftplib.FTP_TLS if config["secure"] else ftplib.FTP)(timeout=_TIMEOUT, encoding=self.encoding)
        where = f"The FTP server {config['host']}:{config['port']}"
        try:
            ftp.connect(config["host"], config["port"])
            ftp.login(config["user"], config["passwd"])
            if isinstance(ftp, ftplib.FTP_TLS):
                ftp.prot_p()
            ftp.set_pasv(not config["active"])
            ftp.cwd(config["path"])
            ftp.voidcmd(_BINARY)
        except ftplib.error_perm as error:
            raise LoginRefusedError(f"{where} refused the login or the directory: {error}") from error
        except ftplib.all_errors as error:
            raise ConnectionError(f"{where} cannot be reached: {error}") from error
        self._connection = ftp

    def entries(self, path: str) -> Iterator[tuple[str, RemoteFile | None]]:
        with self._session(path) as ftp:
            try:
                found = list(commands.listed(ftp, path))
            except ftplib.error_perm as error:
                if not str(error).startswith(_UNKNOWN):
                    raise
                found = list(commands.listed_for_people(ftp, path))
        for name, is_directory, size, modified in found:
            yield name, None if is_directory else RemoteFile(posixpath.join(path, name), size, None, modified)

    def file_status(self, name: str) -> RemoteFile | None:
        with self._session(name) as ftp:
            try:
                size = ftp.size(name)
            except ftplib.error_perm as error:
                if not str(error).startswith(_UNKNOWN):
                    return None
            else:
                return RemoteFile(name, size or 0, None, commands.modified(ftp, name))
        with suppress(FileNotFoundError):
            entries = self.entries(posixpath.dirname(name))
            return next((file for found, file in entries if found == posixpath.basename(name)), None)
        return None

    def read_into(self, name: str, target: IO[bytes]) -> None:
        try:
            with self._session(name) as ftp:
                ftp.retrbinary(f"RETR {name}", target.write, CHUNK_SIZE)
        except FileNotFoundError as error:
            if self.file_status(name) is not None:  # FTP has one answer for a missing file and a forbidden one
                raise PermissionError(str(error)) from error
            raise

    def put(self, name: str, content: File[bytes]) -> None:
        temporary = temporary_name(name)
        with self._session(name, PermissionError) as ftp:
            try:
                commands.store_with_directories(ftp, temporary, content)
                commands.rename(ftp, temporary, name, content)
            except BaseException as error:
                if not isinstance(error, TimeoutError):  # of which one is enough
                    with suppress(*ftplib.all_errors, UnicodeError):
                        ftp.delete(temporary)
                raise

    def delete(self, name: str) -> None:
        try:
            with self._session(name) as ftp:
                ftp.delete(name)
        except FileNotFoundError as error:
            if self.file_status(name) is not None:
                raise PermissionError(str(error)) from error


class FTPMirrorMixin(FilesMirrorMixin):
    """LocalMirrorMixin for `FTPStorage`."""

    repairs = FTPRemote
    connection_attributes: ClassVar[tuple[str, ...]] = ("_connection",)
