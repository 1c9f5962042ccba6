"""The order of the bases: two that work alike, and the wrong ones, which say what the right one is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.contrib.staticfiles.storage import (
    ManifestFilesMixin,
    ManifestStaticFilesStorage,
    StaticFilesStorage,
)
from django.core.exceptions import ImproperlyConfigured
from django.core.files.storage import FileSystemStorage, InMemoryStorage
from storages.backends.s3 import S3ManifestStaticStorage, S3StaticStorage, S3Storage

from localmirror import CompressorMirrorMixin, LocalMirrorMixin, StaticMirrorMixin
from localmirror.backends.s3 import MirroredS3ManifestStaticStorage, MirroredS3StaticStorage, S3MirrorMixin
from localmirror.hashing import PrecompressedFilesMixin

from .corpus import FILES, Project
from .deploying import MANIFEST, Deployment, assert_whole, deploy, mirrored, public, succeeded
from .rigs import Rig


class HashingAbove(ManifestFilesMixin, StaticMirrorMixin, LocalMirrorMixin, S3StaticStorage):
    """THE order."""


class HashingBelow(StaticMirrorMixin, LocalMirrorMixin, S3ManifestStaticStorage):
    """What one reaches by subclassing the remote's own class."""


class AdapterBelow(StaticMirrorMixin, S3MirrorMixin, S3ManifestStaticStorage):
    """The same with the adapter named."""


class HashingBetween(StaticMirrorMixin, ManifestFilesMixin, LocalMirrorMixin, S3StaticStorage):
    """The role above hashing."""


class HashingBelowAlone(LocalMirrorMixin, S3ManifestStaticStorage):
    """The same without a role: nothing but static files is hashed."""


class HashingAboveAlone(ManifestFilesMixin, LocalMirrorMixin, S3StaticStorage):
    """Hashing above the mirror, without a role."""


ORDERS: list[type] = [
    *(HashingAbove, HashingBelow, AdapterBelow, HashingBetween),
    *(HashingBelowAlone, HashingAboveAlone),
]


def requests(deployment: Deployment) -> list[tuple[str, str]]:
    # What goes up in parallel comes in any order.
    return sorted((request.method, request.name) for request in deployment.seen)


def run(rig: Rig, directory: Path, backend: type) -> tuple[list[list[tuple[str, str]]], dict[str, bytes], Any]:
    """Deploy, deploy again, change an image and deploy, and return requests, objects and headers."""
    rig.mirror = directory / "mirror"
    project = Project.make(directory, rig)
    project.settings["STORAGES"]["staticfiles"]["BACKEND"] = f"{backend.__module__}.{backend.__name__}"
    seen = [requests(succeeded(deploy(rig, project))), requests(succeeded(deploy(rig, project)))]
    project.corpus.change("img/logo.png")
    seen.append(requests(succeeded(deploy(rig, project))))
    assert assert_whole(rig).keys() == FILES.keys()
    files = public(rig)
    assert files.items() >= mirrored(rig).items()
    heads = {name: rig.raw_head(name) for name in ("css/site.css", assert_whole(rig)["css/site.css"], MANIFEST)}
    for name in rig.raw_list():
        rig.raw_delete(name)
    return seen, files, heads


@pytest.mark.parametrize("rig", ["s3-moto"], indirect=True)
def test_every_order_gives_the_same_objects_and_the_same_requests(rig: Rig, tmp_path: Path) -> None:
    expected = run(rig, tmp_path / "prebuilt", MirroredS3ManifestStaticStorage)

    for backend in ORDERS:
        assert run(rig, tmp_path / backend.__name__, backend) == expected, backend


@pytest.mark.parametrize("rig", ["s3-moto"], indirect=True)
def test_links_are_the_same_in_every_order(rig: Rig, tmp_path: Path) -> None:
    project = Project.make(tmp_path, rig)
    succeeded(deploy(rig, project))
    paths = assert_whole(rig)
    options = project.settings["STORAGES"]["staticfiles"]["OPTIONS"]

    with project.active():
        for backend in [MirroredS3ManifestStaticStorage, *ORDERS]:
            assert backend(**options).url("css/site.css").endswith(f"/{rig.bucket}/{paths['css/site.css']}"), backend


