"""Staging: the mirror alone is written, one at a time, and it is known afterwards what belongs to the release."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import subprocess
import sys
import textwrap
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.management import CommandError

from localmirror.backends.s3 import MirroredS3ManifestStaticStorage
from localmirror.exceptions import NothingStagedError, StagingInProgressError
from localmirror.publish import Publish

from .corpus import FILES, REPOSITORY, Project
from .deploying import deploy, manifest, mirrored, public, publish, succeeded
from .rigs import Rig

pytestmark = pytest.mark.parametrize("rig", ["s3-moto"], indirect=True)


class WritesPastTheStorage(MirroredS3ManifestStaticStorage):
    """A storage whose post-processing writes files by their path, as whitenoise's and bundlers' do."""

    def post_process(self, paths: dict[str, Any], dry_run: bool = False, **options: Any) -> Any:
        for original, output, processed in super().post_process(paths, dry_run, **options):
            yield original, output, processed
            if output and output.endswith(".css"):
                content = Path(self.path(output)).read_bytes()
                Path(self.path(f"{output}.gz")).write_bytes(gzip.compress(content, mtime=0))
        Path(self.path("bundles")).mkdir(exist_ok=True)
        Path(self.path("bundles/app.js")).write_bytes(b"bundle()")


def staged(rig: Rig) -> dict[str, Any]:
    return dict(json.loads((rig.mirror / ".localmirror/staged.json").read_bytes())["files"])


def stage(rig: Rig, project: Project, *arguments: str, **options: Any) -> Any:
    return succeeded(deploy(rig, project, "--stage", *arguments, report=False, **options))


# The storage's methods


def test_every_call_sees_the_mirror_alone(rig: Rig) -> None:
    storage = rig.storage("static")
    rig.raw_put("remote.txt", b"remote")

    with storage.staging(), rig.wire.recording() as seen:
        assert storage.is_staging
        assert storage.save("dir/a.txt", ContentFile(b"first")) == "dir/a.txt"
        assert storage.save("dir/a.txt", ContentFile(b"second")) == "dir/a.txt"
        assert storage.exists("dir/a.txt")
        assert storage.size("dir/a.txt") == 6
        assert storage.get_modified_time("dir/a.txt").year > 2000
        assert storage.get_created_time("dir/a.txt").year > 2000
        assert storage.listdir("") == (["dir"], [])
        assert storage.open("dir/a.txt").read() == b"second"
        assert storage.open("dir/a.txt", "r").read() == "second"
        with storage.open("b.txt", "w") as file:
            file.write("written")
        with storage.open("b.txt", "a") as file:
            file.write(" twice")
        assert not storage.exists("remote.txt")
        for ask in (storage.open, storage.size, storage.get_modified_time):
            with pytest.raises(FileNotFoundError):
                ask("remote.txt")
        storage.delete("b.txt")
        assert not storage.exists("b.txt")

    assert seen == []
    assert not storage.is_staging
    assert storage.exists("remote.txt")
    assert rig.raw_list() == ["remote.txt"]


def test_staging_holds_for_all_threads(rig: Rig) -> None:
    storage = rig.storage("static")

    with storage.staging(), ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: storage.save(f"{number}.txt", ContentFile(f"{number}")), range(40)))

    assert rig.wire.requests == []
    assert mirrored(rig) == {f"{number}.txt": f"{number}".encode() for number in range(40)}


def test_a_delete_waits_for_the_end_and_is_dropped_if_the_name_is_saved_again(rig: Rig) -> None:
    storage = rig.storage("static")
    with storage.staging() as staging:
        for name in ("kept.txt", "gone.txt"):
            storage.save(name, ContentFile(b"content"))
            staging.found(name)
        staging.commit(staging.release())

    with storage.staging() as staging:
        for name in ("kept.txt", "gone.txt"):
            storage.delete(name)
        assert (rig.mirror / "gone.txt").exists()
        storage.save("kept.txt", ContentFile(b"content"))
        staging.found("kept.txt")
        staging.commit(staging.release())

    assert mirrored(rig) == {"kept.txt": b"content"}
    assert list(staged(rig)) == ["kept.txt"]


def test_nothing_is_deleted_that_no_release_has_staged(rig: Rig) -> None:
    rig.mirror.mkdir()
    (rig.mirror / "by-hand.txt").write_bytes(b"by hand")
    storage = rig.storage("static")

    with storage.staging() as staging:
        storage.delete("by-hand.txt")
        assert not storage.exists("by-hand.txt")
        staging.commit(staging.release())

    assert mirrored(rig) == {"by-hand.txt": b"by hand"}


def test_a_staging_that_fails_leaves_the_staged_release_as_it_was(rig: Rig) -> None:
    storage = rig.storage("static")
    with storage.staging() as staging:
        storage.save("a.txt", ContentFile(b"a"))
        staging.found("a.txt")
        staging.commit(staging.release())
    before = staged(rig)

    with pytest.raises(ZeroDivisionError), storage.staging():
        storage.save("b.txt", ContentFile(b"b"))
        storage.delete("a.txt")
        raise ZeroDivisionError

    assert staged(rig) == before
    assert not storage.is_staging
    assert (rig.mirror / "a.txt").exists()


def test_a_link_in_the_mirror_is_replaced(rig: Rig, tmp_path: Path) -> None:
    source = tmp_path / "source.css"
    source.write_bytes(b"a{}")
    rig.mirror.mkdir()
    (rig.mirror / "a.css").symlink_to(source)
    storage = rig.storage("static")

    with storage.staging():
        storage.save("a.css", ContentFile(b"a{}"))
        storage.save("a.css", ContentFile(b"b{}"))

    assert source.read_bytes() == b"a{}"
    assert not (rig.mirror / "a.css").is_symlink()
    assert mirrored(rig) == {"a.css": b"b{}"}


# One at a time


def test_a_second_staging_fails_at_once_and_names_the_first(rig: Rig) -> None:
    with rig.storage("static").staging():
        with pytest.raises(StagingInProgressError, match=rf"process {os.getpid()} \(staging\)"):
            with rig.storage("static").staging():
                pass

    with rig.storage("static").staging():
        pass


def test_a_second_staging_of_one_storage_fails_too(rig: Rig) -> None:
    storage = rig.storage("static")

    def second() -> None:
        with storage.staging(), storage.staging():
            pass

    with pytest.raises(StagingInProgressError):
        second()
    with storage.staging(), ThreadPoolExecutor(1) as pool:
        with pytest.raises(StagingInProgressError):
            pool.submit(second).result()
        assert storage.is_staging
    with storage.exclusively("a test"), ThreadPoolExecutor(1) as pool:
        with pytest.raises(StagingInProgressError, match="a test"):
            pool.submit(second).result()


def test_a_second_process_fails_at_once_and_names_the_first(rig: Rig, tmp_path: Path) -> None:
    project = Project.make(tmp_path, rig)
    holding, done = threading.Event(), threading.Event()

    def hold() -> None:
        with rig.storage("static").exclusively("a test"):
            holding.set()
            done.wait(60)

    thread = threading.Thread(target=hold)
    thread.start()
    holding.wait(10)
    try:
        results = [project.run("collectstatic", "--no-input"), project.run("localmirror", "publish")]
    finally:
        done.set()
        thread.join()

    for result in results:
        assert result.returncode == 1
        assert f"process {os.getpid()} (a test)" in result.stderr
        assert "Traceback" not in result.stderr
    assert rig.raw_list() == []


def test_the_lock_goes_with_a_killed_process(rig: Rig) -> None:
    code = f"""
        import os, signal
        from localmirror.local import MirrorDirectory
        with MirrorDirectory({str(rig.mirror)!r}).try_lock("staging.lock", "doomed"):
            os.kill(os.getpid(), signal.SIGKILL)
        """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], cwd=REPOSITORY, timeout=30)

    with rig.storage("static").staging():
        pass


# collectstatic --stage


def test_staging_needs_no_network_and_no_credentials(rig: Rig, tmp_path: Path) -> None:
    project = Project.make(tmp_path, rig)
    project.set_options(access_key=None, secret_key=None, endpoint_url="http://127.0.0.1:9")

    result = project.run("collectstatic", "--no-input", "--stage", AWS_EC2_METADATA_DISABLED="true")

    assert (result.returncode, result.last_line) == (0, f"30 files staged in {rig.mirror}.")
    assert rig.wire.requests == []
    paths = manifest(mirrored(rig))
    assert paths.keys() == FILES.keys()
    assert set(staged(rig)) == {*paths, *paths.values()}


def test_what_is_staged_is_published_later(rig: Rig, tmp_path: Path) -> None:
    project = Project.make(tmp_path, rig)
    stage(rig, project)

    published = succeeded(publish(rig, project))

    assert public(rig) == mirrored(rig)
    assert published.report is not None
    assert published.report["uploaded"] == published.report["staged"] == 30


def test_what_is_staged_is_what_is_published(rig: Rig, tmp_path: Path) -> None:
    project = Project.make(tmp_path, rig)
    stage(rig, project)
    project.corpus.change("img/logo.png")
    project.corpus.write("new.txt", b"new")
    (rig.mirror / "by-hand.txt").write_bytes(b"by hand")

    succeeded(publish(rig, project))

    assert public(rig) == {name: content for name, content in mirrored(rig).items() if name != "by-hand.txt"}
    assert "new.txt" not in public(rig)


def test_publishing_without_staging_is_a_sentence(rig: Rig, tmp_path: Path) -> None:
    project = Project.make(tmp_path, rig)
    with pytest.raises(NothingStagedError):
        project.storage().staged_release()

    failed = publish(rig, project)

    assert isinstance(failed.error, CommandError)
    assert "collectstatic --stage" in str(failed.error)


def test_an_alias_that_cannot_be_published_is_a_sentence(rig: Rig, tmp_path: Path) -> None:
    project = Project.make(tmp_path, rig)

    assert "InMemoryStorage" in str(publish(rig, project, "--alias", "default").error)
    assert "nobody" in str(publish(rig, project, "--alias", "nobody").error)


def test_another_alias_is_published(rig: Rig, tmp_path: Path) -> None:
    project = Project.make(tmp_path, rig)
    stage(rig, project)
    project.settings["STORAGES"]["other"] = project.settings["STORAGES"]["staticfiles"]

    published = succeeded(publish(rig, project, "--alias", "other"))

    assert published.report is not None
    assert published.report["alias"] == "other"
    assert public(rig) == mirrored(rig)


def test_a_file_that_changed_since_it_was_staged_fails_loudly(rig: Rig, tmp_path: Path) -> None:
    project = Project.make(tmp_path, rig)
    stage(rig, project)
    (rig.mirror / "robots.txt").write_bytes(b"changed by hand")

    failed = publish(rig, project)

    assert failed.error is not None
    assert f"{rig.mirror}/robots.txt has changed since it was staged" in failed.output
    assert "robots.txt" not in public(rig)
    assert manifest(public(rig)) == {}


def test_what_is_staged_is_not_read_twice_but_where_it_may_have_changed(
    rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked: list[str] = []
    check = Publish._check_digest
    monkeypatch.setattr(
        Publish, "_check_digest", lambda self, file, *rest: [checked.append(file.name), check(file, *rest)]
    )
    project = Project.make(tmp_path, rig)
    stage(rig, project)
    elsewhere = rig.mirror / "robots.txt"
    shutil.copy2(elsewhere, tmp_path / "copy")
    os.replace(tmp_path / "copy", elsewhere)  # as an image does that is built on another machine

    succeeded(publish(rig, project))

    assert checked == ["robots.txt"]


def test_what_is_staged_is_dated_before_anything_that_may_happen_to_it(rig: Rig) -> None:
    """File systems' clocks tick every few milliseconds: a file that is written twice within one would look the same."""
    storage = rig.storage("static")
    before = time.time_ns()
    with storage.staging():
        storage.save("a.txt", ContentFile(b"a"))

    assert (rig.mirror / "a.txt").stat().st_mtime_ns < before


