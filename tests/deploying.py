"""What the tests of collectstatic and publish have in common: deploying in this process, and looking at the result."""

from __future__ import annotations

import hashlib
import io
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.core.management import CommandError, call_command

from .corpus import Project
from .rigs import Rig
from .wire import Log

MANIFEST = "staticfiles.json"
HASH = re.compile(r"\.([0-9a-f]{12})(?=\.[^./]+$|$)")


@dataclass
class Deployment:
    """What a command said, reported and asked of the remote; ``error`` is what it ended with."""

    output: str
    report: dict[str, Any] | None
    seen: Log
    error: CommandError | None

    @property
    def last_line(self) -> str:
        return self.output.strip().rsplit("\n", 1)[-1]

    @property
    def uploads(self) -> list[str]:
        """The names of the objects that were stored, localmirror's own left out, sorted.

        rclone 1.75 answers 500 now and then when objects of a new directory arrive at once; they are sent again.
        """
        return sorted(request.name for request in self._files() if request.status != 500)

    @property
    def others(self) -> int:
        """The number of requests that were no upload of a file of the release."""
        return len(self.seen) - len(self._files())

    def _files(self) -> list[Any]:
        return [request for request in self.seen.of("PUT") if not request.name.startswith(".localmirror/")]


def deploy(
    rig: Rig, project: Project, *arguments: str, command: str = "collectstatic", report: bool = True, **options: Any
) -> Deployment:
    """Run ``collectstatic``, or another command, in this process; a CommandError is kept and not raised."""
    file = project.directory / "report.json"
    file.unlink(missing_ok=True)
    if command == "collectstatic":
        options.setdefault("interactive", False)
    if report:
        arguments += ("--report", str(file))
    written = io.StringIO()
    error = None
    with rig.wire.recording() as seen, project.active():
        try:
            call_command(*command.split(), *arguments, stdout=written, stderr=written, **options)
        except CommandError as raised:
            error = raised
    return Deployment(written.getvalue(), json.loads(file.read_text()) if file.exists() else None, Log(seen), error)


def publish(rig: Rig, project: Project, *arguments: str, **options: Any) -> Deployment:
    """Run ``localmirror publish`` in this process."""
    return deploy(rig, project, *arguments, command="localmirror publish", **options)


def succeeded(deployment: Deployment) -> Deployment:
    assert deployment.error is None, (deployment.error, deployment.output)
    return deployment


def mirrored(rig: Rig, directory: Path | None = None) -> dict[str, bytes]:
    """Return all files of the mirror, or of another one, with their bytes, localmirror's own left out."""
    root = directory or rig.mirror
    found = {path.relative_to(root).as_posix(): path for path in root.rglob("*") if path.is_file()}
    return {name: path.read_bytes() for name, path in found.items() if not name.startswith(".localmirror/")}


def public(rig: Rig, location: str = "") -> dict[str, bytes]:
    """Return all objects of the bucket, localmirror's own left out."""
    everything = {name.removeprefix(location): content for name, content in rig.raw_all().items()}
    return {name: content for name, content in everything.items() if not name.startswith(".localmirror/")}


def manifest(source: dict[str, bytes]) -> dict[str, str]:
    """Return the paths of the manifest that is among some files, empty if there is none."""
    return dict(json.loads(source[MANIFEST])["paths"]) if MANIFEST in source else {}


def assert_whole(rig: Rig, location: str = "") -> dict[str, str]:
    """Assert that what is public is one whole release, and return its manifest."""
    files = public(rig, location)
    paths = manifest(files)
    for name, hashed in paths.items():
        assert hashed in files, f"{hashed} is missing, to which the manifest leads from {name}"
        token = HASH.search(hashed)
        assert token, hashed
        assert hashlib.md5(files[hashed]).hexdigest().startswith(token[1]), f"{hashed} has other content"
    return paths


def settle(directory: Path, *, times: tuple[float, float]) -> None:
    """Give every file below a directory the same times."""
    import os

    for path in directory.rglob("*"):
        if path.is_file():
            os.utime(path, times)
