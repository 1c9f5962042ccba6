"""What is particular to remotes that a project names: how they are found, and what is mended in a few of them."""

from __future__ import annotations

import contextlib
import hashlib
import io
import pickle
import random
import re
import socket
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.files.base import ContentFile, File
from django.core.files.storage import Storage, storages
from django.db import models
from django.db.migrations.writer import MigrationWriter
from django.test import override_settings
from django.utils.module_loading import import_string
from storages.backends.ftp import FTPStorage
from storages.backends.sftpstorage import SFTPStorage

from localmirror import LocalMirrorMixin, StaticMirrorMixin
from localmirror.backends.generic import MirroredStaticStorage, MirroredStorage
from localmirror.checks import check_mirrored_storages
from localmirror.conf import DEFAULT_WORKERS
from localmirror.exceptions import PublishError

from ..corpus import Project
from ..rigs import GenericFtpRig, GenericSftpRig, Rig, prepared
from ..servers.ftp import PASSWORD, Ftp
from ..servers.plain_sftp import PASSWORD as SFTP_PASSWORD
from ..servers.plain_sftp import USER, PlainSftp
from .helpers import forked, import_without, mirrored

LARGE = random.Random(20).randbytes(20_000_001)

RIGS = ["generic-filesystem", "generic-memory", "generic-sftp", "generic-ftp"]
FILE_SERVERS = RIGS[2:]


def on(*names: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("rig", names, indirect=True)


def on_disk(directory: Path, **options: Any) -> dict[str, Any]:
    """Return an entry for a remote in a directory."""
    return {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"location": str(directory / "remote"), "base_url": "/remote/", **options},
    }


def temporary_files(directory: Path) -> list[Path]:
    return [path for path in directory.rglob("*") if path.suffix == ".tmp"]


