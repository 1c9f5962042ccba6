"""What a project has made of a remote holds below the mirror too: nothing goes past it, on no backend."""

from __future__ import annotations

import re
import sys
from collections import Counter
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from django.contrib.staticfiles.storage import ManifestFilesMixin
from django.core.exceptions import ImproperlyConfigured
from django.core.files.base import ContentFile
from django.utils.module_loading import import_string

from localmirror import LocalMirrorMixin, StaticMirrorMixin
from localmirror.backends.generic import MirroredStorage

from ..corpus import FILES, Project
from ..rigs import Rig

HERE = sys.modules[__name__]
BY_HAND = [
    "azure-azurite",
    "gcs-emulator",
    "s3-moto",
    "libcloud-local",
    "libcloud-s3-moto",
    "generic-sftp",
    "generic-ftp",
]
BY_NAME = [*BY_HAND, "generic-filesystem"]

#: What is asked of a storage, and the method of the remote that is to be asked then.
QUESTIONS = {
    "_open": lambda storage: storage.open("dir/a.txt").read(),
    "exists": lambda storage: storage.exists("dir/a.txt"),
    "size": lambda storage: storage.size("dir/a.txt"),
    "get_modified_time": lambda storage: storage.get_modified_time("dir/a.txt"),
    "listdir": lambda storage: storage.listdir("dir"),
    "url": lambda storage: storage.url("dir/a.txt"),
    "get_available_name": lambda storage: storage.get_available_name("dir/b.txt"),
    "get_valid_name": lambda storage: storage.get_valid_name("a b.txt"),
    "_save": lambda storage: storage.save("dir/b.txt", ContentFile(b"b")),
    "delete": lambda storage: storage.delete("dir/a.txt"),
}


def sealed(data: bytes) -> bytes:
    """Return *data* as `Sealing` stores it: other bytes, and more of them."""
    return b"sealed:" + bytes(255 - byte for byte in data)


class Sealing:
    """A mixin that encrypts, after a fashion."""

    def _save(self, name: str, content: Any) -> str:
        content.seek(0)
        saved: str = super()._save(name, ContentFile(sealed(content.read()), name=name))  # type: ignore[misc]
        return saved

    def _open(self, name: str, mode: str = "rb") -> Any:
        with super()._open(name, mode) as file:  # type: ignore[misc]
            data: bytes = file.read()
        assert data.startswith(b"sealed:")
        return ContentFile(sealed(data.removeprefix(b"sealed:")).removeprefix(b"sealed:"), name=name)


class Counting:
    """A mixin that counts which methods of the remote are called."""

    calls: Counter[str] = Counter()


def _counted(name: str) -> Any:
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        Counting.calls[name] += 1
        return getattr(super(Counting, self), name)(*args, **kwargs)

    return method


for _name in QUESTIONS:
    setattr(Counting, _name, _counted(_name))


