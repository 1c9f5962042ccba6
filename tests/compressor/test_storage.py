"""The role of a storage for compressor's output: what it costs on the wire, and what it never gets wrong."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib.staticfiles.storage import ManifestFilesMixin
from django.core.exceptions import ImproperlyConfigured
from django.core.files.base import ContentFile
from django.core.files.storage import InMemoryStorage, Storage
from django.test import override_settings
from storages.backends.s3 import S3StaticStorage

from localmirror import CompressorMirrorMixin, LocalMirrorMixin, offline
from localmirror.exceptions import PublishError, ReleaseNotPublishedError
from localmirror.publish import Result

from ..disks import disk
from ..rigs import S3MotoRig, prepared

CSS = b"body{margin:0}"
MANIFEST = "CACHE/manifest.json"


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[S3MotoRig]:
    with (
        prepared(S3MotoRig, tmp_path) as ready,
        override_settings(COMPRESS_OUTPUT_DIR="CACHE", COMPRESS_OFFLINE_MANIFEST=MANIFEST),
    ):
        yield ready


def bundle(content: bytes = CSS, kind: str = "css") -> str:
    """Return the name that compressor gives to a content."""
    return f"CACHE/{kind}/output.{hashlib.sha256(content).hexdigest()[:12]}.{kind}"


def hashed(name: str, content: bytes) -> str:
    """Return the name that Django gives to a static file."""
    root, _, extension = name.rpartition(".")
    return f"{root}.{hashlib.md5(content).hexdigest()[:12]}.{extension}"


def read(storage: Any, name: str) -> bytes:
    with storage.open(name) as file:
        return bytes(file.read())


def look_up(storage: Any, name: str) -> bytes | None:
    """Do what compressor does with each source on each page."""
    path = storage.path(name)
    return Path(path).read_bytes() if storage.exists(name) else None


def write_manifest(storage: Any, content: dict[str, str]) -> None:
    storage.save(MANIFEST, ContentFile(json.dumps(content).encode()))


def read_manifest(storage: Any) -> dict[str, str] | None:
    """Do what compressor does in each process."""
    if not storage.exists(MANIFEST):
        return None
    with storage.open(MANIFEST) as file:
        content: dict[str, str] = json.loads(file.read().decode())
        return content


# -- output --------------------------------------------------------------------------------------------------------


def test_output_is_public_at_once_and_saving_it_again_costs_nothing(rig: S3MotoRig) -> None:
    storage = rig.storage("compressor")
    assert storage.save(bundle(), ContentFile(CSS)) == bundle()
    assert rig.raw_get(bundle()) == (rig.mirror / bundle()).read_bytes() == CSS
    head = rig.raw_head(bundle())
    assert (head.cache_control, head.content_type) == ("public, max-age=31536000, immutable", "text/css")
    for again in (storage, rig.storage("compressor")):
        with rig.wire.recording() as seen:
            assert again.save(bundle(), ContentFile(CSS)) == bundle()
            assert again.exists(bundle())
        assert seen.counts() == {}


def test_a_name_that_does_not_prove_its_content_is_not_cached_for_ever(rig: S3MotoRig) -> None:
    name = "CACHE/css/output.0123456789ab.css"
    storage = rig.storage("compressor")
    assert storage.save(name, ContentFile(CSS)) == name
    assert rig.raw_head(name).cache_control is None
    assert storage.save(name, ContentFile(b"other")) == name
    assert rig.raw_get(name) == b"other"


def test_output_of_another_host_is_fetched_once(rig: S3MotoRig) -> None:
    rig.raw_put(bundle(), CSS)
    storage = rig.storage("compressor")
    with rig.wire.recording() as seen:
        assert storage.exists(bundle())
        assert storage.exists(bundle())
        assert rig.storage("compressor").exists(bundle())
    assert seen.counts() == {"GET": 1}
    assert (rig.mirror / bundle()).read_bytes() == CSS


def test_output_that_nobody_has_costs_one_request(rig: S3MotoRig) -> None:
    with rig.wire.recording() as seen:
        assert not rig.storage("compressor").exists(bundle())
    assert len(seen) == 1


def test_a_file_in_the_mirror_is_no_proof_that_output_is_public(rig: S3MotoRig) -> None:
    path = rig.mirror / bundle()
    path.parent.mkdir(parents=True)
    path.write_bytes(CSS)
    storage = rig.storage("compressor")
    assert read(storage, bundle()) == CSS  # the name proves the bytes, and nothing about the remote
    assert not storage.exists(bundle())
    storage.save(bundle(), ContentFile(CSS))
    assert rig.raw_get(bundle()) == CSS


def test_a_mirror_that_was_filled_from_another_bucket_proves_nothing_here(rig: S3MotoRig) -> None:
    rig.storage("compressor").save(bundle(), ContentFile(CSS))
    elsewhere = rig.storage("compressor", location="elsewhere")
    assert not elsewhere.exists(bundle())
    elsewhere.save(bundle(), ContentFile(CSS))
    assert rig.raw_get(f"elsewhere/{bundle()}") == CSS


def test_a_remote_that_refuses_leaves_no_output_in_the_mirror(rig: S3MotoRig) -> None:
    storage = rig.storage("compressor")
    rig.wire.fail(403, code="AccessDenied", method="PUT")
    with pytest.raises(Exception, match="AccessDenied"):
        storage.save(bundle(), ContentFile(CSS))
    assert not (rig.mirror / bundle()).exists()


# -- sources -------------------------------------------------------------------------------------------------------


def test_hashed_sources_in_the_mirror_cost_nothing(rig: S3MotoRig) -> None:
    name = hashed("css/app.css", CSS)
    rig.storage("manifest").save(name, ContentFile(CSS))
    with rig.wire.recording() as seen:
        assert [look_up(rig.storage("compressor"), name) for _ in range(3)] == [CSS] * 3
    assert seen.counts() == {}


@pytest.mark.parametrize("name", ["css/app.css", hashed("css/app.css", CSS)])
def test_an_empty_mirror_fetches_each_source_once(rig: S3MotoRig, name: str) -> None:
    rig.raw_put(name, CSS)
    storage = rig.storage("compressor")
    with rig.wire.recording() as seen:
        assert [look_up(storage, name) for _ in range(3)] == [CSS] * 3
    assert seen.counts() == {"GET": 1}


def test_a_source_that_nobody_has_does_not_exist(rig: S3MotoRig) -> None:
    assert look_up(rig.storage("compressor"), "css/none.css") is None


def test_unhashed_sources_are_asked_for_when_they_are_old(rig: S3MotoRig) -> None:
    rig.storage("manifest").save("css/app.css", ContentFile(CSS))
    old = rig.storage("compressor", mirror_max_age=None)
    young = rig.storage("compressor", mirror_max_age=0)
    rig.raw_put("css/app.css", b"new")
    with rig.wire.recording() as seen:
        assert look_up(old, "css/app.css") == CSS
    assert seen.counts() == {}
    assert look_up(young, "css/app.css") == b"new"
    rig.raw_delete("css/app.css")
    assert look_up(young, "css/app.css") is None


def test_what_is_staged_and_not_published_is_read_from_the_mirror(rig: S3MotoRig) -> None:
    rig.raw_put("css/app.css", b"what is live")
    static = rig.storage("static")
    with offline(), static.staging() as staging:
        static.save("css/app.css", ContentFile(CSS))
        staging.found("css/app.css")
        staging.commit(staging.release())
    with rig.wire.recording() as seen:
        assert look_up(rig.storage("compressor", mirror_max_age=0), "css/app.css") == CSS
        assert read(rig.storage("static", mirror_max_age=0), "css/app.css") == CSS
    assert seen.counts() == {}


def test_a_storage_elsewhere_removes_nothing_from_the_mirror_that_it_shares(rig: S3MotoRig) -> None:
    rig.storage("static").save("css/app.css", ContentFile(CSS))
    elsewhere = rig.storage("compressor", location="elsewhere", mirror_max_age=0)
    assert look_up(elsewhere, "css/app.css") is None
    assert (rig.mirror / "css/app.css").read_bytes() == CSS


def test_the_remote_down_does_not_matter_to_a_warm_mirror(rig: S3MotoRig) -> None:
    storage = rig.storage("compressor")
    storage.save(bundle(), ContentFile(CSS))
    storage.save("css/app.css", ContentFile(CSS))
    rig.wire.refuse()
    cold = rig.storage("compressor")
    assert cold.exists(bundle())
    assert look_up(cold, "css/app.css") == CSS


def test_a_read_only_mirror(rig: S3MotoRig, tmp_path: Path) -> None:
    old, new = hashed("css/app.css", b"old"), hashed("css/app.css", b"new")
    with disk(tmp_path / "disk") as mount:
        rig.mirror = mount.root / "mirror"
        for name in (old, "css/plain.css"):
            rig.storage("static").save(name, ContentFile(b"old"))
        rig.storage("compressor").save(bundle(), ContentFile(CSS))
        for name in (new, "css/plain.css", bundle(b"new")):
            rig.raw_put(name, b"new")
        with mount.read_only():
            storage = rig.storage("compressor", mirror_max_age=0)
            with rig.wire.recording() as seen:
                assert look_up(storage, old) == b"old"
                assert storage.exists(bundle())
            assert seen.counts() == {}
            # What has no up-to-date copy, and can get none, is left to compressor's finders.
            assert look_up(storage, new) is None
            assert look_up(storage, "css/plain.css") is None
            assert storage.exists(bundle(b"new"))
            assert not storage.exists(bundle(b"none"))
            write_only = rig.storage("compressor", mirror_on_error="log")
            with write_only.staging_output() as staged:
                write_only.save(bundle(b"more"), ContentFile(b"more"))
                assert list(staged.publish()) == []
            write_manifest(write_only, {"a": "b"})
            assert read_manifest(write_only) == {"a": "b"}
    assert rig.raw_get(bundle(b"more")) == b"more"


# -- the offline manifest ------------------------------------------------------------------------------------------


def test_reading_the_manifest_costs_one_request(rig: S3MotoRig) -> None:
    write_manifest(rig.storage("compressor"), {"a": "b"})
    storage = rig.storage("compressor")
    with rig.wire.recording() as seen:
        assert read_manifest(storage) == {"a": "b"}
    assert seen.counts() == {"GET": 1}


def test_the_manifest_is_never_stale(rig: S3MotoRig) -> None:
    storage = rig.storage("compressor", mirror_max_age=None)
    assert read_manifest(storage) is None
    write_manifest(storage, {"a": "old"})
    assert read_manifest(storage) == {"a": "old"}
    rig.raw_put(MANIFEST, b'{"a": "new"}')
    assert read_manifest(storage) == {"a": "new"}
    assert read(storage, MANIFEST) == b'{"a": "new"}'
    rig.raw_delete(MANIFEST)
    assert read_manifest(storage) is None


def test_a_manifest_that_was_looked_for_is_opened_once_with_the_same_answer(rig: S3MotoRig) -> None:
    storage = rig.storage("compressor")
    write_manifest(storage, {"a": "old"})
    assert storage.exists(MANIFEST)
    assert json.loads(read(storage, MANIFEST)) == {"a": "old"}
    rig.raw_put(MANIFEST, b'{"a": "new"}')
    assert json.loads(read(storage, MANIFEST)) == {"a": "new"}


def test_a_manifest_that_has_not_changed_is_not_sent_again(rig: S3MotoRig) -> None:
    write_manifest(rig.storage("compressor"), {"a": "b"})
    with rig.wire.recording() as seen:
        write_manifest(rig.storage("compressor"), {"a": "b"})
    assert seen.counts() == {"HEAD": 1}
    write_manifest(rig.storage("compressor"), {"a": "c"})
    assert json.loads(rig.raw_get(MANIFEST)) == {"a": "c"}
    assert rig.raw_head(MANIFEST).cache_control is None
    rig.raw_put(MANIFEST, b"{}")
    write_manifest(rig.storage("compressor"), {"a": "c"})
    assert json.loads(rig.raw_get(MANIFEST)) == {"a": "c"}


def test_while_the_remote_is_down_the_manifest_is_the_mirrors(rig: S3MotoRig, caplog: pytest.LogCaptureFixture) -> None:
    write_manifest(rig.storage("compressor"), {"a": "b"})
    rig.wire.fail(500, method="GET")
    with caplog.at_level(logging.WARNING, "localmirror"):
        assert read_manifest(rig.storage("compressor")) == {"a": "b"}
    assert "may be older" in caplog.text


def test_a_pinned_process_reads_the_manifest_of_its_own_release(rig: S3MotoRig) -> None:
    write_manifest(rig.storage("compressor", mirror_release="v1"), {"a": "first"})
    write_manifest(rig.storage("compressor", mirror_release="v2"), {"a": "second"})
    assert read_manifest(rig.storage("compressor", mirror_release="v1")) == {"a": "first"}
    assert read_manifest(rig.storage("compressor")) == {"a": "second"}
    with pytest.raises(ReleaseNotPublishedError, match="v3"):
        read_manifest(rig.storage("compressor", mirror_release="v3"))


def test_a_manifest_that_came_with_the_image(rig: S3MotoRig) -> None:
    write_manifest(rig.storage("compressor"), {"a": "b"})
    with rig.wire.recording() as seen:
        assert read_manifest(rig.storage("compressor", mirror_manifest="local")) == {"a": "b"}
    assert seen.counts() == {}


@override_settings(COMPRESS_OFFLINE_MANIFEST="manifest.json")
def test_compressors_default_name_is_the_manifest_too(rig: S3MotoRig) -> None:
    storage = rig.storage("compressor", mirror_max_age=None)
    storage.save("manifest.json", ContentFile(b"{}"))
    rig.raw_put("manifest.json", b"[]")
    assert read(storage, "manifest.json") == b"[]"


# -- staging output ------------------------------------------------------------------------------------------------


def published(storage: Any, *contents: bytes) -> list[Result]:
    with storage.staging_output() as staged:
        for content in contents:
            assert storage.save(bundle(content), ContentFile(content)) == bundle(content)
        return list(staged.publish())


def test_staged_output_goes_up_after_one_listing(rig: S3MotoRig) -> None:
    rig.raw_put("media/huge.bin", b"not of interest")
    with rig.wire.recording() as seen:
        results = published(rig.storage("compressor"), b"a{}", b"b{}", b"a{}")
    assert seen.counts() == {"LIST": 1, "PUT": 2}
    assert seen.of("LIST")[0].query["prefix"] == "CACHE/"
    assert [result.status for result in results] == ["uploaded"] * 2
    assert rig.raw_head(bundle(b"a{}")).cache_control == "public, max-age=31536000, immutable"
    with rig.wire.recording() as seen:
        again = published(rig.storage("compressor"), b"a{}", b"b{}")
        assert rig.storage("compressor").exists(bundle(b"a{}"))
    assert seen.counts() == {"LIST": 1}
    assert [result.status for result in again] == ["current"] * 2


def test_staged_output_that_vanished_from_the_remote_is_restored(rig: S3MotoRig) -> None:
    storage = rig.storage("compressor")
    published(storage, b"a{}", b"b{}")
    rig.raw_delete(bundle(b"a{}"))
    rig.raw_put(bundle(b"b{}"), b"cut off")
    with rig.wire.recording() as seen:
        published(storage, b"a{}", b"b{}")
    assert seen.counts() == {"LIST": 1, "PUT": 2}
    assert rig.raw_all() == {bundle(b"a{}"): b"a{}", bundle(b"b{}"): b"b{}"}


def test_staged_output_that_the_remote_has_is_not_sent_by_a_new_builder(rig: S3MotoRig) -> None:
    published(rig.storage("compressor"), b"a{}")
    builder = rig.storage("compressor", mirror_location=str(rig.directory / "builder"))
    with rig.wire.recording() as seen:
        published(builder, b"a{}")
        assert builder.exists(bundle(b"a{}"))
    assert seen.counts() == {"LIST": 1}


def test_one_file_that_fails_does_not_stop_the_others(rig: S3MotoRig) -> None:
    storage = rig.storage("compressor")
    rig.wire.fail(403, code="AccessDenied", method="PUT", name=bundle(b"a{}"))
    results = {result.name: result for result in published(storage, b"a{}", b"b{}", b"c{}")}
    assert results[bundle(b"a{}")].status == "failed"
    assert "AccessDenied" in str(results[bundle(b"a{}")].error)
    assert rig.raw_list() == sorted([bundle(b"b{}"), bundle(b"c{}")])
    assert not storage.exists(bundle(b"a{}"))


def test_a_remote_that_cannot_be_listed(rig: S3MotoRig) -> None:
    rig.wire.fail(403, code="AccessDenied", kind="LIST")
    with pytest.raises(PublishError, match="Cannot list what is in") as caught:
        published(rig.storage("compressor"), b"a{}")
    assert rig.server.credentials["aws_secret_access_key"] not in str(caught.value)


def test_staged_output_is_not_swept_up_by_a_release_that_is_staged_meanwhile(rig: S3MotoRig) -> None:
    static, compressor = rig.storage("static"), rig.storage("compressor")
    with static.staging() as staging:
        static.save("css/app.css", ContentFile(CSS))
        staging.found("css/app.css")
        staging.begin_post_processing()
        with compressor.staging_output():
            compressor.save(bundle(), ContentFile(CSS))
        (rig.mirror / "css/written-past.css").write_bytes(b"")
        release = staging.release()
    assert set(release.files) == {"css/app.css", "css/written-past.css"}


def test_output_in_the_root_of_the_storage(rig: S3MotoRig) -> None:
    with override_settings(COMPRESS_OUTPUT_DIR=""):
        storage = rig.storage("compressor")
        assert storage.output_prefix == ""
        with storage.staging_output() as staged:
            storage.save("css/output.css", ContentFile(CSS))
            assert [result.status for result in staged.publish()] == ["uploaded"]
        assert storage.exists("css/output.css")


# -- what a class must not be --------------------------------------------------------------------------------------


class RenamingStorage(Storage):
    """A remote that never overwrites."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}

    def _save(self, name: str, content: Any) -> str:
        while name in self.files:
            name += "_"
        self.files[name] = content.read()
        return name

    def exists(self, name: str) -> bool:
        return name in self.files

    def delete(self, name: str) -> None:
        del self.files[name]


class OnRenamingStorage(CompressorMirrorMixin, LocalMirrorMixin, RenamingStorage):
    pass


def test_a_remote_that_does_not_overwrite_is_an_error_and_not_another_name(tmp_path: Path) -> None:
    storage = OnRenamingStorage(mirror_location=str(tmp_path / "mirror"))
    storage.save("CACHE/css/output.css", ContentFile(b"old"))
    with pytest.raises(PublishError, match="configure it to overwrite"):
        storage.save("CACHE/css/output.css", ContentFile(b"new"))
    assert storage.files == {"CACHE/css/output.css": b"old"}


def test_a_class_that_hashes_output_again_cannot_be_made() -> None:
    with pytest.raises(ImproperlyConfigured, match="hashes names"):
        type("X", (ManifestFilesMixin, CompressorMirrorMixin, LocalMirrorMixin, S3StaticStorage), {})


def test_the_role_alone_is_no_storage() -> None:
    with pytest.raises(ImproperlyConfigured, match="nothing"):
        type("X", (CompressorMirrorMixin, InMemoryStorage), {})