# What is collected


def test_a_changed_source_with_an_older_date_is_collected(rig: Rig, tmp_path: Path) -> None:
    project = Project.make(tmp_path, rig, role="static")
    stage(rig, project)
    changed = project.corpus.write("robots.txt", b"changed")
    os.utime(changed, (1_000_000, 1_000_000))

    again = stage(rig, project)

    assert "1 static file copied" in again.output
    assert (rig.mirror / "robots.txt").read_bytes() == b"changed"


def test_a_source_of_the_same_size_and_date_is_collected(rig: Rig, tmp_path: Path) -> None:
    project = Project.make(tmp_path, rig, role="static")
    path = project.corpus.write("a.txt", b"one")
    stage(rig, project)
    times = path.stat()
    path.write_bytes(b"two")
    os.utime(path, (times.st_atime, times.st_mtime))

    stage(rig, project)

    assert (rig.mirror / "a.txt").read_bytes() == b"two"


def test_nothing_is_written_where_nothing_has_changed(rig: Rig, tmp_path: Path) -> None:
    project = Project.make(tmp_path, rig)
    stage(rig, project)
    before = {name: (rig.mirror / name).stat().st_ino for name in mirrored(rig)}

    again = stage(rig, project)

    assert "0 static files copied, 15 unmodified" in again.output
    assert {name: (rig.mirror / name).stat().st_ino for name in mirrored(rig)} == before


