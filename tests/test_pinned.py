"""Manifests: never stale, read once, and pinned to a release for code that belongs to it."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from django.core.exceptions import ImproperlyConfigured

from localmirror.exceptions import ReleaseNotPublishedError

from .corpus import FILES, Project
from .deploying import MANIFEST, assert_whole, deploy, manifest, mirrored, public, publish, succeeded
from .disks import disk
from .rigs import Rig

moto = pytest.mark.parametrize("rig", ["s3-moto"], indirect=True)


def release(rig: Rig, project: Project, name: str, change: str) -> dict[str, str]:
    """Deploy with a change under the id of a release, and return its manifest."""
    project.set_options(mirror_release=name)
    project.corpus.change(change)
    succeeded(deploy(rig, project))
    return assert_whole(rig)


def names_of(storage: Any) -> dict[str, str]:
    return {name: storage.stored_name(name) for name in FILES}


def test_old_and_new_code_each_find_their_names(s3: Rig, tmp_path: Path) -> None:
    project = Project.make(tmp_path, s3)
    old = release(s3, project, "c0ffee1", "img/logo.png")
    new = release(s3, project, "c0ffee2", "css/base.css")
    assert old != new

    for mirror in ("mirror", "a fresh host"):
        s3.mirror = tmp_path / mirror
        for pinned, expected in (("c0ffee1", old), ("c0ffee2", new), (None, new)):
            storage = s3.storage("manifest", mirror_release=pinned)
            assert names_of(storage) == expected
            for hashed in expected.values():
                assert storage.exists(hashed)
                with storage.open(hashed) as file:
                    assert file.read() == s3.raw_get(hashed)


def test_rolling_back_the_code_rolls_back_its_assets(s3: Rig, tmp_path: Path) -> None:
    project = Project.make(tmp_path, s3)
    old = release(s3, project, "v1", "img/logo.png")
    release(s3, project, "v2", "img/logo.png")

    assert names_of(s3.storage("manifest", mirror_release="v1")) == old


def test_an_id_that_is_given_away_again_leads_to_what_was_published_last(s3: Rig, tmp_path: Path) -> None:
    project = Project.make(tmp_path, s3)
    release(s3, project, "v2", "img/logo.png")
    project.set_options(mirror_release=None)
    project.corpus.change("img/logo.png")
    succeeded(deploy(s3, project))
    latest = assert_whole(s3)

    project.set_options(mirror_release="v2")
    succeeded(deploy(s3, project))

    s3.mirror = tmp_path / "a fresh host"
    assert names_of(s3.storage("manifest", mirror_release="v2")) == latest


def test_a_pinned_manifest_that_was_lost_is_put_back(s3: Rig, tmp_path: Path) -> None:
    project = Project.make(tmp_path, s3)
    paths = release(s3, project, "v2", "img/logo.png")
    s3.raw_delete(f".localmirror/releases/v2/{MANIFEST}")

    succeeded(deploy(s3, project))

    s3.mirror = tmp_path / "a fresh host"
    assert names_of(s3.storage("manifest", mirror_release="v2")) == paths


@moto
def test_publishing_a_release_again_is_cheap_and_a_new_id_for_the_same_files_too(rig: Rig, tmp_path: Path) -> None:
    project = Project.make(tmp_path, rig)
    paths = release(rig, project, "v1", "img/logo.png")

    again = succeeded(deploy(rig, project))
    assert len(again.seen) <= 3
    project.set_options(mirror_release="v2")
    renamed = succeeded(deploy(rig, project))

    assert renamed.uploads == []
    assert len(renamed.seen) <= 6
    assert names_of(rig.storage("manifest", mirror_release="v2")) == paths
    assert renamed.report is not None
    assert renamed.report["release"] == "v2"


@moto
def test_without_an_id_the_release_is_known_by_a_digest(rig: Rig, tmp_path: Path) -> None:
    project = Project.make(tmp_path, rig)
    first = succeeded(deploy(rig, project)).report
    again = succeeded(deploy(rig, project)).report
    project.corpus.change("robots.txt")
    changed = succeeded(deploy(rig, project)).report

    assert first is not None
    assert again is not None
    assert changed is not None
    assert first["release"] == again["release"] != changed["release"]
    assert names_of(rig.storage("manifest", mirror_release=first["release"])) != assert_whole(rig)


def test_a_release_that_is_not_published_is_one_sentence(s3: Rig, tmp_path: Path) -> None:
    succeeded(deploy(s3, Project.make(tmp_path, s3)))

    with pytest.raises(ReleaseNotPublishedError) as raised:
        s3.storage("manifest", mirror_release="c0ffee3")

    sentence = str(raised.value)
    assert "'c0ffee3'" in sentence
    assert "mirror_release" in sentence
    assert s3.bucket in sentence
    assert "\n" not in sentence
    for secret in s3.server.credentials.values():
        assert secret not in sentence


@moto
def test_the_first_deployment_of_a_pinned_project_needs_no_release_yet(rig: Rig, tmp_path: Path) -> None:
    project = Project.make(tmp_path, rig, mirror_release="v1")

    assert project.run("collectstatic", "--no-input").returncode == 0
    assert project.run("localmirror", "publish").returncode == 0
    assert names_of(rig.storage("manifest", mirror_release="v1")) == assert_whole(rig)


@moto
def test_a_staged_release_keeps_its_id(rig: Rig, tmp_path: Path) -> None:
    project = Project.make(tmp_path, rig, mirror_release="v1")
    succeeded(deploy(rig, project, "--stage", report=False))
    project.set_options(mirror_release=None)

    published = succeeded(publish(rig, project))

    assert published.report is not None
    assert published.report["release"] == "v1"
    assert names_of(rig.storage("manifest", mirror_release="v1")) == assert_whole(rig)


@pytest.mark.parametrize("wrong", ["", "../v1", "a/b", ".hidden", "a b", "ü", 7, "..", "-"])
def test_an_id_that_cannot_be_a_name_is_refused(tmp_path: Path, wrong: Any) -> None:
    from localmirror.backends.s3 import MirroredS3ManifestStaticStorage

    with pytest.raises(ImproperlyConfigured, match="mirror_release"):
        MirroredS3ManifestStaticStorage(bucket_name="b", mirror_location=str(tmp_path), mirror_release=wrong)


# The manifest that is live


def test_the_manifest_is_read_from_the_remote_whenever_a_storage_is_built(s3: Rig, tmp_path: Path) -> None:
    project = Project.make(tmp_path, s3)
    succeeded(deploy(s3, project))
    newer = json.loads(s3.raw_get(MANIFEST))
    newer["paths"]["robots.txt"] = "robots.newer.txt"
    s3.raw_put(MANIFEST, json.dumps(newer).encode())

    with s3.wire.recording() as seen:
        storage = s3.storage("manifest")

    assert storage.stored_name("robots.txt") == "robots.newer.txt"
    assert seen.counts() == {"GET": 1}
    assert manifest(mirrored(s3)) == newer["paths"]


def test_while_the_remote_is_down_the_mirrors_manifest_is_read_with_a_warning(
    s3: Rig, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    succeeded(deploy(s3, Project.make(tmp_path, s3)))
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")

    with caplog.at_level(logging.WARNING, logger="localmirror"), s3.wire.outage():
        assert names_of(s3.storage("manifest")) == manifest(mirrored(s3))

    assert MANIFEST in caplog.text
    assert str(s3.mirror) in caplog.text


def test_a_refused_manifest_is_no_missing_manifest(s3: Rig, tmp_path: Path) -> None:
    succeeded(deploy(s3, Project.make(tmp_path, s3)))
    s3.wire.fail(403, code="AccessDenied")

    with pytest.raises(ClientError):
        s3.storage("manifest")


def test_an_empty_bucket_has_no_manifest_yet(s3: Rig) -> None:
    with s3.wire.recording() as seen:
        assert s3.storage("manifest").hashed_files == {}

    assert seen.counts() == {"GET": 1}


def test_a_mirror_that_was_built_into_the_image_is_asked_alone(s3: Rig, tmp_path: Path) -> None:
    project = Project.make(tmp_path, s3)
    succeeded(deploy(s3, project, "--stage", report=False))
    s3.raw_put(MANIFEST, b'{"version": "1.1", "paths": {}, "hash": ""}')

    with s3.wire.recording() as seen:
        storage = s3.storage("manifest", mirror_manifest="local")
        assert names_of(storage) == manifest(mirrored(s3))
        with storage.open(storage.stored_name("css/site.css")) as file:
            assert b"url(" in file.read()

    assert seen == []
    assert manifest(public(s3)) == {}


@moto
def test_an_image_can_be_pinned_too(rig: Rig, tmp_path: Path) -> None:
    project = Project.make(tmp_path, rig, mirror_release="v1", mirror_manifest="local")
    succeeded(deploy(rig, project, "--stage", report=False))

    with rig.wire.recording() as seen:
        assert names_of(project.storage()) == manifest(mirrored(rig))
        with pytest.raises(ReleaseNotPublishedError, match="'v2'"):
            rig.storage("manifest", mirror_release="v2", mirror_manifest="local")

    assert seen == []


@moto
def test_a_read_only_mirror_reads_the_live_manifest(rig: Rig, tmp_path: Path) -> None:
    with disk(tmp_path / "disk") as mount:
        rig.mirror = mount.root / "mirror"
        project = Project.make(tmp_path, rig)
        succeeded(deploy(rig, project))
        newer = json.loads(rig.raw_get(MANIFEST))
        newer["paths"]["robots.txt"] = "robots.newer.txt"
        rig.raw_put(MANIFEST, json.dumps(newer).encode())

        with mount.read_only():
            assert rig.storage("manifest").stored_name("robots.txt") == "robots.newer.txt"
