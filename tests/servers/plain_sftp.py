"""SFTP as the protocol has it and no more, by paramiko's server in a process of its own: no renaming over a file."""

from __future__ import annotations

import sys
from pathlib import Path

from .base import HOST, ProcessServer

USER = "mirror"
PASSWORD = "sftp-test-password"

#: Run by ``python -c`` with host, port, password, directory, and the file to write the host key to.
_SERVE = """
import os, socket, sys, threading
import paramiko
from paramiko import SFTPAttributes, SFTPServer
host, port, password, root, known_hosts = sys.argv[1:]

def told(method):
    def call(self, *args):
        try:
            return method(self, *args)
        except OSError as error:
            return SFTPServer.convert_errno(error.errno)
    return call

def attributes(path, name=None):
    found = SFTPAttributes.from_stat(os.stat(path))
    found.filename = name
    return found

class Handle(paramiko.SFTPHandle):
    def stat(self):
        return SFTPAttributes.from_stat(os.fstat(self.readfile.fileno()))

class Files(paramiko.SFTPServerInterface):
    @told
    def list_folder(self, path):
        return [attributes(os.path.join(path, name), name) for name in os.listdir(path)]

    @told
    def stat(self, path):
        return attributes(path)

    @told
    def open(self, path, flags, attr):
        handle = Handle(flags)
        mode = "wb" if flags & os.O_WRONLY else "r+b" if flags & os.O_RDWR else "rb"
        handle.readfile = handle.writefile = os.fdopen(os.open(path, flags, 0o644), mode)
        return handle

    @told
    def remove(self, path):
        os.remove(path)
        return paramiko.SFTP_OK

    @told
    def rename(self, old, new):
        if os.path.exists(new):
            return paramiko.SFTP_FAILURE
        os.rename(old, new)
        return paramiko.SFTP_OK

    @told
    def mkdir(self, path, attr):
        os.mkdir(path)
        return paramiko.SFTP_OK

class Doorman(paramiko.ServerInterface):
    def get_allowed_auths(self, username):
        return "password"

    def check_auth_password(self, username, given):
        return paramiko.AUTH_SUCCESSFUL if given == password else paramiko.AUTH_FAILED

    def check_channel_request(self, kind, channel):
        return paramiko.OPEN_SUCCEEDED

key = paramiko.ECDSAKey.generate()
with open(known_hosts, "w") as file:
    file.write(f"[{host}]:{port} {key.get_name()} {key.get_base64()}\\n")
listening = socket.create_server((host, int(port)))
while True:
    transport = paramiko.Transport(listening.accept()[0])
    transport.add_server_key(key)
    transport.set_subsystem_handler("sftp", SFTPServer, Files)
    try:
        transport.start_server(server=Doorman())
    except (EOFError, paramiko.SSHException):  # somebody who only looked whether the server is ready
        transport.close()
"""


class PlainSftp(ProcessServer):
    """An SFTP server that knows no extensions of OpenSSH's; files are below ``root``."""

    name = "plain-sftp"
    scheme = "sftp"

    @property
    def root(self) -> Path:
        return self.directory / "files"

    @property
    def known_hosts(self) -> Path:
        return self.directory / "known_hosts"

    def command(self) -> list[str]:
        self.root.mkdir(exist_ok=True)
        arguments = [HOST, str(self.port), PASSWORD, str(self.root), str(self.known_hosts)]
        return [sys.executable, "-c", _SERVE, *arguments]
