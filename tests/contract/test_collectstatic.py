"""collectstatic with a manifest: cold, unchanged, one file changed, and with a file that cannot be uploaded."""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import unquote

import pytest
from django.contrib.staticfiles.management.commands import collectstatic
from django.core.management import call_command

from ..corpus import Project
from ..deploying import MANIFEST, mirrored, public
from ..rigs import Rig
from .deploying import LEAF, SITE, assert_whole, collect, failing, paths_of
from .halves import both, hashed, no_requests, on


@pytest.fixture
def project(rig: Rig, tmp_path: Path) -> Project:
    return Project.make(tmp_path, rig, files=SITE)


def test_a_first_deployment_is_whole_in_both_halves(rig: Rig, project: Project) -> None:
    deployed = collect(project)

    names = assert_whole(rig, project)
    found = both(rig)
    assert found.keys() == {*SITE, *names.values(), MANIFEST}
    assert {name: found[name] for name in SITE} == SITE
    assert deployed.uploaded == {*SITE, *names.values()}
    assert names["img/logo.png"] == hashed("img/logo.png", SITE["img/logo.png"])
    if rig.http:
        uploads = rig.wire.requests.names("upload")
        assert uploads[-1] == MANIFEST
        assert uploads.count(MANIFEST) == 1

    storage = project.storage()
    with no_requests(rig):
        for name in SITE:
            assert unquote(storage.url(name)) == unquote(storage.base_address()) + names[name]


def test_nothing_changed(rig: Rig, project: Project, tmp_path: Path) -> None:
    collect(project)
    before = rig.raw_all()

    assert collect(project).uploaded == set()

    # A builder that has never seen the mirror learns the same from the remote.
    project.set_options(mirror_location=str(tmp_path / "fresh"))
    assert collect(project).uploaded == set()
    assert rig.raw_all() == before
    assert mirrored(rig, tmp_path / "fresh") == mirrored(rig)


def test_one_image_changed(rig: Rig, project: Project) -> None:
    collect(project)
    before = rig.raw_all()
    project.corpus.change("img/logo.png")

    deployed = collect(project)

    names, after = assert_whole(rig, project), rig.raw_all()
    assert deployed.uploaded == {"img/logo.png", *names.values() - before.keys()}
    touched = {name for name in after if after[name] != before.get(name)}
    assert {name for name in touched if not name.startswith(".localmirror/")} == {*deployed.uploaded, MANIFEST}
    # The pages that are open now go on.
    assert before.keys() <= after.keys()


def test_a_change_that_neither_size_nor_date_betrays(rig: Rig, project: Project) -> None:
    collect(project)
    path = project.corpus.directory / LEAF
    long_ago = path.stat().st_mtime - 1000
    path.write_bytes(SITE[LEAF][::-1])
    os.utime(path, (long_ago, long_ago))

    deployed = collect(project)

    assert deployed.uploaded == {LEAF, hashed(LEAF, SITE[LEAF][::-1])}
    assert both(rig)[LEAF] == SITE[LEAF][::-1]
    assert_whole(rig, project)


def test_a_file_that_cannot_be_uploaded_keeps_the_old_release_live(rig: Rig, project: Project) -> None:
    collect(project)
    before = rig.raw_all()
    old = paths_of(before[MANIFEST])
    refused = hashed(LEAF, project.corpus.change(LEAF))
    moved = hashed("img/logo.png", project.corpus.change("img/logo.png"))

    with rig.refusing(refused):
        message = failing(collect, project)

    assert "1 of " in message
    assert rig.raw_get(MANIFEST) == mirrored(rig)[MANIFEST] == before[MANIFEST]
    assert all(rig.raw_get(name) == before[name] for name in old.values())
    assert refused not in rig.raw_list()
    assert rig.raw_get(moved) == project.corpus.contents()["img/logo.png"]  # one failure does not stop the others

    again = collect(project)

    assert_whole(rig, project)
    # What a listing cannot tell apart goes again where the publish that sent it has failed.
    unsure = set() if project.storage().listing_tells_content else {LEAF, "img/logo.png"}
    assert {refused} <= again.uploaded <= {refused} | unsure
    assert both(rig)[refused] == project.corpus.contents()[LEAF]


