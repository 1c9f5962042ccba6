"""Saving twice: the same bytes under the same name in both halves, or neither half changed."""

from __future__ import annotations

import contextlib
import errno
import gzip
import hashlib
import multiprocessing
import os
import pickle
import shutil
import socket
import stat
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from botocore.exceptions import BotoCoreError, ClientError
from django.core.exceptions import SuspiciousFileOperation
from django.core.files.base import ContentFile, File
from django.core.files.storage import FileSystemStorage
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import models
from django.db.migrations.writer import MigrationWriter
from django.test import override_settings

from localmirror.backends.s3 import MirroredS3Storage

from .contents import CONTENTS, LARGE, closed_file
from .disks import disk
from .rigs import Rig
from .wire import Rule


def mirrored(rig: Rig) -> dict[str, bytes]:
    """Return all files of the mirror with their bytes, localmirror's own left out."""
    found = (path for path in rig.mirror.rglob("*") if path.is_file())
    names = {path.relative_to(rig.mirror).as_posix(): path for path in found}
    return {name: path.read_bytes() for name, path in names.items() if not name.startswith(".localmirror/")}


def directories(rig: Rig) -> list[str]:
    found = (path.relative_to(rig.mirror).as_posix() for path in rig.mirror.rglob("*") if path.is_dir())
    return sorted(name for name in found if not name.startswith(".localmirror"))


def assert_spools_are_gone(rig: Rig) -> None:
    assert not list(rig.mirror.glob(".localmirror/tmp/*"))


@contextlib.contextmanager
def pipe_of(data: bytes, *, buffering: int) -> Iterator[Any]:
    reading, writing = os.pipe()

    def write() -> None:
        with open(writing, "wb") as file:
            file.write(data)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        with open(reading, "rb", buffering=buffering) as file:
            yield file
    finally:
        thread.join()


def test_both_halves_hold_the_bytes_of_the_content(s3: Rig, tmp_path: Path) -> None:
    storage = s3.storage()
    for kind, (make, expected) in CONTENTS.items():
        name = f"dir/{kind}.bin"

        assert storage.save(name, make(tmp_path)) == name

        assert s3.raw_get(name) == expected, kind
        assert mirrored(s3)[name] == expected, kind
        with storage.open(name) as file:
            assert file.read() == expected, kind

    assert len(s3.raw_list()) == len(mirrored(s3)) == len(CONTENTS)
    assert_spools_are_gone(s3)


@pytest.mark.parametrize("rig", ["s3-moto"], indirect=True)
@pytest.mark.parametrize("buffering", [0, 4096])
def test_a_pipe_is_saved_from_where_it_stands(rig: Rig, buffering: int) -> None:
    storage = rig.storage()

    with pipe_of(b"spent" + LARGE, buffering=buffering) as pipe:
        assert pipe.read(5) == b"spent"
        storage.save("a.bin", File(pipe))

    assert rig.raw_all() == mirrored(rig) == {"a.bin": LARGE}


@pytest.mark.parametrize("rig", ["s3-moto"], indirect=True)
def test_a_stream_that_has_nothing_yet_is_not_taken_for_its_end(rig: Rig) -> None:
    storage = rig.storage()
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(b"the beginning")
        ours.setblocking(False)
        with ours.makefile("rb", buffering=0) as stream, pytest.raises(BlockingIOError):
            storage.save("a.bin", File(stream))

    assert rig.raw_list() == []
    assert mirrored(rig) == {}


@pytest.mark.parametrize("rig", ["s3-moto"], indirect=True)
def test_a_closed_file_is_closed_again(rig: Rig, tmp_path: Path) -> None:
    content = closed_file(tmp_path)

    rig.storage().save("a.bin", content)

    assert content.closed
    assert (tmp_path / "source").read_bytes() == LARGE


