"""What the commands take, what they say, and what they do to the process they run in."""

from __future__ import annotations

import gc
import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.management import load_command_class

from localmirror.management.output import write_report
from localmirror.names import first_line, printable

from .corpus import Project
from .deploying import deploy, publish, succeeded
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


@pytest.mark.parametrize("rig", ["generic-filesystem"], indirect=True)
def test_a_remote_that_knows_no_buckets_needs_none(rig: Rig, tmp_path: Path) -> None:
    project = Project.make(tmp_path, rig)
    assert not hasattr(project.storage(), "bucket_name")

    assert project.run("check").returncode == 0
    assert project.run("collectstatic", "--no-input").returncode == 0


def test_a_line_that_only_announces_a_reason_is_not_all_that_is_said() -> None:
    assert first_line(ValueError("Validation failed:\n\n  Missing parameter:\nName\nand more")) == (
        "Validation failed: Missing parameter: Name"
    )
    assert first_line(ValueError("One.\nTwo.")) == "One."
    assert first_line(ValueError("Nothing follows:")) == "Nothing follows:"
    assert first_line(ValueError("\n")) == "ValueError"


# What is said and reported


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
