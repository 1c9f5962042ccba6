"""The role for compressor's output on every remote."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.test import override_settings

from ..rigs import Rig

CSS = b"body{margin:0}"
NAME = f"CACHE/css/output.{hashlib.sha256(CSS).hexdigest()[:12]}.css"
MANIFEST = "CACHE/manifest.json"


@pytest.fixture(autouse=True)
def compressors_settings() -> Iterator[None]:
    with override_settings(COMPRESS_OUTPUT_DIR="CACHE", COMPRESS_OFFLINE_MANIFEST=MANIFEST):
        yield


def new_host(rig: Rig, tmp_path: Path) -> Any:
    return rig.storage("compressor", mirror_location=str(tmp_path / "new host"))


def read(storage: Any, name: str) -> bytes:
    with storage.open(name) as file:
        return bytes(file.read())


def test_output_is_published_fetched_and_never_renamed(rig: Rig, tmp_path: Path) -> None:
    storage = rig.storage("compressor")
    assert not storage.exists(NAME)
    for _ in range(2):
        assert storage.save(NAME, ContentFile(CSS)) == NAME
    assert rig.raw_get(NAME) == (rig.mirror / NAME).read_bytes() == CSS
    assert storage.exists(NAME)
    other = new_host(rig, tmp_path)
    assert other.exists(NAME)
    assert Path(other.path(NAME)).read_bytes() == CSS
    assert new_host(rig, tmp_path).save(NAME, ContentFile(CSS)) == NAME
    assert rig.raw_list() == [NAME]


def test_output_of_a_run_goes_up_after_one_listing(rig: Rig, tmp_path: Path) -> None:
    for storage, status in (
        (rig.storage("compressor"), "uploaded"),
        (rig.storage("compressor"), "current"),
        (new_host(rig, tmp_path), "current"),
    ):
        with storage.staging_output() as staged:
            storage.save(NAME, ContentFile(CSS))
            assert [(result.name, result.status) for result in staged.publish()] == [(NAME, status)]
        assert storage.exists(NAME)
    rig.raw_delete(NAME)
    storage = rig.storage("compressor")
    with storage.staging_output() as staged:
        storage.save(NAME, ContentFile(CSS))
        assert [result.status for result in staged.publish()] == ["uploaded"]
    assert rig.raw_get(NAME) == CSS


def test_the_offline_manifest_is_the_remotes(rig: Rig, tmp_path: Path) -> None:
    one, two = rig.storage("compressor"), new_host(rig, tmp_path)
    assert not two.exists(MANIFEST)
    for content in (b'{"a": "1"}', b'{"a": "2"}', b'{"a": "2"}', b'{"a": "3"}'):
        one.save(MANIFEST, ContentFile(content))
        assert two.exists(MANIFEST)
        assert read(two, MANIFEST) == read(one, MANIFEST) == content
    assert rig.raw_list() == [MANIFEST]