@pytest.mark.parametrize("rig", ["s3-moto"], indirect=True)
def test_text_that_is_no_text_leaves_both_halves_alone(rig: Rig) -> None:
    with pytest.raises(UnicodeEncodeError):
        rig.storage().save("a.txt", ContentFile("half a pair: \ud800"))

    assert rig.raw_list() == []
    assert mirrored(rig) == {}
    assert_spools_are_gone(rig)


def test_the_content_type_reaches_the_remote(s3: Rig) -> None:
    storage = s3.storage()
    storage.save("upload.dat", SimpleUploadedFile("x", b"data", "application/x-test"))
    storage.save("a.css", ContentFile(b"a{}"))
    storage.save("b.bin", ContentFile(b"b"))

    assert s3.raw_head("upload.dat").content_type == "application/x-test"
    assert s3.raw_head("a.css").content_type == "text/css"
    assert s3.raw_head("b.bin").content_type == "application/octet-stream"


def test_a_small_file_costs_one_request(s3: Rig) -> None:
    storage = s3.storage()

    with s3.wire.recording() as seen:
        storage.save("a.txt", ContentFile(b"a"))

    assert seen.counts() == {"PUT": 1}


@pytest.mark.parametrize("rig", ["s3-moto"], indirect=True)
def test_a_large_file_goes_in_parts(rig: Rig) -> None:
    content = LARGE * 40

    rig.storage().save("a.bin", ContentFile(content))

    assert rig.raw_get("a.bin") == mirrored(rig)["a.bin"] == content
    assert len(rig.wire.requests.of("PUT")) > 1


def test_compression_on_the_remote_leaves_plain_bytes_in_the_mirror(s3: Rig) -> None:
    storage = s3.storage(gzip=True)
    storage.save("a.css", ContentFile(b"a{}" * 1000))

    assert gzip.decompress(s3.raw_get("a.css")) == b"a{}" * 1000
    assert s3.raw_head("a.css").content_encoding == "gzip"
    assert mirrored(s3) == {"a.css": b"a{}" * 1000}

    os.unlink(s3.mirror / "a.css")
    with storage.open("a.css") as fetched:
        assert fetched.read() == b"a{}" * 1000
    assert mirrored(s3) == {"a.css": b"a{}" * 1000}
    assert storage.size("a.css") == 3000


def test_a_location_is_of_the_remote_alone(s3: Rig) -> None:
    storage = s3.storage(location="media/files")

    assert storage.save("a.txt", ContentFile(b"a")) == "a.txt"

    assert s3.raw_all() == {"media/files/a.txt": b"a"}
    assert mirrored(s3) == {"a.txt": b"a"}


# Names


def test_max_length_shortens_the_name_of_both_halves(s3: Rig) -> None:
    name = s3.storage().save("dir/" + "n" * 60 + ".txt", ContentFile(b"a"), max_length=30)

    assert len(name) <= 30
    assert name.startswith("dir/n")
    assert name.endswith(".txt")
    assert s3.raw_all() == mirrored(s3) == {name: b"a"}


def test_without_overwriting_both_halves_go_under_the_new_name(s3: Rig) -> None:
    storage = s3.storage(file_overwrite=False)
    first = storage.save("a.txt", ContentFile(b"first"))
    second = storage.save("a.txt", ContentFile(b"second"))

    assert first == "a.txt"
    assert second != first
    assert s3.raw_all() == mirrored(s3) == {first: b"first", second: b"second"}


def test_the_remote_decides_whether_a_name_is_free(s3: Rig) -> None:
    s3.raw_put("a.txt", b"somebody else's")

    name = s3.storage(file_overwrite=False).save("a.txt", ContentFile(b"mine"))

    assert name != "a.txt"
    assert s3.raw_all() == {"a.txt": b"somebody else's", name: b"mine"}
    assert mirrored(s3) == {name: b"mine"}


def test_saving_again_replaces_both_halves(s3: Rig) -> None:
    storage = s3.storage()
    storage.save("a.txt", ContentFile(b"first"))
    storage.save("a.txt", ContentFile(b"second"))

    assert s3.raw_all() == mirrored(s3) == {"a.txt": b"second"}


