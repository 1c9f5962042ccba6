"""Publishing: what differs goes up, counted on the wire; the manifest last; nothing else is touched."""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import pty
import re
import shutil
import subprocess
import sys
import termios
from pathlib import Path
from typing import Any

import pytest
from django.contrib.staticfiles.storage import StaticFilesStorage
from django.core.files.storage import FileSystemStorage

from localmirror.backends.s3 import MirroredS3ManifestStaticStorage
from localmirror.signals import release_published

from .corpus import FILES, REPOSITORY, Project
from .deploying import MANIFEST, Deployment, assert_whole, deploy, manifest, mirrored, public, publish, succeeded
from .disks import disk
from .rigs import Rig

IMMUTABLE = "public, max-age=31536000, immutable"
moto = pytest.mark.parametrize("rig", ["s3-moto"], indirect=True)


class ForeignManifest(MirroredS3ManifestStaticStorage):
    """A project that keeps its manifest on local disk, with its code."""

    directory = ""

    def __init__(self, *args: Any, manifest_directory: str, **kwargs: Any) -> None:
        super().__init__(*args, manifest_storage=FileSystemStorage(manifest_directory), **kwargs)


class LocalManifestStorage(StaticFilesStorage):
    """A storage that has no mirror."""


def assert_sums(deployment: Deployment) -> dict[str, Any]:
    report = deployment.report
    assert report is not None
    counts = ("staged", "uploaded", "current", "deleted", "bytes_uploaded")
    assert all(type(report[name]) is int for name in counts)
    assert set(report) == {*counts, "alias", "failed", "manifest", "release", "seconds"}
    return report


def project_with(rig: Rig, directory: Path, backend: type, **options: Any) -> Project:
    project = Project.make(directory, rig, **options)
    project.settings["STORAGES"]["staticfiles"]["BACKEND"] = f"{__name__}.{backend.__name__}"
    return project


# What goes up


def test_a_cold_bucket_costs_one_request_an_object_and_six_others(s3: Rig, tmp_path: Path) -> None:
    deployed = succeeded(deploy(s3, Project.make(tmp_path, s3)))

    files = public(s3)
    assert files == mirrored(s3)
    assert assert_whole(s3).keys() == FILES.keys()
    assert deployed.uploads == sorted(files)
    assert deployed.others <= 6
    assert deployed.seen.of("DELETE") == []
    report = assert_sums(deployed)
    assert (report["staged"], report["uploaded"], report["current"], report["failed"]) == (30, 30, 0, [])
    assert report["bytes_uploaded"] == sum(len(content) for name, content in files.items() if name != MANIFEST)
    assert report["manifest"] == "uploaded"
    assert report["alias"] == "staticfiles"
    assert deployed.last_line == "30 files in the release: 30 uploaded (32 kB), 0 already there."


def test_nothing_changed_costs_the_listing(s3: Rig, tmp_path: Path) -> None:
    project = Project.make(tmp_path, s3)
    succeeded(deploy(s3, project))

    again = succeeded(deploy(s3, project))

    assert len(again.seen.of("LIST")) == 1
    assert len(again.seen) <= 3
    assert not {"PUT", "DELETE", "POST"} & again.seen.counts().keys()
    assert not {*again.seen.names("GET"), *again.seen.names("HEAD")} & public(s3).keys()
    report = assert_sums(again)
    assert (report["uploaded"], report["current"], report["manifest"]) == (0, 30, "current")
    assert again.last_line == "30 files in the release: 0 uploaded (0 B), 30 already there."


def test_a_fresh_builder_costs_the_listing_and_the_manifest(s3: Rig, tmp_path: Path) -> None:
    succeeded(deploy(s3, Project.make(tmp_path, s3)))
    s3.mirror = tmp_path / "fresh mirror"

    fresh = succeeded(deploy(s3, Project.make(tmp_path / "fresh", s3)))

    # The second one is for keys with a leading slash, which obstore does not tell from those without.
    assert len(fresh.seen.of("LIST")) == 2
    assert len(fresh.seen) <= 3 + 4  # and the manifest: asked about, written, kept under the id, recorded
    assert set(fresh.uploads) <= {MANIFEST}
    assert public(s3) == mirrored(s3)


