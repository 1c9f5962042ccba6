"""What the commands take, what they say, and what they do to the process they run in."""

from __future__ import annotations

import gc
import json
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.management import load_command_class

from localmirror.management.output import write_report
from localmirror.names import first_line, printable

from .corpus import Project
from .deploying import deploy, public, publish, succeeded
from .rigs import Rig
from .test_faults import wait_for

moto = pytest.mark.parametrize("rig", ["s3-moto"], indirect=True)


@pytest.fixture(autouse=True)
def _thawed() -> Iterator[None]:
    gc.unfreeze()
    yield
    gc.unfreeze()


@pytest.mark.parametrize("name", ["collectstatic", "localmirror"])
def test_a_command_line_is_spared_collecting_garbage(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        load_command_class("localmirror", name).run_from_argv(["manage.py", name, "--help"])

    assert gc.get_freeze_count() > 10_000


@pytest.mark.parametrize("rig", ["s3-moto"], indirect=True)
def test_a_program_that_calls_a_command_is_left_alone(rig: Rig, tmp_path: Path) -> None:
    succeeded(deploy(rig, Project.make(tmp_path, rig)))

    assert gc.get_freeze_count() == 0


# What is on the command line


@pytest.mark.parametrize(
    ("given", "name", "value", "default"),
    [
        ("-v2", "verbosity", 2, 1),
        ("--traceback", "traceback", True, False),
        ("--no-color", "no_color", True, False),
        ("--force-color", "force_color", True, False),
        ("--skip-checks", "skip_checks", True, False),
        ("--settings=site.settings", "settings", "site.settings", None),
        ("--pythonpath=src", "pythonpath", "src", None),
    ],
)
def test_djangos_own_options_stand_on_either_side_of_the_subcommand(
    given: str, name: str, value: object, default: object
) -> None:
    parser = load_command_class("localmirror", "localmirror").create_parser("manage.py", "localmirror")

    assert vars(parser.parse_args(["publish", given]))[name] == value
    assert vars(parser.parse_args([given, "publish"]))[name] == value
    assert vars(parser.parse_args(["publish"]))[name] == default


@moto
def test_a_user_asks_publish_for_details(rig: Rig, tmp_path: Path) -> None:
    project = Project.make(tmp_path, rig)
    succeeded(deploy(rig, project, "--stage", report=False))

    result = project.run("localmirror", "publish", "-v2")

    assert (result.returncode, result.stdout.count(": uploaded\n")) == (0, 30), result


# A remote that nobody has named


@moto
@pytest.mark.parametrize("bucket", [None, ""])
def test_a_bucket_that_is_not_set_is_asked_for(rig: Rig, tmp_path: Path, bucket: str | None) -> None:
    project = Project.make(tmp_path, rig)
    succeeded(deploy(rig, project, "--stage", report=False))
    project.set_options(bucket_name=bucket)
    wanted = "MirroredS3ManifestStaticStorage has no 'bucket_name': set that option."

    checked = project.run("check")
    assert checked.returncode == 0
    assert "(localmirror.W005) STORAGES['staticfiles'] has no 'bucket_name'" in checked.stderr
    for arguments in (["collectstatic", "--no-input"], ["localmirror", "publish"]):
        result = project.run(*arguments)
        assert result.returncode == 1
        assert f"CommandError: {wanted}" in result.stderr
    for failed in (deploy(rig, project), publish(rig, project)):  # without the system checks
        assert str(failed.error) == wanted
    project.corpus.change("css/site.css")
    staged = deploy(rig, project, "--stage")
    assert wanted.rstrip(".") in str(staged.error)
    assert rig.wire.requests == []


@pytest.mark.parametrize("rig", ["generic-filesystem"], indirect=True)
def test_a_remote_that_knows_no_buckets_needs_none(rig: Rig, tmp_path: Path) -> None:
    project = Project.make(tmp_path, rig)
    assert not hasattr(project.storage(), "bucket_name")

    assert project.run("check").returncode == 0
    assert project.run("collectstatic", "--no-input").returncode == 0


@moto
@pytest.mark.parametrize("engine", ["auto", "storage"])
def test_a_name_that_no_bucket_can_have_is_explained(rig: Rig, tmp_path: Path, engine: str) -> None:
    project = Project.make(tmp_path, rig, mirror_engine=engine)
    succeeded(deploy(rig, project, "--stage", report=False))
    project.set_options(bucket_name="No Bucket!")

    result = project.run("localmirror", "publish", "--skip-checks")
    project.corpus.change("css/site.css")
    collected = project.run("collectstatic", "--no-input", "--skip-checks")

    for each in (result, collected):
        assert each.returncode == 1
        assert len(each.stderr.strip().splitlines()) == 1, each
        assert 'Parameter validation failed: Invalid bucket name "No Bucket!"' in each.stderr


def test_a_line_that_only_announces_a_reason_is_not_all_that_is_said() -> None:
    assert first_line(ValueError("Validation failed:\n\n  Missing parameter:\nName\nand more")) == (
        "Validation failed: Missing parameter: Name"
    )
    assert first_line(ValueError("One.\nTwo.")) == "One."
    assert first_line(ValueError("Nothing follows:")) == "Nothing follows:"
    assert first_line(ValueError("\n")) == "ValueError"


# A mirror that cannot be one


@moto
@pytest.mark.parametrize("role", ["static", "manifest"])
def test_a_file_in_the_place_of_the_mirror_is_named(rig: Rig, tmp_path: Path, role: str) -> None:
    rig.mirror = tmp_path / "mirror"
    rig.mirror.write_bytes(b"a file")
    project = Project.make(tmp_path, rig, role=role)

    checked = project.run("check")
    assert checked.returncode == 1
    assert "localmirror.E005" in checked.stderr
    for arguments in (
        ["collectstatic", "--no-input"],
        ["collectstatic", "--no-input", "--stage"],
        ["localmirror", "publish"],
    ):
        result = project.run(*arguments, "--skip-checks")
        assert result.returncode == 1
        assert len(result.stderr.strip().splitlines()) == 1, result
        assert str(rig.mirror) in result.stderr
    assert rig.mirror.read_bytes() == b"a file"


@moto
def test_a_directory_of_the_mirror_that_leads_outside_is_named(rig: Rig, tmp_path: Path) -> None:
    project = Project.make(tmp_path, rig)
    succeeded(deploy(rig, project))
    outside = tmp_path / "outside"
    outside.mkdir()
    shutil.rmtree(rig.mirror / "css")
    (rig.mirror / "css").symlink_to(outside)

    failed = deploy(rig, project)

    assert str(failed.error) == (
        f"Staging in the mirror {rig.mirror} failed: 'css/base.css' leads out of the mirror {rig.mirror}: "
        f"{rig.mirror}/css is a link to {outside}. What was live stays live."
    )
    assert list(outside.iterdir()) == []


@moto
def test_a_directory_that_leads_outside_since_it_was_staged_fails_file_by_file(rig: Rig, tmp_path: Path) -> None:
    project = Project.make(tmp_path, rig, role="static", gzip=True)
    succeeded(deploy(rig, project))
    project.corpus.change("css/site.css")
    succeeded(deploy(rig, project, "--stage"))
    (tmp_path / "outside").mkdir()
    shutil.rmtree(rig.mirror / "css")
    (rig.mirror / "css").symlink_to(tmp_path / "outside")

    failed = publish(rig, project)

    assert str(failed.error).startswith("1 of 15 files could not be uploaded to ")
    assert "css/site.css: SuspiciousFileOperation: 'css/site.css' leads out of the mirror" in failed.output


# What is said and reported


@moto
def test_a_release_that_is_only_staged_is_reported(rig: Rig, tmp_path: Path) -> None:
    project = Project.make(tmp_path, rig)

    rehearsed = succeeded(deploy(rig, project, "--stage", "--dry-run"))
    assert not rig.mirror.exists()
    staged = succeeded(deploy(rig, project, "--stage"))
    cleared = succeeded(deploy(rig, project, "--stage", "--clear"))
    published = succeeded(publish(rig, project))

    reports = [each.report for each in (rehearsed, staged, cleared)]
    assert published.report
    for report, deleted in zip(reports, (0, 0, 30), strict=True):
        assert report
        assert report.pop("seconds") > 0
        assert report == {
            "alias": "staticfiles",
            "staged": 30,
            "uploaded": 0,
            "current": 0,
            "deleted": deleted,
            "failed": [],
            "bytes_uploaded": 0,
            "manifest": "kept",
            "release": published.report["release"],
        }


@moto
def test_a_dry_run_reports_what_would_be_done(rig: Rig, tmp_path: Path) -> None:
    project = Project.make(tmp_path, rig)
    cold = succeeded(deploy(rig, project, "--dry-run"))
    done = succeeded(deploy(rig, project))
    project.corpus.change("robots.txt")
    changed = succeeded(deploy(rig, project, "--dry-run"))
    succeeded(deploy(rig, project, "--stage"))
    staged = succeeded(publish(rig, project, "--dry-run"))

    assert cold.report
    assert done.report
    assert changed.report
    assert staged.report
    same = ("staged", "uploaded", "current", "failed", "bytes_uploaded", "release")
    assert [cold.report[key] for key in same] == [done.report[key] for key in same]
    assert [changed.report[key] for key in ("uploaded", "current", "bytes_uploaded")] == [2, 28, 78]
    assert [staged.report[key] for key in same] == [changed.report[key] for key in same]
    assert {each.report["manifest"] for each in (cold, changed, staged) if each.report} == {"kept"}


@moto
def test_a_dry_run_of_publish_makes_no_directory(rig: Rig, tmp_path: Path) -> None:
    refused = publish(rig, Project.make(tmp_path, rig), "--dry-run")

    assert "Nothing has been staged" in str(refused.error)
    assert not rig.mirror.exists()


@moto
def test_a_name_takes_one_line(rig: Rig, tmp_path: Path) -> None:
    project = Project.make(tmp_path, rig, files={"new\nline ☃.txt": b"x"}, role="static")
    rig.wire.fail(403, code="AccessDenied", method="PUT")
    rehearsed = succeeded(deploy(rig, project, "--dry-run"))

    failed = deploy(rig, project)

    assert "Pretending to upload 'new\\nline ☃.txt'\n" in rehearsed.output
    assert any(line.startswith("new\\nline ☃.txt: ") for line in failed.output.splitlines())
    assert failed.report
    assert [failure["name"] for failure in failed.report["failed"]] == ["new\nline ☃.txt"]


def test_what_cannot_be_seen_in_a_name_is_spelt_out() -> None:
    assert printable("grün blatt/☃'.svg") == "grün blatt/☃'.svg"
    assert printable("a\tb\x7f\u202e\udcff") == "a\\tb\\x7f\\u202e\\udcff"


def test_a_report_can_hold_any_name(tmp_path: Path) -> None:
    file = tmp_path / "report.json"

    assert write_report(str(file), {"failed": [{"name": "☃\udcff"}]}) is None

    assert json.loads(file.read_bytes()) == {"failed": [{"name": "☃\udcff"}]}


# Ctrl-C


@moto
def test_ctrl_c_before_anything_was_tried_blames_no_upload(rig: Rig, tmp_path: Path) -> None:
    project = Project.make(tmp_path, rig)
    succeeded(deploy(rig, project))
    rig.wire.delay(2, operation="list")
    begun = len(rig.wire.requests)
    with project.start("localmirror", "publish") as process:
        wait_for(lambda: len(rig.wire.requests) > begun, process)
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=30)

    assert process.returncode == 130
    assert "CommandError: Interrupted: 30 of 30 files were not attempted. What was live in " in stderr
    assert "could not be uploaded" not in stderr