def test_a_first_deployment_that_fails_leaves_no_manifest(rig: Rig, project: Project) -> None:
    with rig.refusing(hashed(LEAF, SITE[LEAF])):
        failing(collect, project)

    assert MANIFEST not in rig.raw_list()
    assert MANIFEST not in mirrored(rig)
    assert rig.storage("manifest").hashed_files == {}


@on(lambda rig: rig.processes)
def test_a_failure_is_told_by_name_and_exit_code(rig: Rig, project: Project) -> None:
    refused = hashed(LEAF, SITE[LEAF])

    with rig.refusing(refused):
        result = project.run("collectstatic", "--no-input")

    assert result.returncode == 1, result
    assert [line for line in result.stderr.splitlines() if line.startswith(f"{refused}: ")], result
    assert f"1 of {2 * len(SITE)} files" in result.stderr
    assert "Traceback" not in result.stderr
    for secret in rig.secrets:
        assert secret not in result.stdout + result.stderr


@on(lambda rig: rig.http)
def test_a_missing_bucket_is_told_in_one_sentence(rig: Rig, project: Project) -> None:
    rig.remove_bucket(rig.bucket)
    try:
        message = failing(collect, project)
    finally:
        rig.make_bucket(rig.bucket)

    assert_is_one_sentence(rig, message)
    assert MANIFEST not in mirrored(rig)


@on(lambda rig: rig.http)
def test_no_network_is_told_in_one_sentence(rig: Rig, project: Project) -> None:
    project.set_options(**rig.impatience)

    with rig.wire.outage():
        message = failing(collect, project)

    assert_is_one_sentence(rig, message)
    assert MANIFEST not in mirrored(rig)
    collect(project)
    assert_whole(rig, project)


def assert_is_one_sentence(rig: Rig, message: str) -> None:
    assert rig.bucket in message
    assert "\n" not in message
    for secret in rig.secrets:
        assert secret not in message


def test_what_is_lost_on_the_remote_comes_back(rig: Rig, project: Project) -> None:
    collect(project)
    before = public(rig)
    for name in rig.raw_list():
        rig.raw_delete(name)

    deployed = collect(project)

    assert deployed.uploaded == before.keys() - {MANIFEST}
    assert both(rig) == before


def test_nothing_is_deleted_from_the_remote(rig: Rig, project: Project) -> None:
    foreign = {"uploads/photo.jpg": b"photo", "css/foreign.css": b"f{}", "foreign ä.txt": b"f"}
    for name, content in foreign.items():
        rig.raw_put(name, content)

    collect(project)
    before = public(rig)
    project.corpus.remove("empty.txt")

    collect(project, clear=True)

    assert public(rig) == {**before, MANIFEST: rig.raw_get(MANIFEST)}  # what is public stays, whatever is cleared
    assert foreign.items() <= before.items()
    assert not foreign.keys() & mirrored(rig).keys()
    assert "empty.txt" not in {**assert_whole(rig, project), **mirrored(rig)}


def test_a_dry_run_changes_nothing_and_says_what_it_would_do(rig: Rig, project: Project) -> None:
    output = collect(project, dry_run=True).output

    assert rig.raw_list() == []
    assert mirrored(rig) == {}
    assert re.search(rf"\b{2 * len(SITE)} would be uploaded", output), output


def test_djangos_own_command_fills_both_halves(rig: Rig, project: Project) -> None:
    with project.active():
        call_command(collectstatic.Command(), interactive=False, verbosity=0)
    names = assert_whole(rig, project)
    assert both(rig).keys() == {*SITE, *names.values(), MANIFEST}

    project.corpus.change("img/logo.png")
    with project.active():
        call_command(collectstatic.Command(), interactive=False, verbosity=0)

    assert_whole(rig, project)
    assert both(rig)["img/logo.png"] == project.corpus.contents()["img/logo.png"]