def test_one_changed_image_moves_it_and_what_refers_to_it(s3: Rig, tmp_path: Path) -> None:
    project = Project.make(tmp_path, s3)
    succeeded(deploy(s3, project))
    before = public(s3)
    project.corpus.change("img/deep/night.jpg")

    deployed = succeeded(deploy(s3, project))

    paths = assert_whole(s3)
    moved = {
        "img/deep/night.jpg",
        *(paths[name] for name in ("img/deep/night.jpg", "css/theme/dark.css", "css/site.css")),
    }
    assert set(deployed.uploads) == {*moved, MANIFEST}
    assert deployed.others <= 4  # the listing, a look at the manifest, the record, the manifest under the release's id
    assert deployed.seen.of("DELETE") == deployed.seen.of("POST") == []
    assert before.keys() <= public(s3).keys()
    report = assert_sums(deployed)
    assert (report["uploaded"], report["current"], report["manifest"]) == (4, 26, "uploaded")


@moto
def test_the_manifest_goes_last(rig: Rig, tmp_path: Path) -> None:
    deployed = succeeded(deploy(rig, Project.make(tmp_path, rig)))

    names = deployed.seen.names("PUT")
    assert names[-1] == MANIFEST
    assert all(name.startswith(".localmirror/releases/") for name in names[-3:-1])


@moto
def test_plain_static_files_need_no_manifest(rig: Rig, tmp_path: Path) -> None:
    project = Project.make(tmp_path, rig, role="static")
    cold = succeeded(deploy(rig, project))
    again = succeeded(deploy(rig, project))
    project.corpus.change("robots.txt")
    changed = succeeded(deploy(rig, project))

    assert public(rig) == mirrored(rig) == project.corpus.contents()
    assert [d.report["manifest"] for d in (cold, again, changed) if d.report] == [None, None, None]
    assert (len(cold.uploads), again.uploads, changed.uploads) == (15, [], ["robots.txt"])


def test_a_location_holds_all_of_it(s3: Rig, tmp_path: Path) -> None:
    s3.raw_put("outside.txt", b"outside")
    project = Project.make(tmp_path, s3, location="static/v1")
    succeeded(deploy(s3, project))
    again = succeeded(deploy(s3, project))

    names = s3.raw_list()
    assert [name for name in names if not name.startswith("static/v1/")] == ["outside.txt"]
    assert assert_whole(s3, "static/v1/").keys() == FILES.keys()
    assert len(again.seen) <= 3


def test_compressed_bodies_are_compared_as_they_are_stored(s3: Rig, tmp_path: Path) -> None:
    project = Project.make(tmp_path, s3, gzip=True)
    succeeded(deploy(s3, project))
    paths = manifest(public(s3))
    assert gzip.decompress(s3.raw_get(paths["css/site.css"])) == mirrored(s3)[paths["css/site.css"]]

    again = succeeded(deploy(s3, project))
    assert len(again.seen) <= 3
    project.corpus.change("css/base.css")
    changed = succeeded(deploy(s3, project))
    assert "css/base.css" in changed.uploads
    assert "js/app.js" not in changed.uploads

    for name in s3.raw_list():
        if name.startswith(".localmirror/"):
            s3.raw_delete(name)
    s3.mirror = tmp_path / "fresh mirror"
    project.set_options(mirror_location=str(s3.mirror))
    assert succeeded(deploy(s3, project)).uploads == []


@pytest.mark.parametrize("rig", ["s3-rclone"], indirect=True)
def test_many_objects_are_listed_by_the_thousand(rig: Rig, tmp_path: Path) -> None:
    old = rig.server.directory / "buckets" / rig.bucket / "old"
    old.mkdir()
    for number in range(1100):
        (old / f"{number}.txt").touch()
    project = Project.make(tmp_path, rig, role="static")
    succeeded(deploy(rig, project))

    again = succeeded(deploy(rig, project))

    assert again.seen.counts() == {"LIST": 2}


def test_what_went_up_in_parts_is_known_by_the_etag_that_was_noted(s3: Rig, tmp_path: Path) -> None:
    project = Project.make(tmp_path, s3, role="static")
    project.corpus.write("large.bin", os.urandom(1 << 20) * 9)
    cold = succeeded(deploy(s3, project))
    assert [request for request in cold.seen.of("PUT") if "partNumber" in request.query]

    assert len(succeeded(deploy(s3, project)).seen) <= 3
    s3.mirror = tmp_path / "fresh mirror"
    project.set_options(mirror_location=str(s3.mirror))
    fresh = succeeded(deploy(s3, project))

    assert fresh.uploads == []
    assert len(fresh.seen) <= 3


