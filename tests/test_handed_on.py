"""What one builder hands on to the next over the remote: which files hashing only renames."""

from __future__ import annotations

import functools
import json
import logging
from pathlib import Path
from typing import Any

import pytest
from django.contrib.staticfiles.storage import HashedFilesMixin

from localmirror.release import RELEASES

from .corpus import FILES, Project
from .deploying import assert_whole, deploy, mirrored, publish, succeeded
from .rigs import Rig

moto = pytest.mark.parametrize("rig", ["s3-moto"], indirect=True)

#: What hashing rewrites, and what has only references that it leaves as they are. The rest is seen without hashing.
REWRITTEN = {"css/base.css", "css/site.css", "css/theme/dark.css", "js/app.js"}
EMBEDDING = {"css/icons.css": b"i { background: url(data:image/gif;base64,R0lGODlhAQABAAAAACw=) }\n"}
REFERRING = REWRITTEN | EMBEDDING.keys()


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names that hashing is given from now on."""
    names: list[str] = []
    post_process = HashedFilesMixin.post_process

    @functools.wraps(post_process)
    def noting(self: Any, paths: dict[str, Any], **options: Any) -> Any:
        names.extend(paths)
        return post_process(self, paths, **options)

    monkeypatch.setattr(HashedFilesMixin, "post_process", noting)
    return names


def embedding(directory: Path, rig: Rig) -> Project:
    project = Project.make(directory, rig)
    for name, content in EMBEDDING.items():
        project.corpus.write(name, content)
    return project


@pytest.fixture
def project(rig: Rig, tmp_path: Path) -> Project:
    """A project whose release is live, and whose next builder knows nothing."""
    project = embedding(tmp_path, rig)
    succeeded(deploy(rig, project))
    elsewhere(project, tmp_path / "fresh")
    return project


def records(rig: Rig) -> list[str]:
    return [name for name in rig.raw_all() if name.startswith(RELEASES) and name.endswith("/record.json")]


def elsewhere(project: Project, mirror: Path) -> None:
    project.set_options(mirror_location=str(mirror))


@moto
def test_a_new_builder_hashes_what_is_rewritten_alone(
    rig: Rig, project: Project, tmp_path: Path, given: list[str]
) -> None:
    deployment = succeeded(deploy(rig, project))

    assert set(given) == REWRITTEN
    assert deployment.uploads == []
    assert [request.name for request in deployment.seen if request.name] == records(rig)
    assert mirrored(rig, tmp_path / "fresh") == mirrored(rig)


@moto
def test_a_new_builder_hashes_what_has_changed(rig: Rig, project: Project, tmp_path: Path, given: list[str]) -> None:
    project.corpus.change("css/icons.css")
    project.corpus.change("img/logo.png")
    deployment = succeeded(deploy(rig, project))

    assert set(given) == REFERRING
    assert len(deployment.uploads) == 2 + 2 + 3 + 1, "two files with their copies, three style sheets, the manifest"
    paths = assert_whole(rig)
    assert {paths[name] for name in paths} <= mirrored(rig, tmp_path / "fresh").keys()


@moto
@pytest.mark.parametrize(
    "change",
    [
        lambda project: project.corpus.write("new.txt", b"new"),
        lambda project: project.settings.update(STATIC_URL="/elsewhere/"),
        lambda project: project.set_options(mirror_publish="hashed"),
    ],
    ids=["another name", "another STATIC_URL", "another option of the mirror"],
)
def test_what_hashing_goes_by_must_be_the_same(
    rig: Rig, project: Project, given: list[str], change: Any, request: pytest.FixtureRequest
) -> None:
    change(project)
    succeeded(deploy(rig, project))

    of_the_mirror = "mirror" in request.node.callspec.id
    assert set(given) == (REWRITTEN if of_the_mirror else REFERRING)


@moto
@pytest.mark.parametrize("arguments", [["--clear"], ["--stage"], ["--dry-run"]])
def test_it_is_not_asked_for_where_it_is_not_wanted(
    rig: Rig, project: Project, given: list[str], arguments: list[str]
) -> None:
    deployment = succeeded(deploy(rig, project, *arguments))

    assert set(given) >= REFERRING
    assert not deployment.seen.names("download")


@moto
@pytest.mark.parametrize("hashing", [5, {}, [], ["x"], ["x", {}], ["x", {"css/site.css": 5}]])
def test_what_cannot_be_read_is_not_used(
    rig: Rig, project: Project, given: list[str], caplog: pytest.LogCaptureFixture, hashing: Any
) -> None:
    [name] = records(rig)
    record = json.loads(rig.raw_get(name))
    rig.raw_put(name, json.dumps({**record, "hashing": hashing}).encode())

    succeeded(deploy(rig, project))

    assert set(given) == REFERRING
    assert_whole(rig)


@moto
def test_a_builder_that_may_not_read_it_says_so_and_goes_on(
    rig: Rig, project: Project, given: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    rig.wire.fail(403, method="GET", name=r"/record\.json$", times=9)

    with caplog.at_level(logging.WARNING):
        succeeded(deploy(rig, project))

    assert set(given) == REFERRING
    [name] = records(rig)
    assert [record.message for record in caplog.records if name in record.message]


@moto
def test_a_record_without_it_is_of_use_as_ever(rig: Rig, project: Project, given: list[str]) -> None:
    """Earlier versions have left such ones."""
    [name] = records(rig)
    record = json.loads(rig.raw_get(name))
    del record["hashing"]
    rig.raw_put(name, json.dumps(record).encode())

    succeeded(deploy(rig, project))

    assert set(given) == REFERRING


@moto
def test_an_image_hands_on_what_it_has_staged(rig: Rig, tmp_path: Path, given: list[str]) -> None:
    project = embedding(tmp_path, rig)
    succeeded(deploy(rig, project, "--stage", report=False))
    succeeded(publish(rig, project))
    given.clear()
    elsewhere(project, tmp_path / "fresh")

    succeeded(deploy(rig, project))

    assert set(given) == REWRITTEN


@moto
def test_it_tells_names_and_digests_alone(rig: Rig, project: Project) -> None:
    decided_by, renamed = json.loads(rig.raw_get(*records(rig)))["hashing"]

    assert len(decided_by) == 32
    assert renamed.keys() == (FILES.keys() | EMBEDDING.keys()) - REWRITTEN
    assert all(len(md5) == 32 for md5 in renamed.values())