def test_clear_deletes_what_earlier_releases_have_staged_and_nothing_else(rig: Rig, tmp_path: Path) -> None:
    project = Project.make(tmp_path, rig)
    succeeded(deploy(rig, project))
    live = public(rig)
    rig.storage("compressor").save("CACHE/css/output.0cc175b9c0f1.css", ContentFile(b"a"))
    (rig.mirror / "by-hand.txt").write_bytes(b"by hand")
    project.corpus.remove("robots.txt")
    gone = {"robots.txt", manifest(live)["robots.txt"]}

    without = succeeded(deploy(rig, project))
    assert gone <= mirrored(rig).keys()
    with_clear = succeeded(deploy(rig, project, "--clear"))

    assert not gone & mirrored(rig).keys()
    assert {"by-hand.txt", "CACHE/css/output.0cc175b9c0f1.css"} <= mirrored(rig).keys()
    assert live.items() - {("staticfiles.json", live["staticfiles.json"])} <= public(rig).items()
    assert (rig.mirror / ".localmirror/staged.json").exists()
    assert without.report is not None
    assert with_clear.report is not None
    assert (without.report["deleted"], with_clear.report["deleted"]) == (0, 30)
    assert without.seen.of("DELETE") == with_clear.seen.of("DELETE") == []
    assert without.seen.of("POST") == with_clear.seen.of("POST") == []
    assert not gone & manifest(public(rig)).keys()