@moto
def test_a_record_that_cannot_be_read_spares_no_upload_and_stops_none(
    rig: Rig, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    succeeded(deploy(rig, Project.make(tmp_path, rig, role="static")))
    right = rig.raw_get("robots.txt")
    rig.raw_put("robots.txt", right.swapcase())
    for name in rig.raw_list():
        if name.endswith("/record.json"):
            rig.raw_put(name, b'{"version": 999}')
    rig.mirror = tmp_path / "fresh mirror"

    fresh = succeeded(deploy(rig, Project.make(tmp_path / "fresh", rig, role="static")))

    assert fresh.uploads == ["robots.txt"]
    assert rig.raw_get("robots.txt") == right
    assert "another version of localmirror" in caplog.text


# Everything again


def test_all_uploads_everything_again(s3: Rig, tmp_path: Path) -> None:
    project = Project.make(tmp_path, s3)
    succeeded(deploy(s3, project))
    project.set_options(object_parameters={"CacheControl": "max-age=60"})
    succeeded(deploy(s3, project))
    assert s3.raw_head("robots.txt").cache_control is None

    everything = succeeded(publish(s3, project, "--all"))

    assert everything.uploads == sorted(public(s3))
    assert everything.seen.of("DELETE") == []
    assert s3.raw_head("robots.txt").cache_control == "max-age=60"
    report = assert_sums(everything)
    assert (report["uploaded"], report["current"], report["manifest"]) == (30, 0, "uploaded")


@moto
def test_a_bucket_that_was_emptied_is_filled_again(rig: Rig, tmp_path: Path) -> None:
    project = Project.make(tmp_path, rig)
    succeeded(deploy(rig, project))
    before = public(rig)
    for name in rig.raw_list():
        rig.raw_delete(name)

    again = succeeded(deploy(rig, project))

    assert public(rig) == before
    assert assert_sums(again)["uploaded"] == 30


def test_what_was_overwritten_behind_our_back_is_put_right(s3: Rig, tmp_path: Path) -> None:
    project = Project.make(tmp_path, s3)
    succeeded(deploy(s3, project))
    before = public(s3)
    s3.raw_put("robots.txt", before["robots.txt"].swapcase())
    s3.raw_put("js/app.js", b"of another size")
    s3.raw_put(manifest(before)["js/app.js"], b"cut")
    s3.raw_put(MANIFEST, b'{"version": "1.1", "paths": {}, "hash": ""}')

    succeeded(deploy(s3, project))

    assert public(s3) == before


@moto
def test_pointed_at_another_bucket_everything_goes_there(rig: Rig, tmp_path: Path) -> None:
    project = Project.make(tmp_path, rig)
    succeeded(deploy(rig, project))
    first, rig.bucket = rig.bucket, f"{rig.bucket}-b"
    rig.make_bucket(rig.bucket)
    try:
        project.set_options(bucket_name=rig.bucket)
        deployed = succeeded(deploy(rig, project))
        assert public(rig) == mirrored(rig)
        assert assert_sums(deployed)["uploaded"] == 30
    finally:
        rig.remove_bucket(rig.bucket)
        rig.bucket = first


@moto
def test_a_changed_source_with_an_older_date_is_published(rig: Rig, tmp_path: Path) -> None:
    project = Project.make(tmp_path, rig)
    succeeded(deploy(rig, project))
    path = project.corpus.write("robots.txt", b"changed")
    os.utime(path, (1_000_000, 1_000_000))

    succeeded(deploy(rig, project))

    assert public(rig)["robots.txt"] == public(rig)[assert_whole(rig)["robots.txt"]] == b"changed"


@moto
def test_a_read_only_mirror_can_be_published_from(rig: Rig, tmp_path: Path) -> None:
    with disk(tmp_path / "disk") as mount:
        rig.mirror = mount.root / "mirror"
        project = Project.make(tmp_path, rig)
        succeeded(deploy(rig, project, "--stage", report=False))

        with mount.read_only():
            published = succeeded(publish(rig, project))
            again = succeeded(publish(rig, project))

        assert public(rig) == mirrored(rig)
        assert len(published.uploads) == 31
        assert len(again.seen) <= 3


# Headers


def test_immutable_names_may_be_cached_for_ever(s3: Rig, tmp_path: Path) -> None:
    project = Project.make(tmp_path, s3, object_parameters={"CacheControl": "max-age=60"})
    succeeded(deploy(s3, project))

    paths = assert_whole(s3)
    for name, hashed in paths.items():
        assert s3.raw_head(hashed).cache_control == IMMUTABLE
        assert s3.raw_head(name).cache_control == "max-age=60"
    assert s3.raw_head(MANIFEST).cache_control == "max-age=60"
    assert s3.raw_head(paths["css/site.css"]).content_type == "text/css"
    assert s3.raw_head(paths["img/icon.svg"]).content_type == "image/svg+xml"


@moto
@pytest.mark.parametrize(("value", "expected"), [(None, "max-age=60"), ("max-age=9", "max-age=9")])
def test_the_policy_for_immutable_names_can_be_changed(
    rig: Rig, tmp_path: Path, value: str | None, expected: str
) -> None:
    options = {"mirror_immutable_cache_control": value, "object_parameters": {"CacheControl": "max-age=60"}}
    succeeded(deploy(rig, Project.make(tmp_path, rig, **options)))

    assert rig.raw_head(assert_whole(rig)["css/site.css"]).cache_control == expected


@moto
def test_a_name_that_carries_another_hash_is_no_immutable_name(rig: Rig, tmp_path: Path) -> None:
    project = Project.make(tmp_path, rig, role="static")
    project.corpus.write("bundle.0cc175b9c0f1.js", b"not what the name says")
    project.corpus.write("chunk.0cc175b9c0f1.js", b"a")

    succeeded(deploy(rig, project))

    assert rig.raw_head("bundle.0cc175b9c0f1.js").cache_control is None
    assert rig.raw_head("chunk.0cc175b9c0f1.js").cache_control == IMMUTABLE


def test_compressed_siblings_are_served_as_what_they_stand_for(s3: Rig, tmp_path: Path) -> None:
    project = Project.make(tmp_path, s3, role="static")
    project.corpus.write("app.js.gz", gzip.compress(b"app()", mtime=0))
    project.corpus.write("app.js", b"app()")
    project.corpus.write("app.js.br", b"brotli")
    project.corpus.write("icons.svg", b"<svg/>")
    project.corpus.write("icons.svg.zst", b"zstd")
    project.corpus.write("archive.tar.gz", gzip.compress(b"tar", mtime=0))

    succeeded(deploy(s3, project))

    script, picture = s3.raw_head("app.js").content_type, "image/svg+xml"
    heads = {name: s3.raw_head(name) for name in ("app.js.gz", "app.js.br", "icons.svg.zst")}
    assert {name: (head.content_type, head.content_encoding) for name, head in heads.items()} == {
        "app.js.gz": (script, "gzip"),
        "app.js.br": (script, "br"),
        "icons.svg.zst": (picture, "zstd"),
    }
    assert public(s3) == mirrored(s3)


@moto
def test_a_compressed_sibling_is_not_compressed_again(rig: Rig, tmp_path: Path) -> None:
    project = Project.make(tmp_path, rig, role="static", gzip=True)
    project.corpus.write("css/base.css.gz", gzip.compress(FILES["css/base.css"], mtime=0))
    succeeded(deploy(rig, project))

    again = succeeded(deploy(rig, project))

    assert rig.raw_get("css/base.css.gz") == gzip.compress(FILES["css/base.css"], mtime=0)
    assert again.uploads == []


# Hashed files only


def test_originals_can_stay_in_the_mirror(s3: Rig, tmp_path: Path) -> None:
    project = Project.make(tmp_path, s3, mirror_publish="hashed")
    deployed = succeeded(deploy(s3, project))
    again = succeeded(deploy(s3, project))

    paths = assert_whole(s3)
    assert public(s3).keys() == {*paths.values(), MANIFEST}
    assert mirrored(s3).keys() == {*paths, *paths.values(), MANIFEST}
    report = assert_sums(deployed)
    assert (report["staged"], report["uploaded"], report["current"]) == (30, 15, 0)
    assert len(again.seen) <= 3
    storage = project.storage()
    with storage.open("css/site.css") as file:
        assert file.read() == FILES["css/site.css"]


# Options of collectstatic


def test_a_dry_run_writes_nothing_and_says_what_would_be_uploaded(s3: Rig, tmp_path: Path) -> None:
    project = Project.make(tmp_path, s3)

    rehearsed = succeeded(deploy(s3, project, "--dry-run"))

    assert not s3.mirror.exists()
    assert s3.raw_list() == []
    assert not {"PUT", "POST", "DELETE"} & rehearsed.seen.counts().keys()
    assert rehearsed.last_line == "30 files in the release: 30 would be uploaded (32 kB), 0 already there."
    told = set(re.findall(r"^Pretending to upload '(.*)'$", rehearsed.output, re.MULTILINE))

    succeeded(deploy(s3, project))
    assert told == public(s3).keys() - {MANIFEST}


@moto
def test_a_dry_run_over_a_release_changes_none_of_it(rig: Rig, tmp_path: Path) -> None:
    project = Project.make(tmp_path, rig)
    succeeded(deploy(rig, project))
    project.corpus.change("robots.txt")
    remote = rig.raw_all()
    local = {path: path.read_bytes() for path in rig.mirror.rglob("*") if path.is_file()}

    for arguments in ([], ["--clear"], ["--no-post-process"], ["--stage"]):
        rehearsed = succeeded(deploy(rig, project, "--dry-run", *arguments, report=False))
        assert rig.raw_all() == remote
        assert {path: path.read_bytes() for path in rig.mirror.rglob("*") if path.is_file()} == local

    assert rehearsed.seen == []
    last = succeeded(deploy(rig, project, "--dry-run"))
    assert last.last_line == "30 files in the release: 2 would be uploaded (78 B), 28 already there."


@moto
def test_a_dry_run_of_publish_changes_nothing(rig: Rig, tmp_path: Path) -> None:
    project = Project.make(tmp_path, rig)
    succeeded(deploy(rig, project, "--stage", report=False))

    rehearsed = succeeded(publish(rig, project, "--dry-run"))

    assert rig.raw_list() == []
    assert "30 would be uploaded" in rehearsed.last_line


@moto
def test_linking_is_refused(rig: Rig, tmp_path: Path) -> None:
    refused = deploy(rig, Project.make(tmp_path, rig), "--link")

    assert "--link" in str(refused.error)
    assert not rig.mirror.exists()
    assert rig.wire.requests == []


@moto
def test_verbosity(rig: Rig, tmp_path: Path) -> None:
    project = Project.make(tmp_path, rig)

    assert succeeded(deploy(rig, project, verbosity=0)).output == ""
    project.corpus.change("robots.txt")
    assert succeeded(deploy(rig, project, verbosity=2)).output.count(": uploaded\n") == 2
    assert succeeded(publish(rig, project, verbosity=0)).output == ""


@moto
def test_a_terminal_shows_progress(rig: Rig, tmp_path: Path) -> None:
    project = Project.make(tmp_path, rig)
    succeeded(deploy(rig, project, "--stage", report=False))
    terminal, ours = pty.openpty()
    termios.tcsetwinsize(terminal, (24, 80))
    with open(terminal, "rb", buffering=0) as screen:
        result = subprocess.run(
            [sys.executable, "manage.py", "localmirror", "publish"],
            cwd=project.directory,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY), **project.environment},
            stdout=subprocess.PIPE,
            stderr=ours,
            timeout=60,
        )
        os.close(ours)
        shown = b""
        with contextlib.suppress(OSError):  # how a terminal ends whose other side is closed
            while piece := screen.read(4096):
                shown += piece

    assert result.returncode == 0
    assert b"Publishing: " in shown
    assert b"/30 " in shown
    assert result.stdout.decode() == "30 files in the release: 30 uploaded (32 kB), 0 already there.\n"