@on(*RIGS)
class TestEveryRemote:
    CONTENTS = {
        "empty.txt": b"",
        "dir/lines.txt": b"\n" * 300_000,
        "пример/☃ %23#?+&'!.txt": "снег\n".encode(),
        "two  spaces and -> arrow.txt": b"x",
        ".well-known/x": b"x",
        "large.bin": LARGE,
    }

    def test_there_and_back(self, rig: Rig) -> None:
        storage = rig.storage("static")
        for name, content in self.CONTENTS.items():
            assert storage.save(name, ContentFile(content)) == name
        assert rig.raw_all() == self.CONTENTS
        listed = {file.name: file for file in storage.remote_files()}
        assert {name: file.size for name, file in listed.items()} == {n: len(c) for n, c in self.CONTENTS.items()}
        assert all(storage.remote_file(name).fingerprint == file.fingerprint for name, file in listed.items())
        fresh = rig.storage("static", mirror_location=str(rig.directory / "fresh"))
        for name, content in self.CONTENTS.items():
            with fresh.open(name) as file:
                assert file.read() == content

    @pytest.mark.parametrize("role", ["media", "static", "compressor"])
    def test_a_file_that_is_opened_for_writing_replaces_what_is_there(self, rig: Rig, role: str) -> None:
        storage = rig.storage(role)
        for content in (b"long long", b"short", b""):
            with storage.open("dir/a.txt", "wb") as file:
                file.write(content)
            assert rig.raw_all() == mirrored(rig) == {"dir/a.txt": content}

    def test_names_that_are_taken(self, rig: Rig) -> None:
        media, static = rig.storage("media"), rig.storage("static")
        for storage in (media, static):
            storage.save("a.txt", ContentFile(b"1"))
        assert static.save("a.txt", ContentFile(b"2")) == "a.txt"
        taken = media.save("a.txt", ContentFile(b"3"))
        overwrites = rig.name == "generic-filesystem"  # the rig's remote has allow_overwrite
        assert (taken == "a.txt") == overwrites
        assert rig.raw_get(taken) == b"3"

    def test_threads(self, rig: Rig) -> None:
        storage = rig.storage("static")
        contents = {f"dir-{n % 4}/{n}.txt": bytes([n]) * (n * 1000) for n in range(48)}
        rig.raw_put("one.bin", LARGE[:1_000_000])

        def there_and_back(item: tuple[str, bytes]) -> bool:
            name, content = item
            storage.save(name, ContentFile(content))
            target, shared = io.BytesIO(), io.BytesIO()
            told = storage.download(name, target)
            storage.download("one.bin", shared)
            assert len(list(storage.remote_files("dir-0/"))) <= 12
            return told.size == len(content) and target.getvalue() == content and len(shared.getvalue()) == 1_000_000

        with ThreadPoolExecutor(8) as pool:
            assert all(pool.map(there_and_back, contents.items()))
        assert rig.raw_all() == {**contents, "one.bin": LARGE[:1_000_000]}

    def test_a_missing_file_is_told_with_the_place_and_the_class_that_the_project_has_named(self, rig: Any) -> None:
        with pytest.raises(
            FileNotFoundError, match=rf"'b.txt' does not exist in {rig.plain_backend.rpartition('.')[2]} "
        ):
            rig.storage().open("b.txt")

    def test_a_missing_file(self, rig: Rig) -> None:
        rig.raw_put("dir/a.txt", b"x")
        storage = rig.storage()
        for name in ("b.txt", "dir", "no/b.txt", "dir/a.txt/b"):
            for ask in (storage.open, storage.size, storage.get_modified_time):
                with pytest.raises(FileNotFoundError):
                    ask(name)
            assert not storage.exists(name)
            assert storage.remote_file(name) is None
            storage.delete(name)
        assert rig.raw_list() == ["dir/a.txt"]

    def test_pickles_and_forks(self, rig: Rig) -> None:
        storage = rig.storage("static")
        storage.save("before.txt", ContentFile(b"before"))
        copied = pickle.loads(pickle.dumps(storage))
        assert copied.remote_file("before.txt") == storage.remote_file("before.txt")

        def use() -> None:
            for number in range(5):
                storage.save(f"child-{number}.txt", ContentFile(b"child"))
                assert storage.remote_file("before.txt").size == 6

        assert forked(use) == 0
        storage.save("after.txt", ContentFile(b"after"))
        assert storage.remote_file("before.txt").size == 6
        assert len(rig.raw_list()) == (7 if rig.processes else 2)

    def test_how_many_work_at_a_time(self, rig: Rig) -> None:
        expected = 1 if rig.name in FILE_SERVERS else DEFAULT_WORKERS
        assert rig.storage("static").mirror_workers == expected
        assert rig.storage("static", mirror_workers=3).mirror_workers == 3
        few = type("Few", (import_string(rig.backend("static")),), {"mirror_workers": 2})
        assert few(**rig.settings_for("static")["OPTIONS"]).mirror_workers == 2

    def test_a_failed_upload_leaves_the_old_release_live(self, rig: Any, tmp_path: Path) -> None:
        project = Project.make(tmp_path, rig)
        project.call("collectstatic", interactive=False)
        live = rig.raw_get("staticfiles.json")
        content = project.corpus.change("js/lib/util.js")
        name = f"js/lib/util.{hashlib.md5(content).hexdigest()[:12]}.js"
        rig.raw_put(f"{name}/in the way", b"x")
        with pytest.raises(Exception, match="1 of 30 files could not be uploaded"):
            project.call("collectstatic", interactive=False)
        assert rig.raw_get("staticfiles.json") == live
        rig.raw_delete(f"{name}/in the way")
        if rig.processes:
            (rig.root / name).rmdir()
        else:
            rig.raw_delete(name)
        project.call("collectstatic", interactive=False)
        assert rig.raw_get(name) == content
        assert re.search(r"\b0 uploaded", project.call("collectstatic", interactive=False))
        assert not any(file.endswith(".tmp") for file in rig.raw_list())