def test_a_backslash_is_one_name_in_both_halves(s3: Rig) -> None:
    assert s3.storage().save("dir\\a.txt", ContentFile(b"a")) == "dir/a.txt"

    assert s3.raw_all() == mirrored(s3) == {"dir/a.txt": b"a"}


def test_deleting_deletes_both_halves(s3: Rig) -> None:
    storage = s3.storage()
    storage.save("a.txt", ContentFile(b"a"))
    storage.save("b.txt", ContentFile(b"b"))

    storage.delete("a.txt")
    storage.delete("never-there.txt")

    assert s3.raw_all() == mirrored(s3) == {"b.txt": b"b"}
    assert not storage.exists("a.txt")


# The remote refuses


def test_a_refusal_leaves_the_mirror_as_it_was(s3: Rig) -> None:
    storage = s3.storage()
    storage.save("dir/a.txt", ContentFile(b"old"))
    s3.wire.fail(403, code="AccessDenied", method="PUT")

    for name in ("dir/a.txt", "new/deep/b.txt"):
        with pytest.raises(ClientError) as refused:
            storage.save(name, ContentFile(b"new"))
        assert refused.value.response["Error"]["Code"] == "AccessDenied"

    assert mirrored(s3) == {"dir/a.txt": b"old"}
    assert directories(s3) == ["dir"]
    assert_spools_are_gone(s3)