@moto
def test_a_report_that_cannot_be_written_is_told_before_anything_is_done(rig: Rig, tmp_path: Path) -> None:
    project = Project.make(tmp_path, rig)

    failed = deploy(rig, project, "--report", str(tmp_path / "missing" / "report.json"), report=False)

    assert "--report" in str(failed.error)
    assert not rig.mirror.exists()
    assert rig.wire.requests == []


@moto
@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")
def test_a_disk_that_is_full_in_the_end_costs_the_report_alone(rig: Rig, tmp_path: Path) -> None:
    project = Project.make(tmp_path, rig)

    failed = deploy(rig, project, "--report", "/dev/full", report=False)

    published = "30 files in the release: 30 uploaded (32 kB), 0 already there."
    assert str(failed.error).startswith(f"{published} But the report could not be written: ")
    assert "No space left" in str(failed.error)
    assert MANIFEST in rig.raw_list()


@moto
def test_the_commands_as_a_user_runs_them(rig: Rig, tmp_path: Path) -> None:
    project = Project.make(tmp_path, rig)
    report = tmp_path / "report.json"

    result = project.run("collectstatic", "--no-input", "--report", str(report))

    assert result.returncode == 0
    assert result.last_line == "30 files in the release: 30 uploaded (32 kB), 0 already there."
    assert json.loads(report.read_text())["uploaded"] == 30
    again = project.run("localmirror", "publish")
    assert (again.returncode, again.last_line) == (
        0,
        "30 files in the release: 0 uploaded (0 B), 30 already there.",
    )
    assert "--alias" in project.run("localmirror", "publish", "--help").stdout


