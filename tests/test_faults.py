"""What goes wrong on the way: a release goes live as a whole or not at all, and whoever runs it reads why."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from django.core.files.base import ContentFile

from localmirror.exceptions import PublishError, ReleaseConflictError

from .corpus import FILES, Project, Result
from .deploying import MANIFEST, Deployment, assert_whole, deploy, manifest, mirrored, public, publish, succeeded
from .disks import disk
from .rigs import Rig
from .wire import Request, Rule

moto = pytest.mark.parametrize("rig", ["s3-moto"], indirect=True)
rclone = pytest.mark.parametrize("rig", ["s3-rclone"], indirect=True)

SITE = r"^css/site\.[0-9a-f]{12}\.css$"


@pytest.fixture
def live(s3: Rig, tmp_path: Path) -> Project:
    """A project whose first release is live, and whose second one is ready to be deployed."""
    project = Project.make(tmp_path, s3)
    succeeded(deploy(s3, project))
    project.corpus.change("img/logo.png")
    return project


def failed(deployment: Deployment) -> str:
    """Assert that a command failed with a sentence, and return it."""
    assert deployment.error is not None
    assert deployment.error.returncode == 1
    assert "Traceback" not in deployment.output
    return str(deployment.error)


def secrets_of(rig: Rig) -> list[str]:
    return list(rig.server.credentials.values())


def wait_for(what: Callable[[], bool], process: subprocess.Popen[str], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)


# Files that fail


def test_a_file_that_keeps_failing_holds_the_manifest_back(s3: Rig, live: Project) -> None:
    before, mirror_before = public(s3), (s3.mirror / MANIFEST).read_bytes()
    rule = s3.wire.fail(500, method="PUT", name=SITE)

    sentence = failed(deployed := deploy(s3, live))

    assert rule.hits
    name = next(name for name in mirrored(s3) if re.search(SITE, name) and name not in before)
    assert re.search(rf"^{re.escape(name)}: .*InternalError", deployed.output, re.MULTILINE)
    assert sentence.startswith("1 of 30 files could not be uploaded to ")
    assert public(s3)[MANIFEST] == before[MANIFEST]
    assert (s3.mirror / MANIFEST).read_bytes() == mirror_before
    assert_whole(s3)
    assert deployed.report is not None
    assert [failure["name"] for failure in deployed.report["failed"]] == [name]
    assert deployed.report["manifest"] == "kept"
    # The others were not stopped by it.
    assert public(s3).keys() >= mirrored(s3).keys() - {name}

    s3.wire.rules = []
    again = succeeded(deploy(s3, live))
    assert again.uploads == [name, MANIFEST]
    assert assert_whole(s3).keys() == FILES.keys()
    assert (s3.mirror / MANIFEST).read_bytes() == public(s3)[MANIFEST] != before[MANIFEST]


@moto
def test_every_failure_is_listed_with_its_reason(rig: Rig, tmp_path: Path) -> None:
    rig.wire.fail(400, code="EntityTooLarge", method="PUT", name=r"^fonts/")
    rig.wire.fail(403, code="AccessDenied", method="PUT", name=r"^js/.*\.js$")

    deployed = deploy(rig, Project.make(tmp_path, rig))

    assert "6 of 30 files could not be uploaded" in failed(deployed)
    assert deployed.report is not None
    reasons = {failure["name"]: failure["error"] for failure in deployed.report["failed"]}
    assert {name.split("/")[0] for name in reasons} == {"fonts", "js"}
    assert len(reasons) == 6
    for name, reason in reasons.items():
        assert ("EntityTooLarge" if name.startswith("fonts/") else "AccessDenied") in reason
        assert f"{name}: {reason}\n" in deployed.output
        assert "\n" not in reason
    counted = deployed.report["uploaded"] + deployed.report["current"] + len(reasons)
    assert counted == deployed.report["staged"] == 30
    assert not {MANIFEST} & public(rig).keys()


@moto
def test_failures_exit_with_an_error_and_no_traceback(rig: Rig, tmp_path: Path) -> None:
    rig.wire.fail(403, code="AccessDenied", method="PUT", name=r"^robots\.txt$")

    result = Project.make(tmp_path, rig).run("collectstatic", "--no-input")

    assert result.returncode == 1
    assert re.search(r"^robots\.txt: .*AccessDenied", result.stderr, re.MULTILINE)
    assert "Traceback" not in result.stderr
    assert_no_secret(rig, result)


@moto
def test_a_record_that_cannot_be_written_keeps_the_old_release_live(rig: Rig, tmp_path: Path) -> None:
    project = Project.make(tmp_path, rig)
    succeeded(deploy(rig, project))
    before = public(rig)[MANIFEST]
    project.corpus.change("img/logo.png")
    rig.wire.fail(403, code="AccessDenied", method="PUT", name=r"^\.localmirror/|^staticfiles\.json$")

    deployed = deploy(rig, project)

    assert "the release could not be made live" in failed(deployed)
    assert "AccessDenied" in failed(deployed)
    assert public(rig)[MANIFEST] == (rig.mirror / MANIFEST).read_bytes() == before
    assert deployed.report is not None
    assert deployed.report["manifest"] == "kept"


# Faults that pass


def test_a_server_that_is_busy_now_and_then_is_asked_again(s3: Rig, tmp_path: Path) -> None:
    project = Project.make(tmp_path, s3, more=100)
    rule = s3.wire.fail(503, code="SlowDown", probability=0.02, seed=3)

    succeeded(deploy(s3, project))

    assert rule.hits >= 3
    s3.wire.rules = []
    assert len(assert_whole(s3)) == len(FILES) + 100
    assert public(s3) == mirrored(s3)


def test_a_connection_that_is_cut_in_mid_body_is_made_again(s3: Rig, tmp_path: Path) -> None:
    project = Project.make(tmp_path, s3)
    project.corpus.write("large.bin", os.urandom(600_000))
    rule = s3.wire.cut(method="PUT", times=3, name=r"^(large|img)")

    succeeded(deploy(s3, project))

    assert rule.hits == 3
    assert_whole(s3)
    assert public(s3) == mirrored(s3)


@moto
def test_an_answer_that_was_lost_is_no_conflict_with_ourselves(rig: Rig, tmp_path: Path) -> None:
    rule = rig.wire.add(Rule("lose", method="PUT", times=1, name=rf"^{re.escape(MANIFEST)}$"))
    project = Project.make(tmp_path, rig)

    deployed = deploy(rig, project)

    assert rule.hits == 1
    assert_whole(rig)
    if deployed.error is not None:
        succeeded(deploy(rig, project))
    assert public(rig) == mirrored(rig)


# Errors that hit every file


def assert_no_secret(rig: Rig, result: Result | Deployment) -> None:
    told = "".join(str(part) for part in result) if isinstance(result, Result) else f"{result.output}{result.error}"
    for secret in secrets_of(rig):
        assert secret not in told


@rclone
@pytest.mark.parametrize("command", ["collectstatic", "localmirror publish"])
def test_wrong_credentials_are_one_sentence(rig: Rig, tmp_path: Path, command: str) -> None:
    project = Project.make(tmp_path, rig)
    succeeded(deploy(rig, project, "--stage", report=False))
    project.set_options(secret_key="a-wrong-secret-key")

    arguments = ["--no-input"] if command == "collectstatic" else []
    result = project.run(*command.split(), *arguments)

    assert result.returncode == 1
    sentence = assert_one_sentence(rig, result)
    assert re.search("SignatureDoesNotMatch|Forbidden|AccessDenied|403", sentence)
    assert "a-wrong-secret-key" not in result.stdout + result.stderr
    assert_no_secret(rig, result)
    assert len(rig.wire.requests) <= 3
    assert rig.raw_list() == []


def assert_one_sentence(rig: Rig, result: Result) -> str:
    """Assert that standard error holds one line of error, which says where, and return it."""
    assert "Traceback" not in result.stderr
    lines = [line for line in result.stderr.splitlines() if line.startswith("CommandError: ")]
    assert len(lines) == 1, result.stderr
    assert result.stderr.rstrip().endswith(lines[0]), result.stderr
    assert rig.bucket in lines[0] or "no-such-bucket" in lines[0]
    assert rig.wire.url in lines[0]
    return lines[0]


def test_a_missing_bucket_is_one_sentence(s3: Rig, tmp_path: Path) -> None:
    project = Project.make(tmp_path, s3)
    project.set_options(bucket_name="no-such-bucket")

    result = project.run("collectstatic", "--no-input")

    assert result.returncode == 1
    assert re.search("NoSuchBucket|not exist", assert_one_sentence(s3, result))
    assert_no_secret(s3, result)


@moto
def test_no_network_is_one_sentence(rig: Rig, tmp_path: Path) -> None:
    project = Project.make(tmp_path, rig)

    with rig.wire.outage():
        result = project.run("collectstatic", "--no-input", AWS_MAX_ATTEMPTS="2")

    assert result.returncode == 1
    assert_one_sentence(rig, result)
    assert_no_secret(rig, result)
    # What was staged is good.
    succeeded(publish(rig, project))
    assert_whole(rig)


@moto
def test_no_message_carries_a_credential(rig: Rig) -> None:
    key, secret = secrets_of(rig)
    endpoint = f"http://somebody:{secret}@127.0.0.1:9/?token={secret}"
    storage = rig.storage("static", endpoint_url=endpoint)

    told = storage.describe_remote() + storage.describe_error(OSError(f"no answer for {key} with {secret}"))
    told += storage.describe_error(OSError('no answer from "http://somebody:else@127.0.0.1:9/img/a@2x.png"'))

    assert '"http://127.0.0.1:9/img/a@2x.png"' in told
    assert "else" not in told
    assert "somebody" not in told
    assert key not in told
    assert secret not in told


@moto
def test_what_would_hit_every_file_stops_the_rest(rig: Rig, tmp_path: Path) -> None:
    project = Project.make(tmp_path, rig, more=60, mirror_workers=2)
    succeeded(deploy(rig, project, "--stage", report=False))
    rig.wire.fail(403, code="InvalidAccessKeyId", method="PUT", skip=10)

    deployed = publish(rig, project)

    assert "could not be uploaded" in failed(deployed)
    assert deployed.report is not None
    reasons = [failure["error"] for failure in deployed.report["failed"]]
    assert 1 <= len([reason for reason in reasons if "InvalidAccessKeyId" in reason]) <= 2
    left = [failure["name"] for failure in deployed.report["failed"] if failure["error"] == "not attempted"]
    assert len(left) >= 130
    assert all(f"{name}: not attempted\n" in deployed.output for name in left)
    assert deployed.report["uploaded"] == 10
    assert len(deployed.report["failed"]) == 140
    assert MANIFEST not in public(rig)


@moto
def test_a_network_that_goes_away_stops_the_rest(rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    project = Project.make(tmp_path, rig, more=60, mirror_workers=2)
    succeeded(deploy(rig, project, "--stage", report=False))
    closing = threading.Thread(target=rig.wire.down)

    def goes_away(request: Request) -> bool:
        if request.method == "PUT" and len(rig.wire.requests) > 10 and not closing.ident:
            closing.start()
        return False

    rig.wire.add(Rule("delay", match=goes_away))
    deployed = publish(rig, project)
    closing.join()
    rig.wire.up()

    assert "could not be uploaded" in failed(deployed)
    assert deployed.output.count(": not attempted\n") >= 100
    assert MANIFEST not in public(rig)
    rig.wire.rules = []
    succeeded(publish(rig, project))
    assert_whole(rig)


# Ends that nobody announces


def test_killed_at_half_nothing_public_is_missing_anything(s3: Rig, tmp_path: Path) -> None:
    project = Project.make(tmp_path, s3, more=40, mirror_workers=4)
    succeeded(deploy(s3, project))
    before = assert_whole(s3)
    for name in before:
        if name.startswith("more/"):
            project.corpus.change(name)
    s3.wire.reset()
    s3.wire.latency = 0.02
    with project.start("collectstatic", "--no-input") as process:
        wait_for(lambda: len(s3.wire.requests.of("PUT")) >= 20, process)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    s3.wire.latency = 0

    assert assert_whole(s3) == before

    succeeded(deploy(s3, project))
    after = assert_whole(s3)
    assert after != before
    assert mirrored(s3).items() <= public(s3).items()


@moto
def test_killed_while_staging_the_next_run_completes(rig: Rig, tmp_path: Path) -> None:
    project = Project.make(tmp_path, rig, more=300)
    with project.start("collectstatic", "--no-input", "--stage") as process:
        wait_for(lambda: (rig.mirror / "more").is_dir(), process)
        process.send_signal(signal.SIGKILL)

    assert not (rig.mirror / MANIFEST).exists()
    succeeded(deploy(rig, project))
    assert public(rig) == mirrored(rig)


@moto
def test_ctrl_c_stops_cleanly(rig: Rig, tmp_path: Path) -> None:
    project = Project.make(tmp_path, rig, more=100, mirror_workers=2)
    succeeded(deploy(rig, project, "--stage", report=False))
    report = tmp_path / "report.json"
    rig.wire.latency = 0.05
    with project.start("localmirror", "publish", "--report", str(report)) as process:
        wait_for(lambda: len(rig.wire.requests.of("PUT")) >= 10, process)
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=30)

    assert process.returncode == 130
    assert "Traceback" not in stderr
    assert "CommandError: Interrupted: " in stderr
    assert stderr.count(": not attempted\n") >= 100
    assert stdout == ""
    assert '"uploaded": 0,' not in report.read_text()
    assert MANIFEST not in public(rig)
    rig.wire.latency = 0
    succeeded(publish(rig, project))
    assert_whole(rig)


@moto
def test_ctrl_c_while_staging_stops_cleanly(rig: Rig, tmp_path: Path) -> None:
    project = Project.make(tmp_path, rig, more=300)
    with project.start("collectstatic", "--no-input") as process:
        wait_for(lambda: (rig.mirror / "more").is_dir(), process)
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=30)

    assert process.returncode == 130
    assert "Traceback" not in stderr
    assert "CommandError: Interrupted" in stderr
    assert MANIFEST not in public(rig)


# A full disk


@pytest.mark.parametrize(("size", "leaving"), [(900_000, 300_000), (10, 0)])
def test_a_disk_that_fills_up_while_staging(s3: Rig, tmp_path: Path, size: int, leaving: int) -> None:
    with disk(tmp_path / "disk", kilobytes=2048) as mount:
        s3.mirror = mount.root / "mirror"
        project = Project.make(tmp_path, s3)
        succeeded(deploy(s3, project))
        before, local = public(s3), mirrored(s3)
        content = os.urandom(size)
        project.corpus.write("new.bin", content)

        with mount.full(leaving=leaving):
            deployed = deploy(s3, project)

        assert "No space left" in failed(deployed)
        assert str(s3.mirror) in failed(deployed)
        assert mirrored(s3) == local
        assert not list(s3.mirror.glob(".localmirror/tmp/*"))
        assert public(s3)[MANIFEST] == before[MANIFEST]
        assert_whole(s3)

        succeeded(deploy(s3, project))
        assert public(s3)[assert_whole(s3)["new.bin"]] == content


# Two at once


@moto
def test_a_release_that_went_live_meanwhile_is_not_overwritten(rig: Rig, tmp_path: Path) -> None:
    project = Project.make(tmp_path, rig)
    succeeded(deploy(rig, project))
    theirs = public(rig)[MANIFEST].replace(b'"version"', b' "version"')
    project.corpus.change("img/logo.png")
    went_live = threading.Event()

    def somebody_else(request: Request) -> bool:
        if request.method == "PUT" and not went_live.is_set():
            went_live.set()
            rig.raw_put(MANIFEST, theirs)
        return False

    rig.wire.add(Rule("delay", match=somebody_else))
    deployed = deploy(rig, project)

    assert "Another release went live" in failed(deployed)
    assert public(rig)[MANIFEST] == theirs
    assert (rig.mirror / MANIFEST).read_bytes() != theirs
    succeeded(deploy(rig, project))
    assert assert_whole(rig) == manifest(mirrored(rig))


def test_a_manifest_is_written_only_over_the_one_that_was_seen(s3: Rig) -> None:
    storage = s3.storage("static")
    s3.raw_put(MANIFEST, b"first")
    seen = storage.remote_file(MANIFEST)
    s3.raw_put(MANIFEST, b"second")

    for version in (seen, None):
        with pytest.raises(ReleaseConflictError, match=s3.bucket):
            storage.upload_manifest(MANIFEST, ContentFile(b"mine"), seen=version)
    assert s3.raw_get(MANIFEST) == b"second"
    assert issubclass(ReleaseConflictError, PublishError)

    storage.upload_manifest(MANIFEST, ContentFile(b"mine"), seen=storage.remote_file(MANIFEST))
    assert s3.raw_get(MANIFEST) == b"mine"


@moto
def test_the_server_is_asked_to_check_too(rig: Rig) -> None:
    """Between our look and our write there is time for somebody else; the server's own check has none."""
    storage = rig.storage("static")

    def somebody_else(request: Request) -> bool:
        if request.method == "PUT":
            rig.raw_put(MANIFEST, b"theirs")
        return False

    rig.wire.add(Rule("delay", match=somebody_else, name=MANIFEST))
    with pytest.raises(ReleaseConflictError):
        storage.upload_manifest(MANIFEST, ContentFile(b"mine"), seen=None)
    assert rig.raw_get(MANIFEST) == b"theirs"