def test_what_a_lost_answer_has_left_behind_is_found_out(s3: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    storage = s3.storage(mirror_max_age=None)
    storage.save("a.txt", ContentFile(b"old"))
    s3.wire.add(Rule("lose", method="PUT"))

    with pytest.raises(BotoCoreError):
        storage.save("a.txt", ContentFile(b"new"))

    assert s3.raw_get("a.txt") == b"new"
    with storage.open("a.txt") as file:
        assert file.read() == b"new"


def test_a_refused_delete_leaves_the_mirror_as_it_was(s3: Rig) -> None:
    storage = s3.storage()
    storage.save("a.txt", ContentFile(b"a"))
    s3.wire.fail(403, code="AccessDenied", method="DELETE")

    with pytest.raises(ClientError):
        storage.delete("a.txt")

    assert s3.raw_all() == mirrored(s3) == {"a.txt": b"a"}


# What the mirror holds


def test_a_link_in_the_mirror_is_replaced_and_not_written_through(s3: Rig, tmp_path: Path) -> None:
    source = tmp_path / "source.css"
    source.write_bytes(b"source")
    s3.mirror.mkdir()
    (s3.mirror / "a.css").symlink_to(source)

    s3.storage().save("a.css", ContentFile(b"new"))

    assert source.read_bytes() == b"source"
    assert not (s3.mirror / "a.css").is_symlink()
    assert s3.raw_all() == mirrored(s3) == {"a.css": b"new"}


def test_a_linked_directory_leads_nowhere_outside(s3: Rig, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.txt").write_bytes(b"secret")
    s3.mirror.mkdir()
    (s3.mirror / "dir").symlink_to(outside)
    storage = s3.storage()

    for call in (
        lambda: storage.save("dir/a.txt", ContentFile(b"new")),
        lambda: storage.open("dir/secret.txt"),
        lambda: storage.delete("dir/secret.txt"),
        lambda: storage.path("dir/secret.txt"),
        lambda: storage.size("dir/secret.txt"),
    ):
        with pytest.raises(SuspiciousFileOperation):
            call()

    assert [path.name for path in outside.iterdir()] == ["secret.txt"]
    assert s3.raw_list() == []


@pytest.mark.parametrize("rig", ["s3-moto"], indirect=True)
def test_the_root_of_the_mirror_may_be_a_link(rig: Rig, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    rig.mirror.symlink_to(tmp_path / "elsewhere")

    rig.storage().save("dir/a.txt", ContentFile(b"a"))

    assert (tmp_path / "elsewhere" / "dir" / "a.txt").read_bytes() == b"a"


@pytest.mark.parametrize("rig", ["s3-moto"], indirect=True)
@pytest.mark.parametrize(("files", "folders"), [(0o640, 0o750), (None, None), (0o666, 0o777)])
def test_modes_follow_the_settings(rig: Rig, files: int | None, folders: int | None) -> None:
    umask = os.umask(0o027)
    try:
        with override_settings(FILE_UPLOAD_PERMISSIONS=files, FILE_UPLOAD_DIRECTORY_PERMISSIONS=folders):
            rig.storage().save("dir/deep/a.txt", ContentFile(b"a"))
    finally:
        os.umask(umask)

    expected = (0o640, 0o750) if files is None else (files, folders)
    assert stat.S_IMODE((rig.mirror / "dir/deep/a.txt").stat().st_mode) == expected[0]
    for folder in ("dir", "dir/deep"):
        assert stat.S_IMODE((rig.mirror / folder).stat().st_mode) == expected[1]


@pytest.mark.parametrize("rig", ["s3-moto"], indirect=True)
@pytest.mark.parametrize(("there", "wanted"), [("a", "a/b.txt"), ("a/b.txt", "a")])
def test_a_file_where_a_directory_would_have_to_be(rig: Rig, there: str, wanted: str) -> None:
    storage = rig.storage()
    storage.save(there, ContentFile(b"there"))

    with pytest.raises(OSError, match="directory|Not a directory"):
        storage.save(wanted, ContentFile(b"wanted"))

    assert rig.raw_all() == mirrored(rig) == {there: b"there"}


@pytest.mark.parametrize("rig", ["s3-moto"], indirect=True)
def test_directories_that_deleted_files_have_left_are_no_obstacle(rig: Rig) -> None:
    storage = rig.storage()
    storage.save("a/b/c.txt", ContentFile(b"c"))
    storage.delete("a/b/c.txt")

    storage.save("a", ContentFile(b"a"))

    assert rig.raw_all() == mirrored(rig) == {"a": b"a"}


# open() for writing


def write_and_close(storage: Any, mode: str, data: Any, name: str = "a.txt") -> None:
    with storage.open(name, mode) as file:
        file.write(data)


MODES: list[tuple[str, Any, bytes]] = [
    ("wb", b"new", b"new"),
    ("w", "ü\r\n", "ü\r\n".encode()),
    ("wb+", b"new", b"new"),
    ("ab", b"+", b"older+"),
    ("a", "ü", "olderü".encode()),
    ("ab+", b"+", b"older+"),
    ("rb+", b"new", b"newer"),
    ("r+", "new", b"newer"),
]


def test_every_mode_writes_both_halves(s3: Rig) -> None:
    storage = s3.storage()
    for mode, data, expected in MODES:
        storage.save("a.txt", ContentFile(b"older"))

        write_and_close(storage, mode, data)

        assert s3.raw_all() == mirrored(s3) == {"a.txt": expected}, mode
    assert_spools_are_gone(s3)


@pytest.mark.parametrize("rig", ["s3-moto"], indirect=True)
def test_what_a_mode_cannot_do_is_an_error(rig: Rig) -> None:
    storage = rig.storage()
    with pytest.raises(FileNotFoundError):
        storage.open("a.txt", "rb+")
    write_and_close(storage, "xb", b"new")
    with pytest.raises(FileExistsError):
        storage.open("a.txt", "xb")
    with pytest.raises(ValueError, match="mode"):
        storage.open("a.txt", "wq")

    assert rig.raw_all() == mirrored(rig) == {"a.txt": b"new"}
    assert_spools_are_gone(rig)


@pytest.mark.parametrize("rig", ["s3-moto"], indirect=True)
def test_a_file_open_for_writing_can_be_read_and_is_there_once_closed(rig: Rig) -> None:
    storage = rig.storage()
    with storage.open("dir/a.txt", "wb+") as file:
        file.write(b"one two")
        file.seek(4)
        assert file.read() == b"two"
        assert file.size == 7
        assert rig.raw_list() == []
        assert mirrored(rig) == {}

    assert file.closed
    assert rig.raw_all() == mirrored(rig) == {"dir/a.txt": b"one two"}


def test_a_writer_that_raises_changes_nothing(s3: Rig) -> None:
    storage = s3.storage()
    storage.save("a.txt", ContentFile(b"old"))

    with pytest.raises(ZeroDivisionError):
        with storage.open("a.txt", "wb") as file:
            file.write(b"new")
            raise ZeroDivisionError

    assert s3.raw_all() == mirrored(s3) == {"a.txt": b"old"}
    assert_spools_are_gone(s3)


def test_a_refusal_at_close_reaches_the_writer(s3: Rig) -> None:
    storage = s3.storage()
    storage.save("a.txt", ContentFile(b"old"))
    s3.wire.fail(403, code="AccessDenied", method="PUT")

    with pytest.raises(ClientError):
        write_and_close(storage, "wb", b"new")

    assert s3.raw_all() == mirrored(s3) == {"a.txt": b"old"}
    assert_spools_are_gone(s3)


# Threads and processes


def test_sixteen_threads_share_one_storage(s3: Rig) -> None:
    storage = s3.storage()
    contents = {f"{number % 5}/{number}.txt": f"content {number}".encode() for number in range(64)}

    def save_and_read(name: str) -> bytes:
        assert storage.save(name, ContentFile(contents[name])) == name
        with storage.open(name) as file:
            return bytes(file.read())

    with ThreadPoolExecutor(16) as pool:
        read = dict(zip(contents, pool.map(save_and_read, contents), strict=True))

    assert read == contents
    assert s3.raw_all() == mirrored(s3) == contents


def test_sixteen_threads_save_one_name(s3: Rig) -> None:
    storage = s3.storage()
    contents = [f"content {number}".encode() * 100 for number in range(16)]
    start = threading.Barrier(16)

    def save(content: bytes) -> None:
        start.wait(30)
        for _ in range(3):
            storage.save("a.txt", ContentFile(content))

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(save, contents))

    assert s3.raw_get("a.txt") == mirrored(s3)["a.txt"]
    assert s3.raw_get("a.txt") in contents


class AnswersLate(MirroredS3Storage):
    """A storage that learns late that the remote has taken its first upload."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.uploaded, self.overtaken = threading.Event(), threading.Event()

    def upload(self, name: str, file: Any, *, immutable: bool) -> Any:
        first = not self.uploaded.is_set()
        answer = super().upload(name, file, immutable=immutable)
        self.uploaded.set()
        if first:
            self.overtaken.wait(1)
        return answer


@pytest.mark.parametrize("rig", ["s3-moto"], indirect=True)
def test_whoever_saves_a_name_meanwhile_waits(rig: Rig) -> None:
    storage = AnswersLate(**rig.settings_for()["OPTIONS"])
    thread = threading.Thread(target=storage.save, args=("a.txt", ContentFile(b"first")))
    thread.start()
    storage.uploaded.wait(30)

    storage.save("a.txt", ContentFile(b"second"))
    storage.overtaken.set()
    thread.join()

    assert rig.raw_all() == mirrored(rig) == {"a.txt": b"second"}


def _save_often(options: dict[str, Any], letter: bytes, ready: Any) -> None:
    storage = MirroredS3Storage(**options)
    ready.wait(30)
    for number in range(15):
        storage.save("a.txt", ContentFile(letter * (1000 + number)))


@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_two_processes_that_save_one_name_end_alike(s3: Rig) -> None:
    context = multiprocessing.get_context("fork")
    ready = context.Barrier(2)
    options = s3.settings_for()["OPTIONS"]
    processes = [context.Process(target=_save_often, args=(options, letter, ready)) for letter in (b"a", b"b")]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)

    assert [process.exitcode for process in processes] == [0, 0]
    assert s3.raw_get("a.txt") == mirrored(s3)["a.txt"]


# The local half cannot be written


@pytest.mark.parametrize("rig", ["s3-moto"], indirect=True)
def test_a_mirror_that_cannot_be_written_refuses_before_the_remote_is_asked(rig: Rig) -> None:
    rig.mirror.write_bytes(b"a file where the directory should be")

    with pytest.raises(OSError, match="mirror"):
        rig.storage().save("a.txt", ContentFile(b"a"))

    assert rig.raw_list() == []


@pytest.mark.parametrize("rig", ["s3-moto"], indirect=True)
def test_with_log_the_remote_alone_is_written(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    rig.mirror.write_bytes(b"a file where the directory should be")

    assert rig.storage(mirror_on_error="log").save("a.txt", ContentFile(b"a")) == "a.txt"

    assert rig.raw_all() == {"a.txt": b"a"}
    assert str(rig.mirror) in caplog.text


@pytest.mark.parametrize("rig", ["s3-moto"], indirect=True)
def test_with_log_what_is_written_bit_by_bit_reaches_the_remote_too(rig: Rig, tmp_path: Path) -> None:
    content = os.urandom(250_000)
    with disk(tmp_path / "disk") as mount:
        rig.mirror = mount.root / "mirror"
        storage = rig.storage(mirror_on_error="log")
        storage.save("a.bin", ContentFile(b"old"))

        with mount.full(leaving=100_000):
            write_and_close(storage, "wb", content, "a.bin")
            assert rig.raw_get("a.bin") == content
            assert not (rig.mirror / "a.bin").exists()
            assert_spools_are_gone(rig)

        write_and_close(storage, "ab", b"more", "a.bin")
        assert rig.raw_get("a.bin") == mirrored(rig)["a.bin"] == content + b"more"


@pytest.mark.parametrize("rig", ["s3-moto"], indirect=True)
def test_a_name_that_the_file_system_cannot_hold_is_refused_before_the_remote_has_it(rig: Rig) -> None:
    storage = rig.storage()
    for name in (f"{'x' * 300}.txt", f"new/{'x' * 300}", f"{'x' * 300}/a.txt", f"new/{'ü' * 200}/a.txt"):
        with pytest.raises(OSError, match="File name too long"):
            storage.save(name, ContentFile(b"a"))
        with pytest.raises(OSError, match="File name too long"):
            write_and_close(storage, "wb", b"a", name)

    assert rig.raw_list() == []
    assert directories(rig) == []


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs the right to become somebody else")
@pytest.mark.parametrize("rig", ["s3-moto"], indirect=True)
def test_a_directory_of_somebody_else_is_refused_before_the_remote_has_the_file(rig: Rig) -> None:
    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o777)
        rig.mirror = Path(directory, "mirror")
        storage = rig.storage()
        with override_settings(FILE_UPLOAD_DIRECTORY_PERMISSIONS=0o777):
            storage.save("mine/a.txt", ContentFile(b"old"))
            storage.save("b.txt", ContentFile(b"old"))
        for path in rig.mirror.rglob("*"):
            path.chmod(0o777 if path.is_dir() else 0o666)
        rig.mirror.chmod(0o777)
        (rig.mirror / "mine").chmod(0o755)
        os.seteuid(65534)
        try:
            for name in ("mine/a.txt", "mine/new/a.txt"):
                with pytest.raises(PermissionError, match="mine"):
                    storage.save(name, ContentFile(b"new"))
            storage.save("b.txt", ContentFile(b"new"))
        finally:
            os.seteuid(0)

        assert rig.raw_all() == mirrored(rig) == {"mine/a.txt": b"old", "b.txt": b"new"}


@pytest.mark.parametrize("rig", ["s3-moto"], indirect=True)
def test_a_copy_that_could_not_be_replaced_is_not_trusted(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    storage = rig.storage(mirror_max_age=3600)
    storage.save("a.txt", ContentFile(b"old"))
    monkeypatch.setattr(os, "replace", mock.Mock(side_effect=OSError(errno.EIO, "Input/output error")))

    with pytest.raises(OSError, match="Input/output"):
        storage.save("a.txt", ContentFile(b"new"))
    monkeypatch.undo()

    assert storage.open("a.txt").read() == rig.raw_get("a.txt") == b"new"


@pytest.mark.parametrize("rig", ["s3-moto"], indirect=True)
def test_what_the_remote_has_lost_is_sent_again(rig: Rig) -> None:
    """A name with a digest is sent once only, until the remote is heard to have lost it."""
    storage = rig.storage()
    name = f"a.{hashlib.md5(b'a').hexdigest()[:12]}.txt"
    storage.save(name, ContentFile(b"a"))
    rig.raw_delete(name)

    assert not storage.exists(name)
    assert rig.storage().save(name, ContentFile(b"a")) == name

    assert rig.raw_all() == mirrored(rig) == {name: b"a"}


@pytest.mark.parametrize("rig", ["s3-moto"], indirect=True)
def test_what_the_mirror_keeps_for_itself_is_out_of_reach(rig: Rig, tmp_path: Path) -> None:
    storage = rig.storage()
    storage.save("a.txt", ContentFile(b"a"))
    (rig.mirror / "alias").symlink_to(".localmirror")
    with pytest.raises(SuspiciousFileOperation, match="alias"):
        storage.save("alias/index/a.json", ContentFile(b"a"))

    shutil.move(rig.mirror / ".localmirror", tmp_path / "outside")
    (rig.mirror / ".localmirror").symlink_to(tmp_path / "outside")
    before = sorted((tmp_path / "outside").rglob("*"))
    with pytest.raises(SuspiciousFileOperation, match=r"\.localmirror is a link"):
        rig.storage().save("b.txt", ContentFile(b"b"))

    assert rig.raw_list() == ["a.txt"]
    assert sorted((tmp_path / "outside").rglob("*")) == before


# As a part of Django


def test_a_pickled_storage_works(s3: Rig) -> None:
    storage = s3.storage("manifest")
    storage.save("a.txt", ContentFile(b"a"))

    copy = pickle.loads(pickle.dumps(storage))
    copy.save("b.txt", ContentFile(b"b"))

    assert s3.raw_all() == mirrored(s3) == {"a.txt": b"a", "b.txt": b"b"}


def test_a_file_field_keeps_its_storage_in_a_migration() -> None:
    storage = MirroredS3Storage(bucket_name="b", mirror_location="/srv/mirror", mirror_max_age=5)
    path, args, kwargs = storage.deconstruct()

    assert (path, args) == ("localmirror.backends.s3.MirroredS3Storage", ())
    assert kwargs == {"bucket_name": "b", "mirror_location": "/srv/mirror", "mirror_max_age": 5}

    written, imports = MigrationWriter.serialize(models.FileField(storage=storage))
    assert "localmirror.backends.s3.MirroredS3Storage(" in written
    scope: dict[str, Any] = {}
    exec("\n".join(imports), scope)  # as a migration does when it is loaded
    assert eval(written, scope).storage.deconstruct() == storage.deconstruct()


def test_a_file_field_saves_twice(s3: Rig) -> None:
    field = models.FileField(storage=s3.storage(), upload_to="docs", max_length=40)
    field.set_attributes_from_name("document")
    holder = type("Holder", (), {"document": ""})()
    file = field.attr_class(holder, field, "")

    file.save("x" * 60 + ".txt", ContentFile(b"a"), save=False)

    assert len(file.name) <= 40
    assert s3.raw_all() == mirrored(s3) == {file.name: b"a"}
    assert Path(file.path) == s3.mirror / file.name
    assert isinstance(file.storage, MirroredS3Storage)
    assert not isinstance(file.storage, FileSystemStorage)