@pytest.mark.parametrize("arguments", [[], ["--clear"]])
def test_a_file_may_become_a_directory_and_a_file_again(rig: Rig, tmp_path: Path, arguments: list[str]) -> None:
    project = Project.make(tmp_path, rig)
    project.corpus.write("thing", b"a file")
    succeeded(deploy(rig, project))
    project.corpus.remove("thing")
    project.corpus.write("thing/inner.txt", b"now a directory")

    succeeded(deploy(rig, project, *arguments))
    assert public(rig)["thing/inner.txt"] == b"now a directory"

    project.corpus.remove("thing/inner.txt")
    (project.corpus.directory / "thing").rmdir()
    project.corpus.write("thing", b"a file again")
    succeeded(deploy(rig, project, *arguments))
    assert public(rig)["thing"] == mirrored(rig)["thing"] == b"a file again"


def test_ignored_files_are_no_part_of_the_release(rig: Rig, tmp_path: Path) -> None:
    project = Project.make(tmp_path, rig)

    succeeded(deploy(rig, project, "--ignore", "*.txt"))

    assert not [name for name in public(rig) if name.endswith(".txt")]
    assert manifest(public(rig)).keys() == {name for name in FILES if not name.endswith(".txt")}


def test_without_post_processing_the_originals_are_published_and_the_manifest_is_let_alone(
    rig: Rig, tmp_path: Path
) -> None:
    project = Project.make(tmp_path, rig)
    succeeded(deploy(rig, project))
    live = public(rig)["staticfiles.json"]
    project.corpus.write("new.txt", b"new")

    deployed = succeeded(deploy(rig, project, "--no-post-process"))

    assert deployed.report is not None
    assert (deployed.report["manifest"], deployed.report["staged"]) == ("kept", 16)
    assert public(rig)["staticfiles.json"] == live
    assert public(rig)["new.txt"] == b"new"