# Manifests and storages of others


@moto
def test_a_manifest_that_lives_elsewhere_is_written_last(rig: Rig, tmp_path: Path) -> None:
    home = tmp_path / "code"
    project = project_with(rig, tmp_path, ForeignManifest, manifest_directory=str(home))
    rule = rig.wire.fail(400, method="PUT", name=r"^css/site\.[0-9a-f]+\.css$")
    failed = deploy(rig, project)
    assert failed.error is not None
    assert rule.hits
    assert not (home / MANIFEST).exists()
    rig.wire.rules = []

    deployed = succeeded(deploy(rig, project))

    paths = manifest({MANIFEST: (home / MANIFEST).read_bytes()})
    assert paths.keys() == FILES.keys()
    assert public(rig).keys() == {*paths, *paths.values()}
    assert assert_sums(deployed)["manifest"] == "uploaded"
    again = succeeded(deploy(rig, project))
    assert assert_sums(again)["manifest"] == "current"
    assert len(again.seen) <= 3
    assert project.storage().stored_name("robots.txt") == paths["robots.txt"]


@moto
def test_a_manifest_elsewhere_that_cannot_be_written_is_a_sentence(rig: Rig, tmp_path: Path) -> None:
    with disk(tmp_path / "code") as mount:
        project = project_with(rig, tmp_path, ForeignManifest, manifest_directory=str(mount.root))
        with mount.read_only():
            failed = deploy(rig, project)

    assert "could not be made live: OSError: [Errno 30] Read-only file system" in str(failed.error)
    assert failed.report is not None
    assert failed.report["manifest"] == "kept"


