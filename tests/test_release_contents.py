"""What belongs to a release and what does not, however it came into the mirror: written, deleted, gone, misspelt."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError

from localmirror.backends.s3 import MirroredS3ManifestStaticStorage

from .corpus import FILES, Project
from .deploying import assert_whole, deploy, manifest, mirrored, public, succeeded
from .rigs import Rig

pytestmark = pytest.mark.parametrize("rig", ["s3-moto"], indirect=True)


class WritesByPath(MirroredS3ManifestStaticStorage):
    """Post-processing that writes a file by its path, each time the same."""

    def post_process(self, paths: dict[str, Any], dry_run: bool = False, **options: Any) -> Any:
        yield from super().post_process(paths, dry_run, **options)
        Path(self.path("sw.js")).write_bytes(b"worker()")


class DeletesAndWritesByPath(WritesByPath):
    def post_process(self, paths: dict[str, Any], dry_run: bool = False, **options: Any) -> Any:
        if self.exists("sw.js"):
            self.delete("sw.js")
            assert not self.exists("sw.js")
        yield from super().post_process(paths, dry_run, **options)
        assert self.exists("sw.js")
        with self.open("sw.js") as file:
            assert file.read() == b"worker()"


class RewritesInPlace(MirroredS3ManifestStaticStorage):
    """Post-processing that changes what was collected under its own name."""

    def post_process(self, paths: dict[str, Any], dry_run: bool = False, **options: Any) -> Any:
        for name in paths:
            if name.endswith(".svg"):
                with self.open(name) as file:
                    content = file.read().replace(b"<svg ", b"<svg data-release='1' ")
                with self.open(name, "wb") as file:
                    file.write(content)
        yield from super().post_process(paths, dry_run, **options)


def project_with(backend: type, directory: Path, rig: Rig) -> Project:
    project = Project.make(directory, rig)
    project.settings["STORAGES"]["staticfiles"]["BACKEND"] = f"{backend.__module__}.{backend.__name__}"
    return project


@pytest.mark.parametrize("backend", [WritesByPath, DeletesAndWritesByPath])
@pytest.mark.parametrize("arguments", [[], ["--clear"]])
def test_what_is_written_by_path_is_published_each_time(
    rig: Rig, tmp_path: Path, backend: type, arguments: list[str]
) -> None:
    project = project_with(backend, tmp_path, rig)
    for _ in range(3):
        deployed = succeeded(deploy(rig, project, *arguments))
        assert deployed.report is not None
        assert deployed.report["staged"] == 2 * len(FILES) + 1
        assert public(rig) == mirrored(rig)
        assert public(rig)["sw.js"] == b"worker()"
    assert deployed.uploads == []


def test_what_post_processing_may_change_is_sent_once_it_has(rig: Rig, tmp_path: Path) -> None:
    project = project_with(RewritesInPlace, tmp_path, rig)

    deployed = succeeded(deploy(rig, project))

    assert len(deployed.uploads) == len(set(deployed.uploads))
    assert b"data-release" in public(rig)["img/icon.svg"]
    assert public(rig) == mirrored(rig)


def test_a_reference_to_what_is_gone_from_the_sources_leads_nowhere(rig: Rig, tmp_path: Path) -> None:
    project = Project.make(tmp_path, rig)
    succeeded(deploy(rig, project))
    before = public(rig)
    project.corpus.remove("img/logo.png")

    for _ in range(2):
        # Django 5.2 passes on what hashing raised.
        with pytest.raises((CommandError, ValueError), match=r"'img/logo\.png' could not be found"):
            project.call("collectstatic", interactive=False)
    assert public(rig) == before

    # Put back, it is found again; and what nothing refers to may go.
    project.corpus.write("img/logo.png", FILES["img/logo.png"])
    project.corpus.remove("robots.txt")
    succeeded(deploy(rig, project))
    assert assert_whole(rig).keys() == FILES.keys() - {"robots.txt"}


def test_a_storage_sees_nothing_of_earlier_releases_while_it_hashes(rig: Rig) -> None:
    storage = rig.storage("static")
    for kept in ("new.txt", "old.txt"):
        with storage.staging() as staging:
            staging.found(kept)
            storage._save(kept, storage_file(kept))
            staging.begin_post_processing()
            assert storage.exists(kept)
            if kept == "old.txt":
                assert not storage.exists("new.txt")
                assert storage.listdir("") == ([], ["old.txt"])
                with pytest.raises(FileNotFoundError):
                    storage.open("new.txt")
                storage._save("new.txt", storage_file("made anew"))
                assert storage.exists("new.txt")
            staging.commit(staging.release())


def storage_file(text: str) -> Any:
    from django.core.files.base import ContentFile

    return ContentFile(text.encode())


@pytest.mark.skipif(os.sep == "\\", reason="a backslash parts directories here")
def test_a_backslash_in_the_name_of_a_source(rig: Rig, tmp_path: Path) -> None:
    project = Project.make(tmp_path, rig)
    (project.corpus.directory / "back\\slash.txt").write_bytes(b"slash")
    hashed = f"back/slash.{hashlib.md5(b'slash').hexdigest()[:12]}.txt"

    for _ in range(3):
        deployed = succeeded(deploy(rig, project))
        assert manifest(public(rig))["back/slash.txt"] == hashed
        assert public(rig)[hashed] == public(rig)["back/slash.txt"] == b"slash"
        assert public(rig) == mirrored(rig)
    assert deployed.uploads == []
