"""SFTP by a real sshd, run as the current user with a host key and a client key of its own."""

from __future__ import annotations

import getpass
import os
import subprocess
from pathlib import Path

from .base import HOST, ProcessServer, find_program


class Sshd(ProcessServer):
    """sshd with the SFTP subsystem; files go below ``root``, log in with ``user`` and ``key_file``."""

    name = "sshd"
    scheme = "sftp"

    @classmethod
    def available(cls) -> str | None:
        for program in ("sshd", "ssh-keygen"):
            if find_program(program, "/usr/sbin", "/usr/local/sbin") is None:
                return f"{program} is not installed (Debian: openssh-server)"
        return None

    @property
    def root(self) -> Path:
        return self.directory / "files"

    @property
    def user(self) -> str:
        return getpass.getuser()

    @property
    def key_file(self) -> Path:
        return self.directory / "client_key"

    @property
    def known_hosts(self) -> Path:
        return self.directory / "known_hosts"

    def command(self) -> list[str]:
        self.root.mkdir(exist_ok=True)
        host_key = self.directory / "host_key"
        for key in (host_key, self.key_file):
            if not key.exists():
                subprocess.run(
                    [str(find_program("ssh-keygen")), "-q", "-t", "ed25519", "-N", "", "-f", str(key)],
                    check=True,
                    timeout=30,
                )
        self.known_hosts.write_text(f"[{HOST}]:{self.port} {host_key.with_suffix('.pub').read_text()}")
        if os.geteuid() == 0:
            # Where sshd separates privileges, it wants this directory, which an init script makes otherwise.
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        settings = {
            "Port": self.port,
            "ListenAddress": HOST,
            "HostKey": host_key,
            "AuthorizedKeysFile": self.key_file.with_suffix(".pub"),
            "PidFile": "none",
            "UsePAM": "no",
            "StrictModes": "no",
            "PasswordAuthentication": "no",
            "KbdInteractiveAuthentication": "no",
            "PermitRootLogin": "prohibit-password",
            "MaxStartups": "100",
            "MaxSessions": "100",
            "Subsystem": "sftp internal-sftp",
        }
        config = self.directory / "sshd_config"
        config.write_text("".join(f"{key} {value}\n" for key, value in settings.items()))
        return [str(find_program("sshd", "/usr/sbin", "/usr/local/sbin")), "-D", "-e", "-f", str(config)]