# What post-processing writes


def test_what_is_written_past_the_storage_belongs_to_the_release(rig: Rig, tmp_path: Path) -> None:
    project = Project.make(tmp_path, rig)
    project.settings["STORAGES"]["staticfiles"]["BACKEND"] = f"{__name__}.WritesPastTheStorage"

    for _ in range(2):
        deployed = succeeded(deploy(rig, project))
        files = public(rig)
        assert files == mirrored(rig)
        assert files["bundles/app.js"] == b"bundle()"
        hashed = manifest(files)["css/site.css"]
        assert gzip.decompress(files[f"{hashed}.gz"]) == files[hashed]
        head = rig.raw_head(f"{hashed}.gz")
        assert (head.content_type, head.content_encoding) == ("text/css", "gzip")
        assert head.cache_control == "public, max-age=31536000, immutable"

    assert deployed.uploads == []


def test_compressors_output_is_no_part_of_the_release(rig: Rig, tmp_path: Path) -> None:
    project = Project.make(tmp_path, rig)
    compressor = rig.storage("compressor")
    storage = project.storage()

    with project.active(), storage.staging() as staging:
        staging.begin_post_processing()
        thread = threading.Thread(target=lambda: compressor.save("CACHE/a.0cc175b9c0f1.css", ContentFile(b"a")))
        thread.start()
        thread.join()
        (rig.mirror / "past.txt").write_bytes(b"past")
        release = staging.release()

    assert set(release.files) == {"past.txt"}


def test_a_sibling_that_is_older_than_its_file_is_of_another_time(rig: Rig) -> None:
    storage = rig.storage("static")
    rig.mirror.mkdir()
    for extension in ("gz", "br", "zst"):
        (rig.mirror / f"a.css.{extension}").write_bytes(b"compressed")
    os.utime(rig.mirror / "a.css.br", (1_000_000, 1_000_000))

    with storage.staging() as staging:
        storage.save("a.css", ContentFile(b"a{}"))
        for extension in ("gz", "zst"):
            os.utime(rig.mirror / f"a.css.{extension}", (2_000_000_000, 2_000_000_000))
        staging.found("a.css")
        release = staging.release()

    assert set(release.files) == {"a.css", "a.css.gz", "a.css.zst"}


def test_an_unreadable_staged_release_can_be_staged_anew(rig: Rig, tmp_path: Path) -> None:
    project = Project.make(tmp_path, rig)
    stage(rig, project)
    (rig.mirror / ".localmirror/staged.json").write_bytes(b'{"version": 999}')

    failed = publish(rig, project)
    assert "another version of localmirror" in str(failed.error)
    stage(rig, project)

    succeeded(publish(rig, project))
    assert public(rig) == mirrored(rig)


def test_a_staged_release_and_its_manifest_belong_together(rig: Rig, tmp_path: Path) -> None:
    project = Project.make(tmp_path, rig)
    stage(rig, project)
    older = (rig.mirror / ".localmirror/staged.json").read_bytes()
    project.corpus.change("img/logo.png")
    stage(rig, project)
    # As a machine leaves them that stops between the two.
    (rig.mirror / ".localmirror/staged.json").write_bytes(older)

    failed = publish(rig, project)

    assert "collectstatic" in str(failed.error)
    assert rig.raw_list() == []
