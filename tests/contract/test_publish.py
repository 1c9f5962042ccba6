"""Publishing what was staged: later, elsewhere, again, in part, and while somebody else does the same."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile

from localmirror.exceptions import ReleaseConflictError, ReleaseNotPublishedError
from localmirror.publish import Publish

from ..corpus import Project
from ..deploying import MANIFEST, mirrored, public
from ..rigs import Rig
from ..wire import Rule
from .deploying import LEAF, SITE, assert_whole, collect, failing, paths_of, publish, stage
from .halves import both, hashed, no_requests, on


@pytest.fixture
def project(rig: Rig, tmp_path: Path) -> Project:
    return Project.make(tmp_path, rig, files=SITE)


def test_staging_asks_nobody_and_what_it_leaves_is_published_from_anywhere(
    rig: Rig, project: Project, tmp_path: Path
) -> None:
    with no_requests(rig):
        stage(project)
    assert rig.raw_list() == []
    staged = mirrored(rig)
    shutil.copytree(rig.mirror, tmp_path / "image")
    shutil.rmtree(rig.mirror)
    project.set_options(mirror_location=str(tmp_path / "image"))

    rehearsed = publish(project, "--dry-run")
    assert rig.raw_list() == []
    published = publish(project)

    assert rehearsed.pending == published.uploaded
    assert len(published.uploaded) == 2 * len(SITE)
    assert_whole(rig, project)
    assert public(rig) == mirrored(rig, tmp_path / "image") == staged
    assert publish(project).uploaded == set()


def test_publishing_everything_again(rig: Rig, project: Project) -> None:
    collect(project)
    before = public(rig)

    assert publish(project, "--all").uploaded == before.keys() - {MANIFEST}
    assert both(rig) == before


def test_publishing_when_nothing_was_staged(rig: Rig, project: Project) -> None:
    assert "collectstatic --stage" in failing(publish, project)
    assert rig.raw_list() == []


def test_a_file_that_cannot_be_uploaded(rig: Rig, project: Project) -> None:
    collect(project)
    before = rig.raw_get(MANIFEST)
    refused = hashed(LEAF, project.corpus.change(LEAF))
    stage(project)

    with rig.refusing(refused):
        failing(publish, project)
    assert rig.raw_get(MANIFEST) == before

    assert refused in publish(project).uploaded
    assert refused in assert_whole(rig, project).values()


def test_a_file_that_has_changed_since_it_was_staged(rig: Rig, project: Project) -> None:
    stage(project)
    (rig.mirror / "empty.txt").write_bytes(b"not empty any more")

    failing(publish, project)

    assert not {"empty.txt", MANIFEST} & set(rig.raw_list())


def test_only_hashed_files_are_published_if_so_configured(rig: Rig, project: Project) -> None:
    project.set_options(mirror_publish="hashed")

    collect(project)

    names = assert_whole(rig, project)
    assert public(rig).keys() == {*names.values(), MANIFEST}
    assert mirrored(rig).keys() == {*SITE, *names.values(), MANIFEST}
    assert collect(project).uploaded == set()


def test_each_release_leaves_a_record(rig: Rig, project: Project) -> None:
    collect(project)
    names = paths_of(rig.raw_get(MANIFEST))
    collect(project)
    (first,) = records(rig)
    project.corpus.change(LEAF)
    collect(project)

    assert len(records(rig)) == 2
    assert first["manifest"] == MANIFEST
    assert first["files"].keys() == {*SITE, *names.values()}
    assert first["files"]["img/logo.png"][0] == len(SITE["img/logo.png"])


def records(rig: Rig) -> list[dict[str, Any]]:
    """Return what the records of all releases say."""
    return [json.loads(rig.raw_get(name)) for name in rig.raw_list() if name.endswith("/record.json")]


def test_records_and_manifests_may_be_large(rig: Rig, project: Project) -> None:
    """As those of a release of 100,000 files are; SDKs begin to send in parts at 8 MB."""
    storage, large = rig.storage("static"), b"0123456789abcdef" * (9 << 16)

    Publish(storage).upload_bytes(".localmirror/releases/x/record.json", large)
    storage.upload_manifest(MANIFEST, ContentFile(large, MANIFEST), seen=None)

    assert rig.raw_get(".localmirror/releases/x/record.json") == rig.raw_get(MANIFEST) == large


def test_processes_pinned_to_a_release_find_its_names(rig: Rig, project: Project) -> None:
    project.set_options(mirror_release="one")
    collect(project)
    first = paths_of(rig.raw_get(MANIFEST))
    project.corpus.change("img/logo.png")
    project.set_options(mirror_release="two")
    collect(project)
    second = paths_of(rig.raw_get(MANIFEST))

    assert first["img/logo.png"] != second["img/logo.png"]
    assert rig.storage("manifest", mirror_release="one").hashed_files == first
    assert rig.storage("manifest", mirror_release="two").hashed_files == second
    assert rig.storage("manifest").hashed_files == second
    assert set(first.values()) <= set(rig.raw_list())
    with pytest.raises(ReleaseNotPublishedError, match="'three'"):
        rig.storage("manifest", mirror_release="three")


def test_another_release_that_went_live_meanwhile_is_not_overwritten(rig: Rig, project: Project) -> None:
    collect(project)
    project.corpus.change(LEAF)
    stage(project)
    storage = project.storage()
    results = Publish(storage).results(storage.staged_release())

    next(results)  # the remote has been listed
    rig.raw_put(MANIFEST, b'{"somebody": "else"}')
    with project.active(), pytest.raises(ReleaseConflictError):
        list(results)

    assert rig.raw_get(MANIFEST) == b'{"somebody": "else"}'
    publish(project)
    assert_whole(rig, project)


@on(lambda rig: rig.conditional_write)
@pytest.mark.parametrize("first", [True, False])
def test_another_release_that_goes_live_at_the_last_moment_is_not_overwritten(
    rig: Rig, project: Project, first: bool
) -> None:
    if not first:
        collect(project)
        project.corpus.change(LEAF)

    def somebody_else(request: Any) -> bool:
        rig.raw_put(MANIFEST, b'{"somebody": "else"}')
        return True

    rig.wire.add(Rule("delay", operation="upload", name=f"^{MANIFEST}$", times=1, match=somebody_else))
    message = failing(collect, project)

    assert "Another release went live" in message
    assert rig.raw_get(MANIFEST) == b'{"somebody": "else"}'
