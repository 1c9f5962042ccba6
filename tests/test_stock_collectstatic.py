"""Django's own collectstatic, without the app installed: slower, and still complete in both halves."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from .corpus import FILES, Project
from .deploying import MANIFEST, assert_whole, deploy, manifest, mirrored, public, succeeded
from .rigs import Rig


def stock(rig: Rig, directory: Path, **options: str) -> Project:
    project = Project.make(directory, rig, **options)
    project.settings["INSTALLED_APPS"] = ["django.contrib.staticfiles"]
    project.write()
    return project


def test_bucket_and_mirror_are_complete(s3: Rig, tmp_path: Path) -> None:
    project = stock(s3, tmp_path)

    result = project.run("collectstatic", "--no-input")

    assert result.returncode == 0, result
    assert "15 static files copied" in result.stdout
    assert assert_whole(s3).keys() == FILES.keys()
    assert public(s3) == mirrored(s3)
    assert not (s3.mirror / ".localmirror/staged.json").exists()


@pytest.mark.parametrize("rig", ["s3-moto"], indirect=True)
def test_a_second_run_and_a_change(rig: Rig, tmp_path: Path) -> None:
    project = stock(rig, tmp_path)
    assert project.run("collectstatic", "--no-input").returncode == 0
    before = assert_whole(rig)
    project.corpus.change("img/logo.png")
    changed = project.corpus.directory / "img" / "logo.png"
    # In the future, as the remote's clock has it: Django compares the dates.
    os.utime(changed, (4_000_000_000, 4_000_000_000))

    result = project.run("collectstatic", "--no-input")

    assert result.returncode == 0, result
    assert "1 static file copied, 14 unmodified" in result.stdout
    after = assert_whole(rig)
    assert {name for name in after if after[name] != before[name]} == {
        "img/logo.png",
        "css/base.css",
        "css/site.css",
        "css/theme/dark.css",
    }
    assert public(rig) == mirrored(rig)


@pytest.mark.parametrize("rig", ["s3-moto"], indirect=True)
def test_a_bucket_that_was_emptied_is_filled_again(rig: Rig, tmp_path: Path) -> None:
    project = stock(rig, tmp_path)
    assert project.run("collectstatic", "--no-input").returncode == 0
    for name in rig.raw_list():
        rig.raw_delete(name)

    assert project.run("collectstatic", "--no-input").returncode == 0

    assert assert_whole(rig).keys() == FILES.keys()
    assert public(rig) == mirrored(rig)


@pytest.mark.parametrize("rig", ["s3-moto"], indirect=True)
def test_ours_takes_over_what_django_has_deployed(rig: Rig, tmp_path: Path) -> None:
    project = stock(rig, tmp_path)
    assert project.run("collectstatic", "--no-input").returncode == 0
    paths = manifest(public(rig))
    project.settings["INSTALLED_APPS"].insert(0, "localmirror")
    project.write()

    deployed = succeeded(deploy(rig, project))

    # Django 5.2 writes the names as they come, ours in order.
    is_sorted = list(paths) == sorted(paths)
    assert deployed.uploads == ([] if is_sorted else [MANIFEST])
    assert deployed.report is not None
    assert (deployed.report["current"], deployed.report["manifest"]) == (30, "current" if is_sorted else "uploaded")
    assert assert_whole(rig) == paths


@pytest.mark.parametrize("rig", ["s3-moto"], indirect=True)
def test_no_option_makes_it_delete_what_is_public(rig: Rig, tmp_path: Path) -> None:
    project = stock(rig, tmp_path)
    assert project.run("collectstatic", "--no-input").returncode == 0
    before = public(rig)

    for arguments in (["--dry-run"], ["--clear"], ["--link"]):
        project.run("collectstatic", "--no-input", *arguments)

        assert public(rig) == before
        assert mirrored(rig)[MANIFEST] == before[MANIFEST]