class TestNaming:
    def test_an_alias_is_the_storage_that_the_project_uses(self, tmp_path: Path) -> None:
        entry = {"BACKEND": "django.core.files.storage.InMemoryStorage", "OPTIONS": {"location": "/m"}}
        with override_settings(STORAGES={"archive": entry}):
            storage = MirroredStorage(remote="archive", mirror_location=str(tmp_path))
            storage.save("a.txt", ContentFile(b"a"))
            assert storages["archive"].open("a.txt").read() == b"a"
            assert storage.inner is storages["archive"]

    def test_as_an_attribute_of_a_class(self, tmp_path: Path) -> None:
        class Archive(MirroredStorage):
            remote = on_disk(tmp_path)

        storage = Archive(mirror_location=str(tmp_path / "mirror"))
        storage.save("a.txt", ContentFile(b"a"))
        assert (tmp_path / "remote" / "a.txt").read_bytes() == b"a"

    @pytest.mark.parametrize(
        ("remote", "said"),
        [
            (None, "must be an alias of STORAGES, or"),
            ({"OPTIONS": {}}, "must be an alias of STORAGES, or"),
            ({"BACKEND": "x.Y", "location": "/"}, "must be an alias of STORAGES, or"),
            ("nowhere", "The option 'remote' is 'nowhere', but STORAGES has only 'me', 'you', 'plain', 'hashed'."),
            ("me", "The remote of a mirror is the mirror itself: me → me."),
            ("you", "The remote of a mirror is the mirror itself: you → me → me."),
            ("mirrored", "is a mirrored storage itself: name the storage that it mirrors"),
            ("hashed", "gives files hashed names"),
            ({"BACKEND": "nowhere.Storage"}, "The remote 'nowhere.Storage' cannot be imported"),
        ],
    )
    def test_mistakes(self, tmp_path: Path, remote: Any, said: str) -> None:
        ours = "localmirror.backends.generic.MirroredStorage"
        entries = {
            "me": {"BACKEND": ours, "OPTIONS": {"remote": "me"}},
            "you": {"BACKEND": ours, "OPTIONS": {"remote": "me"}},
            "plain": {"BACKEND": "django.core.files.storage.InMemoryStorage"},
            "hashed": {"BACKEND": "django.contrib.staticfiles.storage.ManifestStaticFilesStorage"},
        }
        if remote == "mirrored":
            entries["mirrored"] = {"BACKEND": ours, "OPTIONS": {"remote": "plain"}}
        with override_settings(STORAGES=entries), pytest.raises(ImproperlyConfigured) as caught:
            MirroredStorage(remote=remote, mirror_location=str(tmp_path))
        assert said in str(caught.value)

    def test_options_of_the_remote_in_the_wrong_place(self, tmp_path: Path) -> None:
        with pytest.raises(ImproperlyConfigured, match="no option 'base_url': options of the remote belong to"):
            MirroredStorage(remote=on_disk(tmp_path), mirror_location=str(tmp_path / "m"), base_url="/")

    @pytest.mark.parametrize("place", ["remote", "remote/mirror", "."])
    def test_a_mirror_that_overlaps_its_remote(self, tmp_path: Path, place: str) -> None:
        with pytest.raises(ImproperlyConfigured, match="must be two directories, neither inside the other"):
            MirroredStorage(remote=on_disk(tmp_path), mirror_location=str(tmp_path / place))

    def test_a_mirror_beside_its_remote(self, tmp_path: Path) -> None:
        MirroredStorage(remote=on_disk(tmp_path), mirror_location=str(tmp_path / "remote-mirror"))

    def test_the_default_of_both_is_one_directory(self, tmp_path: Path) -> None:
        entry = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
        with override_settings(STATIC_ROOT=str(tmp_path)), pytest.raises(ImproperlyConfigured, match="two directories"):
            MirroredStaticStorage(remote=entry)

    def test_a_mistake_is_found_by_the_checks(self, tmp_path: Path) -> None:
        entry = {
            "BACKEND": "localmirror.backends.generic.MirroredStorage",
            "OPTIONS": {"remote": "default", "mirror_location": str(tmp_path)},
        }
        with override_settings(STORAGES={"default": entry}):
            (found,) = check_mirrored_storages(None)
        assert found.id == "localmirror.E005"
        assert "default → default" in found.msg

    def test_a_field_in_a_migration(self, tmp_path: Path) -> None:
        storage = MirroredStorage(remote=on_disk(tmp_path), mirror_location=str(tmp_path / "mirror"))
        written, imports = MigrationWriter.serialize(models.FileField(storage=storage))
        assert "localmirror.backends.generic.MirroredStorage(" in written
        assert "'BACKEND': 'django.core.files.storage.FileSystemStorage'" in written
        assert "import localmirror.backends.generic" in imports

    def test_two_places_are_two_remotes(self, tmp_path: Path) -> None:
        mirror = str(tmp_path / "mirror")
        here = MirroredStorage(remote=on_disk(tmp_path), mirror_location=mirror)
        there = MirroredStorage(remote=on_disk(tmp_path / "other"), mirror_location=mirror)
        with override_settings(STORAGES={"here": on_disk(tmp_path)}):
            aliased = MirroredStorage(remote="here", mirror_location=mirror)
            assert aliased.remote_identity() == here.remote_identity() != there.remote_identity()

    def test_what_is_said_of_names_is_the_remotes(self, tmp_path: Path) -> None:
        entry = {"BACKEND": f"{__name__}.Particular", "OPTIONS": {}}
        storage = MirroredStorage(remote=entry, mirror_location=str(tmp_path))
        assert storage.get_valid_name("a b") == "A B"
        assert storage.generate_filename("dir/a") == "dir/a!"
        assert storage.url("a b") == "particular:a b"
        assert storage.save("a", ContentFile(b"1")) == "a"
        assert storage.save("a", ContentFile(b"2")) == "a+"

    @pytest.mark.parametrize(
        ("package", "module", "name", "extra"),
        [
            ("paramiko", "sftpstorage", "SFTPStorage", "sftp"),
            ("libcloud", "apache_libcloud", "LibCloudStorage", "libcloud"),
        ],
    )
    def test_what_the_remote_lacks_is_told_with_the_command_that_installs_it(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, package: str, module: str, name: str, extra: str
    ) -> None:
        for loaded in [*sys.modules]:
            if loaded.startswith((package, f"storages.backends.{module}")):
                monkeypatch.delitem(sys.modules, loaded)
        monkeypatch.setitem(sys.modules, package, None)
        with pytest.raises(ImproperlyConfigured, match=rf'pip install "django-localmirror\[{extra}\]"'):
            MirroredStorage(remote={"BACKEND": f"storages.backends.{module}.{name}"}, mirror_location=str(tmp_path))

    @on("generic-sftp")
    def test_an_alias_of_what_is_mended_is_the_same_place_in_a_storage_of_its_own(self, rig: Rig) -> None:
        with override_settings(STORAGES={"archive": rig.plain_settings()}):
            storage = MirroredStorage(remote="archive", mirror_location=str(rig.mirror))
            storage.save("a.txt", ContentFile(b"a"))
            assert storages["archive"].exists("a.txt")
            assert storage.inner is not storages["archive"]

    def test_no_extra_is_needed(self) -> None:
        for package in ("paramiko", "libcloud", "boto3"):
            assert import_without(package, "localmirror.backends.generic") == ""