@moto
def test_what_failed_and_what_was_not_attempted_are_told_apart(rig: Rig, tmp_path: Path) -> None:
    project = Project.make(tmp_path, rig, role="static", more=20, mirror_workers=1)
    succeeded(deploy(rig, project, "--stage"))
    rig.wire.fail(403, code="InvalidAccessKeyId", method="PUT", skip=10)

    failed = publish(rig, project)

    assert str(failed.error).startswith("1 of 35 files could not be uploaded to ")
    assert ", and 24 were not attempted. What was live stays live" in str(failed.error)


@moto
def test_ctrl_c_in_a_dry_run_promises_nothing(rig: Rig, tmp_path: Path) -> None:
    project = Project.make(tmp_path, rig)
    succeeded(deploy(rig, project, "--stage"))
    rig.wire.delay(2, operation="list")
    begun = len(rig.wire.requests)
    with project.start("localmirror", "publish", "--dry-run", "--skip-checks") as process:
        wait_for(lambda: len(rig.wire.requests) > begun, process)
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=30)

    assert (process.returncode, stdout) == (130, "")
    assert stderr == "CommandError: Interrupted. Nothing was changed.\n"


@moto
def test_ctrl_c_while_hashing_and_uploading_is_reported(rig: Rig, tmp_path: Path) -> None:
    project = Project.make(tmp_path, rig, more=1500)
    report = tmp_path / "report.json"
    with project.start("collectstatic", "--no-input", "--skip-checks", "--report", str(report)) as process:
        wait_for(lambda: len(rig.wire.requests.of("PUT")) >= 20, process)
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=60)

    assert stderr == "CommandError: Interrupted while staging. What was live stays live.\n"
    assert process.returncode == 130
    written = json.loads(report.read_text())
    there = public(rig)
    assert (written["staged"], written["manifest"], written["release"]) == (0, "kept", None)
    assert written["uploaded"] == len(there) >= 20
    assert written["bytes_uploaded"] == sum(map(len, there.values()))
    assert {failure["error"] for failure in written["failed"]} <= {"not attempted"}


@moto
def test_a_staging_that_fails_is_reported(rig: Rig, tmp_path: Path) -> None:
    project = Project.make(tmp_path, rig)
    project.corpus.write("css/broken.css", b"a { background: url(missing.png) }")

    for arguments in ([], ["--stage"]):
        result = project.run("collectstatic", "--no-input", "--report", str(tmp_path / "report.json"), *arguments)
        assert result.returncode == 1
        report = json.loads((tmp_path / "report.json").read_text())
        assert (report["staged"], report["manifest"], report["release"]) == (0, "kept", None)
        (tmp_path / "report.json").unlink()
