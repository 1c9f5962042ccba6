"""Deploying a project in this process, and what came of it."""

from __future__ import annotations

import json
import posixpath
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

import pytest
from django.core.management.base import CommandError

from .. import deploying
from ..corpus import FILES, Project
from ..rigs import Rig

#: As little as shows it all: CSS that refers to CSS that refers to an image, and files that nothing refers to.
SITE = {name: FILES[name] for name in ("css/base.css", "img/logo.png", "js/lib/util.js", "empty.txt", "пример/☃.txt")}
SITE["css/page.css"] = b"@import 'base.css';\n.leaf { background: url('../img/gr%C3%BCn%20blatt.svg?v=1#a') }\n"
SITE["img/grün blatt.svg"] = FILES["img/grün blatt.svg"]

#: A file whose own hashed name is all that changes with it.
LEAF = "js/lib/util.js"


@dataclass(frozen=True)
class Deployed:
    """What a command that publishes has printed, and the names that it says it has uploaded."""

    output: str

    @property
    def uploaded(self) -> set[str]:
        return set(re.findall(r"^(.+): uploaded$", self.output, re.MULTILINE))

    @property
    def pending(self) -> set[str]:
        return set(re.findall(r"^Pretending to upload '(.+)'$", self.output, re.MULTILINE))


def collect(project: Project, **options: Any) -> Deployed:
    """Run collectstatic."""
    return Deployed(project.call("collectstatic", interactive=False, verbosity=2, **options))


def stage(project: Project) -> None:
    """Run collectstatic for the mirror alone."""
    project.call("collectstatic", interactive=False, stage=True)


def publish(project: Project, *arguments: str) -> Deployed:
    """Run ``localmirror publish``."""
    return Deployed(project.call("localmirror", "publish", *arguments, verbosity=2))


def failing(run: Any, project: Project, *arguments: Any) -> str:
    """Run a deployment that must fail, and return the sentence that it fails with."""
    with pytest.raises(CommandError) as caught:
        run(project, *arguments)
    return str(caught.value)


def paths_of(manifest: bytes) -> dict[str, str]:
    """Return which name each file is published under, as a manifest has it."""
    paths: dict[str, str] = json.loads(manifest)["paths"]
    return paths


def assert_whole(rig: Rig, project: Project) -> dict[str, str]:
    """Make sure that the remote has all that its manifest and the CSS lead to, and return the manifest's names."""
    names = deploying.assert_whole(rig)
    assert set(names) == set(project.corpus.names())
    there = set(rig.raw_list())
    for name in names.values():
        if name.endswith(".css"):
            for reference in _references(name, rig.raw_get(name)):
                assert reference in there, f"{name} refers to {reference}, which is not there"
    return names


def _references(name: str, content: bytes) -> list[str]:
    found = re.findall(r"""url\(["']?([^"')]+)""", content.decode())
    assert found, f"{name} refers to nothing"
    paths = [unquote(re.split("[?#]", reference)[0]) for reference in found]
    return [posixpath.normpath(posixpath.join(posixpath.dirname(name), path)) for path in paths]