@pytest.fixture
def stacked(request: pytest.FixtureRequest, rig: Rig, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that puts a mixin on the plain class of the rig, and returns the dotted path of the result."""

    def stack(*bases: type) -> str:
        cls = type("Stacked", (*bases, import_string(rig.plain_backend)), {"__module__": __name__})
        monkeypatch.setattr(HERE, "Stacked", cls, raising=False)
        return f"{__name__}.Stacked"

    return stack


@pytest.fixture(params=["hand", "name"])
def make(request: pytest.FixtureRequest, rig: Rig, stacked: Any, tmp_path: Any) -> Any:
    """Return a function that mirrors the rig's plain class with a mixin on it; each storage has a mirror of its own."""
    numbers = iter(range(100))

    def mirrored(mixin: type) -> Any:
        options = {**rig.plain_settings()["OPTIONS"]}
        mirror = str(tmp_path / f"mirror-{next(numbers)}")
        if request.param == "name":
            return MirroredStorage(remote={"BACKEND": stacked(mixin), "OPTIONS": options}, mirror_location=mirror)
        if rig.name == "generic-filesystem":
            pytest.skip("a mirror is stacked on no local directory")
        remote = import_string(stacked(mixin))
        return type("Mirrored", (LocalMirrorMixin, remote), {})(mirror_location=mirror, **options)

    return mirrored


@pytest.mark.parametrize("rig", BY_NAME, indirect=True)
class TestAStorageThatEncrypts:
    def test_sends_what_it_has_encrypted_and_decrypts_what_it_reads(self, rig: Rig, make: Any) -> None:
        make(Sealing).save("dir/a.txt", ContentFile(b"secret"))
        assert rig.raw_all() == {"dir/a.txt": sealed(b"secret")}

        cold = make(Sealing)
        assert cold.open("dir/a.txt").read() == b"secret"
        assert Path(cold.path("dir/a.txt")).read_bytes() == b"secret"


@pytest.mark.parametrize("rig", BY_NAME, indirect=True)
def test_every_method_that_a_project_has_overridden_is_called(rig: Rig, make: Any) -> None:
    rig.raw_put("dir/a.txt", b"a")
    missed = []
    for name, ask in QUESTIONS.items():
        storage = make(Counting)
        Counting.calls.clear()
        ask(storage)
        if not Counting.calls[name]:
            missed.append(name)
    assert not missed


@pytest.mark.parametrize("rig", BY_NAME, indirect=True)
class TestARelease:
    @pytest.fixture
    def project(self, rig: Any, stacked: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> Project:
        if rig.module == "generic":
            monkeypatch.setattr(rig, "plain_backend", stacked(Sealing), raising=False)
        else:
            path = stacked(ManifestFilesMixin, StaticMirrorMixin, LocalMirrorMixin, Sealing)
            options = {"overwrite_files": True} if rig.module == "azure" else {}
            settings_for = rig.settings_for
            monkeypatch.setattr(
                rig, "settings_for", lambda role, **more: {**settings_for(role, **more, **options), "BACKEND": path}
            )
        return Project.make(tmp_path, rig)

    def test_is_encrypted_with_its_manifest_and_read_back(self, rig: Rig, project: Project) -> None:
        project.call("collectstatic", interactive=False)

        stored = rig.raw_all()
        assert stored["robots.txt"] == sealed(FILES["robots.txt"])
        assert all(content.startswith(b"sealed:") for content in stored.values())
        assert re.search(r"\b0 uploaded", project.call("collectstatic", interactive=False))
        with rig.wire.recording() if rig.wire else nullcontext([]) as seen:
            project.call("collectstatic", interactive=False)
        assert not [request for request in seen if request.method in ("PUT", "POST")]
        assert rig.raw_all() == stored

        project.corpus.change("js/lib/util.js")
        project.call("collectstatic", interactive=False)
        with project.active():
            assert rig.raw_get(project.storage().stored_name("js/lib/util.js")).startswith(b"sealed:")


@pytest.mark.parametrize("rig", ["azure-azurite", "libcloud-local"], indirect=True)
def test_what_would_be_gone_past_is_refused(rig: Rig) -> None:
    class Remote(import_string(rig.plain_backend)):  # type: ignore[misc]
        def exists(self, name: str) -> bool:
            return False

    with pytest.raises(ImproperlyConfigured, match=r"go past its exists\. .*\(LocalMirrorMixin, Remote\)"):
        type("Mirrored", (import_string(rig.backend()), Remote), {})


@pytest.mark.parametrize("rig", BY_HAND, indirect=True)
def test_messages_name_the_class_that_the_project_knows(rig: Rig, stacked: Any, tmp_path: Path) -> None:
    plain = import_string(rig.plain_backend)
    options = {**rig.plain_settings()["OPTIONS"], "mirror_location": str(tmp_path / "mirror")}

    def mirrored(remote: type) -> Any:
        return type("Mirrored", (StaticMirrorMixin, LocalMirrorMixin, remote), {})(**options)

    with pytest.raises(FileNotFoundError, match=f"'b.txt' does not exist in {plain.__name__} "):
        mirrored(plain).open("b.txt")
    assert mirrored(import_string(stacked(Sealing))).describe_remote().startswith("Stacked (")
    prebuilt = rig.storage("static").describe_remote().partition(" ")[0]
    assert prebuilt in (plain.__name__, "S3StaticStorage")


@pytest.mark.parametrize("rig", ["azure-azurite", "gcs-emulator", "s3-moto", "libcloud-s3-moto"], indirect=True)
def test_a_remote_that_is_left_as_it_is_keeps_what_the_adapter_can_do(rig: Rig, tmp_path: Path) -> None:
    class Nothing:
        def url(self, name: str) -> str:
            return f"https://cdn.example.com/{name}"

    remote = type("Remote", (Nothing, import_string(rig.plain_backend)), {})
    storage = type("Mirrored", (LocalMirrorMixin, remote), {})(
        mirror_location=str(tmp_path / "mirror"), **rig.plain_settings()["OPTIONS"]
    )
    prebuilt = import_string(rig.backend())
    for capability in ("upload", "download", "remote_files", "remote_file", "delete_many", "upload_manifest"):
        assert getattr(type(storage), capability) is getattr(prebuilt, capability)
    assert storage.listing_is_flat
    assert storage.listing_tells_content
    assert storage.url("a.txt") == "https://cdn.example.com/a.txt"