class Particular(Storage):
    """A storage with nothing but Django's API, and habits of its own."""

    def __init__(self, **options: Any) -> None:
        self.files: dict[str, bytes] = {}

    def _open(self, name: str, mode: str = "rb") -> File[bytes]:
        return ContentFile(self.files[name], name)

    def _save(self, name: str, content: File[bytes]) -> str:
        while name in self.files:
            name += "+"
        self.files[name] = content.read()
        return name

    def get_available_name(self, name: str, max_length: int | None = None) -> str:
        return name

    def get_valid_name(self, name: str) -> str:
        return name.upper()

    def generate_filename(self, filename: Any) -> str:
        return f"{filename}!"

    def exists(self, name: str) -> bool:
        return name in self.files

    def size(self, name: str) -> int:
        return len(self.files.get(name) or b"") or -1

    def delete(self, name: str) -> None:
        del self.files[name]

    def listdir(self, path: str) -> tuple[list[str], list[str]]:
        return [], [name for name in self.files if not path]

    def url(self, name: str | None) -> str:
        return f"particular:{name}"


class TestUnknownStorages:
    def mirrored(self, directory: Path, cls: type[MirroredStorage] = MirroredStorage) -> Any:
        return cls(remote={"BACKEND": f"{__name__}.Particular"}, mirror_location=str(directory))

    def test_a_missing_file_whatever_the_storage_says(self, tmp_path: Path) -> None:
        storage = self.mirrored(tmp_path)
        for ask in (storage.open, storage.size, storage.get_modified_time):
            with pytest.raises(FileNotFoundError):
                ask("a")
        storage.delete("a")
        assert storage.remote_file("a") is None

    def test_what_it_does_not_tell(self, tmp_path: Path) -> None:
        storage = self.mirrored(tmp_path)
        storage.inner.files["a"] = b"abc"
        with pytest.raises(NotImplementedError):
            storage.inner.get_modified_time("a")
        assert [(file.name, file.size, file.fingerprint) for file in storage.remote_files()] == [("a", 3, None)]
        assert storage.open("a").read() == b"abc"

    def test_static_files_need_a_remote_that_overwrites(self, tmp_path: Path) -> None:
        from localmirror.publish import Publish

        storage = self.mirrored(tmp_path / "mirror", MirroredStaticStorage)
        storage.inner.files["a"] = b"old"
        with storage.staging() as staging:
            storage.save("a", ContentFile(b"newer"))
            staging.found("a")
            release = staging.release()
            staging.commit(release)
        (result,) = Publish(storage).results(release)
        assert result.status == "failed"
        assert "stored 'a' as 'a+': configure it to overwrite existing files" in str(result.error)
        assert storage.inner.files == {"a": b"old"}
        assert issubclass(PublishError, OSError)

    def test_its_options_tell_where_it_is(self, tmp_path: Path) -> None:
        def identity(**options: Any) -> str:
            entry = {"BACKEND": f"{__name__}.Particular", "OPTIONS": options}
            return MirroredStorage(remote=entry, mirror_location=str(tmp_path)).remote_identity()

        assert identity(shelf=1, token="secret") == identity(shelf=1, token="changed") != identity(shelf=2)

    def test_credentials_are_in_no_message(self, tmp_path: Path) -> None:
        options = {"params": {"password": "hush-hush"}, "api_token": "t0ken!", "url": "https://me:s3cret@example.com/x"}
        storage = MirroredStorage(
            remote={"BACKEND": f"{__name__}.Particular", "OPTIONS": options}, mirror_location=str(tmp_path)
        )
        said = storage.describe_error(OSError("hush-hush t0ken! https://me:s3cret@example.com/x"))
        assert said == "OSError: *** *** https://example.com/x"
        assert storage.describe_remote() == "Particular (url=https://example.com/x)"