def remote_first() -> type:
    class Wrong(S3Storage, LocalMirrorMixin): ...

    return Wrong


def remote_between() -> type:
    class Wrong(StaticMirrorMixin, S3StaticStorage, LocalMirrorMixin): ...

    return Wrong


def hashing_remote_first() -> type:
    class Wrong(S3ManifestStaticStorage, StaticMirrorMixin, LocalMirrorMixin): ...

    return Wrong


def local_remote() -> type:
    class Wrong(StaticMirrorMixin, LocalMirrorMixin, FileSystemStorage): ...

    return Wrong


def local_hashing() -> type:
    class Wrong(ManifestStaticFilesStorage, MirroredS3StaticStorage): ...

    return Wrong


def local_static_last() -> type:
    class Wrong(MirroredS3StaticStorage, StaticFilesStorage): ...

    return Wrong


def role_after_mirror() -> type:
    class Wrong(LocalMirrorMixin, StaticMirrorMixin, S3StaticStorage): ...

    return Wrong


def role_after_remote() -> type:
    class Wrong(LocalMirrorMixin, S3StaticStorage, CompressorMirrorMixin): ...

    return Wrong


def role_without_mirror() -> type:
    class Wrong(StaticMirrorMixin, S3StaticStorage): ...

    return Wrong


def compression_after_hashing() -> type:
    class Wrong(ManifestFilesMixin, PrecompressedFilesMixin, MirroredS3StaticStorage): ...

    return Wrong


def compression_after_prebuilt_hashing() -> type:
    class Wrong(MirroredS3ManifestStaticStorage, PrecompressedFilesMixin): ...

    return Wrong


def compression_without_mirror() -> type:
    class Wrong(PrecompressedFilesMixin, ManifestStaticFilesStorage): ...

    return Wrong


WRONG = [
    *(remote_first, remote_between, hashing_remote_first, local_remote, local_hashing, local_static_last),
    *(role_after_mirror, role_after_remote, role_without_mirror),
    *(compression_after_hashing, compression_after_prebuilt_hashing, compression_without_mirror),
]


@pytest.mark.parametrize("make", WRONG)
def test_a_wrong_order_spells_out_the_right_one(make: Callable[[], type]) -> None:
    with pytest.raises((ImproperlyConfigured, TypeError)) as raised:
        make()

    assert raised.type is ImproperlyConfigured, raised.value
    assert "Wrong" in str(raised.value)
    assert "hashing, role, mirror, remote" in str(raised.value)


def test_a_storage_in_memory_goes_through_generic() -> None:
    with pytest.raises(ImproperlyConfigured, match=r"generic\.MirroredStorage"):

        class Wrong(LocalMirrorMixin, InMemoryStorage): ...


def test_a_misspelt_attribute_is_an_error() -> None:
    with pytest.raises(ImproperlyConfigured, match="'mirror_max_ages'. Did you mean 'mirror_max_age'"):

        class Wrong(LocalMirrorMixin, S3Storage):
            mirror_max_ages = 5


def test_attributes_of_a_class_may_be_options_and_methods() -> None:
    class Fine(LocalMirrorMixin, S3Storage):
        mirror_max_age = 5

        def mirror_of(self, name: str) -> str:
            return name

    assert Fine.mirror_max_age == 5


def test_a_class_that_only_adds_something_is_no_wrong_order() -> None:
    class Extra:
        """Something else altogether."""

    class Fine(Extra, HashingAbove): ...

    class Deeper(Fine): ...

    class Compressed(PrecompressedFilesMixin, Deeper): ...

    class Again(Compressed): ...

    assert Again.role == Deeper.role == "static"