@pytest.mark.parametrize("rig", ["s3-moto", "s3-rclone", "azure-azurite", "gcs-emulator"], indirect=True)
def test_without_a_manifest_a_mixture_of_two_deployments_is_told(rig: Rig, tmp_path: Path) -> None:
    project = Project.make(tmp_path, rig, role="static")
    succeeded(deploy(rig, project))
    project.corpus.change("robots.txt")
    project.corpus.change("img/logo.png")

    def interfere(storage: Any, name: str, file: Any, **options: Any) -> Any:
        uploaded = upload(storage, name, file, **options)
        if name == "robots.txt":
            rig.raw_put("robots.txt", b"of another release")
        return uploaded

    engine = type(rig.storage("static").bulk_engine())
    upload = engine.upload
    with mock.patch.object(engine, "upload", interfere):
        failed = deploy(rig, project)
    assert "Somebody else has published" in str(failed.error)
    assert "'robots.txt'" in str(failed.error)

    succeeded(deploy(rig, project))
    assert public(rig) == mirrored(rig) == project.corpus.contents()


def test_two_deployments_at_once_leave_one_whole_release(s3: Rig, tmp_path: Path) -> None:
    projects = []
    for host in ("a", "b"):
        s3.mirror = tmp_path / host / "mirror"
        project = Project.make(tmp_path / host, s3)
        project.corpus.write("img/logo.png", f"the logo of {host}".encode())
        projects.append(project)

    processes = [project.start("collectstatic", "--no-input") for project in projects]
    results = [process.communicate(timeout=60) for process in processes]

    codes = [process.returncode for process in processes]
    assert 0 in codes, results
    for code, (_, stderr) in zip(codes, results, strict=True):
        assert "Traceback" not in stderr
        assert code == 0 or "Another release went live" in stderr
    paths = assert_whole(s3)
    logo = public(s3)[paths["img/logo.png"]]
    assert logo in (b"the logo of a", b"the logo of b")