def test_libclouds_storage_is_mended_here_as_well(tmp_path: Path) -> None:
    def storage(place: str, mirror: str) -> MirroredStaticStorage:
        (tmp_path / place / "bucket").mkdir(parents=True, exist_ok=True)
        options = {"type": "LOCAL", "user": str(tmp_path / place), "bucket": "bucket"}
        entry = {"BACKEND": "storages.backends.apache_libcloud.LibCloudStorage", "OPTIONS": options}
        return MirroredStaticStorage(remote=entry, mirror_location=str(tmp_path / mirror))

    for name, content in (("large.bin", LARGE), ("empty.txt", b"1"), ("empty.txt", b"")):
        storage("one", "mirror").save(name, ContentFile(content))
    fresh = storage("one", "fresh")
    assert [fresh.open(name).read() for name in ("large.bin", "empty.txt")] == [LARGE, b""]
    assert not fresh.exists("nope")
    assert fresh.remote_identity() != storage("two", "fresh").remote_identity()


class TestOnDisk:
    @pytest.fixture(params=[False, True])
    def storage(self, request: pytest.FixtureRequest, tmp_path: Path) -> Any:
        remote = on_disk(tmp_path, allow_overwrite=request.param)
        return MirroredStaticStorage(remote=remote, mirror_location=str(tmp_path / "mirror"))

    def test_a_reader_sees_the_old_file_or_the_new_one(self, storage: Any, tmp_path: Path) -> None:
        path = tmp_path / "remote" / "dir" / "a.bin"
        old, new = b"o" * 3_000_000, b"n" * 3_000_000
        storage.save("dir/a.bin", ContentFile(old))
        seen = set()
        done = threading.Event()

        def read() -> None:
            while not done.is_set():
                seen.add(path.read_bytes())

        reader = threading.Thread(target=read)
        reader.start()
        try:
            for content in (new, old) * 5:
                storage.save("dir/a.bin", ContentFile(content))
        finally:
            done.set()
            reader.join(10)
        assert seen <= {old, new}
        assert temporary_files(tmp_path) == []

    def test_a_link_is_replaced_and_not_written_through(self, storage: Any, tmp_path: Path) -> None:
        source = tmp_path / "source.css"
        source.write_bytes(b"source")
        (tmp_path / "remote").mkdir()
        (tmp_path / "remote" / "a.css").symlink_to(source)
        storage.save("a.css", ContentFile(b"saved"))
        assert source.read_bytes() == b"source"
        assert (tmp_path / "remote" / "a.css").read_bytes() == b"saved"
        assert not (tmp_path / "remote" / "a.css").is_symlink()

    def test_a_failure_leaves_nothing(self, storage: Any, tmp_path: Path) -> None:
        (tmp_path / "remote" / "taken" / "dir").mkdir(parents=True)
        with pytest.raises(OSError):
            storage.save("taken", ContentFile(b"x"))
        assert temporary_files(tmp_path) == []
        assert not (tmp_path / "mirror" / "taken").exists()

    def test_modes_are_those_of_the_remote(self, tmp_path: Path) -> None:
        remote = on_disk(tmp_path, file_permissions_mode=0o640, directory_permissions_mode=0o750)
        storage = MirroredStaticStorage(remote=remote, mirror_location=str(tmp_path / "mirror"))
        storage.save("dir/a.css", ContentFile(b"a"))
        assert (tmp_path / "remote" / "dir" / "a.css").stat().st_mode & 0o777 == 0o640
        assert (tmp_path / "remote" / "dir").stat().st_mode & 0o777 == 0o750

    def test_two_who_find_the_same_name_free_both_keep_their_file(self, tmp_path: Path) -> None:
        storage = MirroredStorage(remote=on_disk(tmp_path), mirror_location=str(tmp_path / "mirror"))
        name = storage.get_available_name("a.txt")
        first, second = storage._save(name, ContentFile(b"1")), storage._save(name, ContentFile(b"2"))
        assert first != second
        for half in ("remote", "mirror"):
            assert [(tmp_path / half / saved).read_bytes() for saved in (first, second)] == [b"1", b"2"]

    def test_its_directories_are_never_deleted(self, tmp_path: Path) -> None:
        storage = MirroredStorage(remote=on_disk(tmp_path), mirror_location=str(tmp_path / "mirror"))
        (tmp_path / "remote" / "dir").mkdir(parents=True)
        storage.delete("dir")
        assert (tmp_path / "remote" / "dir").is_dir()