@moto
def test_other_storages_are_left_to_django(rig: Rig, tmp_path: Path) -> None:
    root = tmp_path / "root"
    outputs = []
    for app in ("localmirror", None):
        project = Project.make(tmp_path / str(app), rig, settings={"STATIC_ROOT": str(root)})
        project.settings["INSTALLED_APPS"] = [a for a in (app, "django.contrib.staticfiles") if a]
        project.settings["STATICFILES_DIRS"] = [str(tmp_path / "localmirror" / "project" / "static")]
        project.settings["STORAGES"]["staticfiles"] = {
            "BACKEND": "django.contrib.staticfiles.storage.ManifestStaticFilesStorage"
        }
        project.write()
        runs = [["-v2"], [], ["--clear"], ["--dry-run"], ["--link", "--clear"]]
        outputs.append([project.run("collectstatic", "--no-input", *run)[:2] for run in runs])
        if app:
            for option in (["--stage"], ["--report", str(tmp_path / "report.json")]):
                refused = project.run("collectstatic", "--no-input", *option)
                assert refused.returncode == 1
                assert "needs a mirrored storage" in refused.stderr
        assert (root / MANIFEST).exists()
        assert not (root / ".localmirror").exists()
        shutil.rmtree(root)

    assert outputs[0] == outputs[1]


@moto
def test_whoever_wants_to_know_is_told_when_a_release_is_live(rig: Rig, tmp_path: Path) -> None:
    told: list[tuple[Any, ...]] = []

    def listen(sender: type, storage: Any, release: Any, **_: Any) -> None:
        told.append((sender, storage.mirror.root, release.id, MANIFEST in rig.raw_list()))

    release_published.connect(listen)
    try:
        deployed = succeeded(deploy(rig, Project.make(tmp_path, rig)))
    finally:
        release_published.disconnect(listen)

    release = assert_sums(deployed)["release"]
    assert told == [(MirroredS3ManifestStaticStorage, str(rig.mirror), release, True)]