@on(*FILE_SERVERS)
class TestFileServers:
    def test_a_reader_never_finds_it_missing_or_in_part(self, rig: Any) -> None:
        storage = rig.storage("static")
        old, new = b"o" * 3_000_000, b"n" * 3_000_000
        storage.save("dir/a.bin", ContentFile(old))
        seen = set()
        done = threading.Event()

        def read() -> None:
            while not done.is_set():
                seen.add(rig.raw_get("dir/a.bin"))

        reader = threading.Thread(target=read)
        reader.start()
        try:
            for content in (new, old) * 3:
                storage.save("dir/a.bin", ContentFile(content))
        finally:
            done.set()
            reader.join(10)
        assert seen <= {old, new}
        assert rig.raw_list() == ["dir/a.bin"]

    def test_a_connection_that_is_gone_is_made_again(self, rig: Any) -> None:
        storage = rig.storage("static")
        storage.save("a.txt", ContentFile(b"a"))
        if rig.name == "generic-ftp":
            storage.inner._connection.sock.shutdown(socket.SHUT_RDWR)
        else:
            storage.inner._ssh.get_transport().sock.shutdown(socket.SHUT_RDWR)
        with contextlib.suppress(ConnectionError):  # it may take one call to notice
            storage.remote_file("a.txt")
        assert storage.remote_file("a.txt").size == 1
        if rig.name == "generic-sftp":
            storage.inner._sftp.close()
            with contextlib.suppress(OSError):
                storage.remote_file("a.txt")
            assert storage.remote_file("a.txt").size == 1
            storage.inner.close()
            assert storage.remote_file("a.txt").size == 1

    def test_nobody_there(self, rig: Any, caplog: pytest.LogCaptureFixture) -> None:
        storage = rig.storage("static", mirror_max_age=0)
        storage.save("a.txt", ContentFile(b"a"))
        with unreachable(storage):
            with storage.open("a.txt") as file:
                assert file.read() == b"a"
            with pytest.raises(ConnectionError) as caught:
                storage.save("b.txt", ContentFile(b"b"))
        assert "Serving 'a.txt' from the mirror" in caplog.text
        assert storage.is_fatal(caught.value)
        assert PASSWORD not in "".join(texts(caught.value))

    def test_urls(self, rig: Rig) -> None:
        assert rig.storage("static").url("grün/a b#c.css") == "/remote/gr%C3%BCn/a%20b%23c.css"

    def test_a_class_stacked_by_hand_is_mended_as_well(self, rig: Any) -> None:
        by_hand = SftpByHand if rig.name == "generic-sftp" else FtpByHand
        storage: Any = by_hand(mirror_location=str(rig.mirror), **rig.options())
        assert storage.mirror_workers == 1
        storage.save("dir/a b.txt", ContentFile(b"long"))
        with storage.open("dir/a b.txt", "wb") as file:
            file.write(b"")
        assert rig.raw_all() == {"dir/a b.txt": b""}
        assert [(file.name, file.size) for file in storage.remote_files()] == [("dir/a b.txt", 0)]
        with pytest.raises(FileNotFoundError):
            storage.open("b.txt")
        copied = pickle.loads(pickle.dumps(storage))
        assert copied.remote_file("dir/a b.txt") == storage.remote_file("dir/a b.txt")
        assert forked(lambda: copied.save("child.txt", ContentFile(b"child"))) == 0
        assert forked(lambda: storage.save("child.txt", ContentFile(b"child"))) == 0
        storage.save("parent.txt", ContentFile(b"parent"))
        assert rig.raw_get("child.txt") == b"child"
        assert PASSWORD not in storage.describe_remote()

    def test_a_deployment_by_hand(self, rig: Any, tmp_path: Path) -> None:
        project = Project.make(tmp_path, rig)
        remote = "sftpstorage.SFTPStorage" if rig.name == "generic-sftp" else "ftp.FTPStorage"
        module, _, name = remote.partition(".")
        (project.directory / "storage.py").write_text(
            "from django.contrib.staticfiles.storage import ManifestFilesMixin\n"
            f"from storages.backends.{module} import {name}\n"
            "from localmirror import LocalMirrorMixin, StaticMirrorMixin\n"
            f"class ByHand(ManifestFilesMixin, StaticMirrorMixin, LocalMirrorMixin, {name}):\n    pass\n"
        )
        entry = project.settings["STORAGES"]["staticfiles"]
        entry["BACKEND"], entry["OPTIONS"] = "storage.ByHand", {"mirror_location": str(rig.mirror), **rig.options()}
        project.write()
        assert project.run("collectstatic", "--no-input").returncode == 0
        unchanged = project.run("collectstatic", "--no-input")
        assert unchanged.last_line == "30 files in the release: 0 uploaded (0 B), 30 already there."
        assert mirrored(rig).items() <= rig.raw_all().items()


class SftpByHand(StaticMirrorMixin, LocalMirrorMixin, SFTPStorage):
    pass


class FtpByHand(StaticMirrorMixin, LocalMirrorMixin, FTPStorage):
    pass


@contextmanager
def unreachable(storage: Any) -> Iterator[None]:
    """Lead a storage on a file server to a port that nobody listens on."""
    inner = storage.inner
    ftp = hasattr(inner, "_config")
    settings = inner._config if ftp else inner.params
    port = settings["port"]
    inner.disconnect() if ftp else inner.close()
    settings["port"] = 9
    try:
        yield
    finally:
        settings["port"] = port


def texts(error: BaseException | None) -> Iterator[str]:
    """Yield the texts of an error and of all that led to it."""
    while error is not None:
        yield repr(error) + str(error)
        error = error.__cause__ or error.__context__


class PlainSftpRig(GenericSftpRig):
    name = "generic-plain-sftp"
    server_class = PlainSftp

    def options(self, role: str = "media", **options: Any) -> dict[str, Any]:
        known = {"port": self.server.port, "username": USER, "password": SFTP_PASSWORD}
        return {
            "host": self.server.host,
            "params": {**known, "allow_agent": False, "look_for_keys": False},
            "known_host_file": str(self.server.known_hosts),
            "root_path": str(self.root),
            "base_url": "/remote/",
            **options,
        }


class TestPlainSftp:
    def test_servers_that_rename_over_no_file(self, tmp_path: Path) -> None:
        with prepared(PlainSftpRig, tmp_path) as rig:
            storage: Any = rig.storage("static")
            storage.save("dir/a.txt", ContentFile(b"long"))
            connection = storage.inner._sftp
            storage.save("dir/a.txt", ContentFile(b"new"))
            storage.save("dir/b.txt", ContentFile(b"b"))
            assert rig.raw_all() == mirrored(rig) == {"dir/a.txt": b"new", "dir/b.txt": b"b"}
            assert storage.inner._sftp is connection

    def test_a_refusal_there_is_told(self, tmp_path: Path) -> None:
        with prepared(PlainSftpRig, tmp_path) as rig:
            storage: Any = rig.storage("static")
            storage.save("taken/a.txt", ContentFile(b"a"))
            with pytest.raises(OSError):
                storage.save("taken", ContentFile(b"x"))
            assert rig.raw_all() == {"taken/a.txt": b"a"}


@on("generic-sftp")
class TestSftp:
    def test_what_is_refused_is_told(self, rig: Any) -> None:
        (rig.root / "dir" / "sub").mkdir(parents=True)
        storage = rig.storage()
        with pytest.raises(OSError):
            storage.inner.delete("dir")
        with pytest.raises(OSError):
            storage._save("dir", ContentFile(b"x"))
        assert not temporary_files(rig.root)

    def test_a_wrong_key(self, rig: Any) -> None:
        params = {**rig.options()["params"], "key_filename": None, "password": "wrong-password"}
        storage = rig.storage("static", params=params)
        with pytest.raises(PermissionError, match="refused the login") as caught:
            storage.save("a.txt", ContentFile(b"a"))
        assert "wrong-password" not in "".join(texts(caught.value)) + storage.describe_error(caught.value)
        assert storage.is_fatal(caught.value)
        by_hand: Any = SftpByHand(mirror_location=str(rig.mirror), **rig.options(params=params))
        with pytest.raises(PermissionError) as caught:
            by_hand.save("a.txt", ContentFile(b"a"))
        assert by_hand.is_fatal(caught.value)

    def test_modes_are_those_of_the_remote(self, rig: Any) -> None:
        rig.storage("static", file_mode=0o640, dir_mode=0o750).save("dir/a.css", ContentFile(b"a"))
        assert (rig.root / "dir" / "a.css").stat().st_mode & 0o777 == 0o640
        assert (rig.root / "dir").stat().st_mode & 0o777 == 0o750


class PlainFtp(Ftp):
    """A server that knows neither MLSD nor SIZE nor MDTM, and refuses to rename."""

    name = "plain-ftp"

    def command(self) -> list[str]:
        command = super().command()
        command[2] = command[2].replace(
            "FTPServer((host",
            "for name in ('MLSD', 'MLST', 'SIZE', 'MDTM'):\n    FTPHandler.proto_cmds.pop(name)\nFTPServer((host",
        )
        command[2] = command[2].replace('perm="elradfmwMT"', 'perm="elradmwMT"')
        return command


class PlainFtpRig(GenericFtpRig):
    name = "generic-plain-ftp"
    server_class = PlainFtp


class TestFtp:
    def test_servers_that_know_only_what_is_old(self, tmp_path: Path) -> None:
        with prepared(PlainFtpRig, tmp_path) as rig:
            storage = rig.storage("static")
            contents = {"a  b c.txt": b"abc", "dir/sub/d.txt": b"", "dir/large.bin": LARGE}
            for name, content in contents.items():
                storage.save(name, ContentFile(content))
            storage.save("a  b c.txt", ContentFile(b"ab"))
            assert rig.raw_all() == {**contents, "a  b c.txt": b"ab"}
            assert {(file.name, file.size, file.modified) for file in storage.remote_files()} == {
                ("a  b c.txt", 2, None),
                ("dir/sub/d.txt", 0, None),
                ("dir/large.bin", len(LARGE), None),
            }
            assert storage.remote_file("dir/large.bin").size == len(LARGE)
            assert storage.remote_file("dir") is storage.remote_file("no/pe") is None
            with pytest.raises(FileNotFoundError):
                storage.open("nope")

    @on("generic-ftp")
    def test_the_password_is_in_no_error(self, rig: Any) -> None:
        wrong = rig.options()["location"].replace(PASSWORD, "wrong-password")
        storage = rig.storage("static", location=wrong)
        with pytest.raises(PermissionError, match="refused the login or the directory") as caught:
            storage.save("a.txt", ContentFile(b"a"))
        assert "wrong-password" not in "".join(texts(caught.value))
        assert "wrong-password" not in storage.describe_remote() + storage.describe_error(caught.value)
        assert storage.is_fatal(caught.value)

    @on("generic-ftp")
    def test_names_are_utf_8_unless_the_project_says_otherwise(self, rig: Any) -> None:
        options = rig.options()
        del options["encoding"]
        storage: Any = FtpByHand(mirror_location=str(rig.mirror), **options)
        for name in ("ü.txt", "日本.txt"):
            storage.save(name, ContentFile(b"x"))
        assert rig.raw_list() == sorted(["ü.txt", "日本.txt"])
        with override_settings(FTP_STORAGE_ENCODING="latin-1"):
            told: Any = FtpByHand(mirror_location=str(rig.mirror), **options)
        assert (told.encoding, storage.encoding) == ("latin-1", "utf-8")

    @on("generic-ftp")
    def test_nothing_is_left_of_what_could_not_be_written(self, rig: Any) -> None:
        storage = rig.storage("static", encoding="latin-1")
        with pytest.raises(UnicodeEncodeError):
            storage.save("日本.txt", ContentFile(b"x"))
        assert rig.raw_list() == []

    @on("generic-ftp")
    def test_another_password_is_no_other_remote(self, rig: Any) -> None:
        other = rig.options()["location"].replace(PASSWORD, "changed")
        assert rig.storage("static", location=other).remote_identity() == rig.storage("static").remote_identity()

    @on("generic-ftp")
    def test_sizes_are_asked_for_in_bytes_after_a_listing_too(self, rig: Any) -> None:
        storage = rig.storage("static")
        rig.raw_put("a.txt", b"a\r\nb\n")
        assert len(list(storage.remote_files())) == 1
        assert storage.remote_file("a.txt").size == 5

    @on("generic-ftp")
    def test_a_storage_that_overwrites_knows_what_is_there(self, rig: Any) -> None:
        storage = rig.storage("media", allow_overwrite=True)
        for content in (b"1", b"2"):
            assert storage.save("a.txt", ContentFile(content)) == "a.txt"
        assert storage.exists("a.txt")
        storage.delete("a.txt")
        assert not storage.exists("a.txt")
        assert rig.raw_list() == []

    @on("generic-ftp")
    def test_a_failure_does_not_lead_the_next_file_astray(self, rig: Any) -> None:
        (rig.root / "dir" / "taken").mkdir(parents=True)
        storage = rig.storage("static")
        with pytest.raises(PermissionError, match="refused 'dir/taken'"):
            storage.save("dir/taken", ContentFile(b"x"))
        with pytest.raises(FileNotFoundError):
            storage.open("dir/nope.txt")
        storage.save("dir/a.txt", ContentFile(b"a"))
        assert rig.raw_all() == {"dir/a.txt": b"a"}

    @on("generic-ftp")
    def test_a_transfer_that_breaks_off_leaves_the_connection_fit_for_use(self, rig: Any) -> None:
        rig.raw_put("large.bin", LARGE)
        storage = rig.storage("static")

        class Full(io.BytesIO):
            def write(self, data: Any) -> int:
                raise OSError(28, "No space left on device")

        with pytest.raises(OSError, match="No space left") as caught:
            storage.inner.read_into("large.bin", Full())
        assert not storage.is_unavailable(caught.value)
        assert storage.remote_file("large.bin").size == len(LARGE)
