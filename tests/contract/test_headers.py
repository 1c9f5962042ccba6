"""Headers: what never changes is cached for ever, types are told, and bytes are encoded as the remote says."""

from __future__ import annotations

import gzip
import hashlib

import pytest
from django.core.files.base import ContentFile
from django.core.files.uploadedfile import SimpleUploadedFile

from localmirror.conf import IMMUTABLE_CACHE_CONTROL

from ..deploying import MANIFEST, mirrored
from ..rigs import Rig
from .halves import both, hashed, on
from .releases import publish_files

carrying = on(lambda rig: rig.headers)
compressing = on(lambda rig: rig.gzip)
engines = pytest.mark.parametrize("engine", ["auto", "storage"])

CSS = b"a { color: red }\n" * 100
IMMUTABLE = hashed("css/a.css", CSS)
# Looks like a digest, and is that of something else.
PRETENDER = hashed("css/b.css", b"not this content")
FILES = {"css/a.css": CSS, IMMUTABLE: CSS, PRETENDER: CSS, "img/a.png": b"png", "unknown.xyz": b"x", MANIFEST: b"{}"}
TYPES = {"css/a.css": "text/css", IMMUTABLE: "text/css", "img/a.png": "image/png", MANIFEST: "application/json"}


@carrying
@engines
def test_immutable_names_are_cached_for_ever_and_no_others(rig: Rig, engine: str) -> None:
    storage = rig.storage("static", mirror_engine=engine)

    publish_files(storage, FILES)

    told = {name: rig.raw_head(name).cache_control for name in FILES}
    assert told.pop(IMMUTABLE) == IMMUTABLE_CACHE_CONTROL
    assert not any(told.values())
    for name, expected in TYPES.items():
        assert (rig.raw_head(name).content_type or "").partition(";")[0] == expected, name


@carrying
def test_saving_one_by_one_tells_the_same(rig: Rig) -> None:
    media, compressor = rig.storage(), rig.storage("compressor")

    media.save(IMMUTABLE, ContentFile(CSS))
    media.save("css/a.css", ContentFile(CSS))
    compressor.save("output.js", ContentFile(b"js"))
    media.save("upload.dat", SimpleUploadedFile("x", b"data", "application/x-test"))

    assert rig.raw_head(IMMUTABLE).cache_control == IMMUTABLE_CACHE_CONTROL
    assert rig.raw_head(IMMUTABLE).content_type == "text/css"
    for name in ("css/a.css", "output.js", "upload.dat"):
        assert not rig.raw_head(name).cache_control
    assert rig.raw_head("upload.dat").content_type == "application/x-test"


@carrying
@pytest.mark.parametrize("policy", [None, "public, max-age=60"])
def test_the_policy_is_an_option(rig: Rig, policy: str | None) -> None:
    storage = rig.storage("static", mirror_immutable_cache_control=policy)

    publish_files(storage, {IMMUTABLE: CSS})

    assert (rig.raw_head(IMMUTABLE).cache_control or None) == policy


@carrying
@engines
def test_compressed_siblings_say_what_they_are(rig: Rig, engine: str) -> None:
    storage = rig.storage("static", mirror_engine=engine)
    packed = gzip.compress(CSS, mtime=0)
    files = {"css/a.css": CSS, "css/a.css.gz": packed, IMMUTABLE: CSS, f"{IMMUTABLE}.br": b"brotli"}

    publish_files(storage, files)

    assert both(rig) == files
    heads = {name: rig.raw_head(name) for name in files}
    assert heads["css/a.css.gz"].content_encoding == "gzip"
    assert heads[f"{IMMUTABLE}.br"].content_encoding == "br"
    assert heads[f"{IMMUTABLE}.br"].cache_control == IMMUTABLE_CACHE_CONTROL
    for name in ("css/a.css.gz", f"{IMMUTABLE}.br"):
        assert heads[name].content_type == "text/css"
    assert not heads["css/a.css"].content_encoding
    assert publish_files(storage, files) == set()


@compressing
@engines
def test_a_remote_that_compresses_leaves_plain_bytes_in_the_mirror(rig: Rig, engine: str) -> None:
    storage = rig.storage("static", gzip=True, mirror_engine=engine)
    files = {"css/a.css": CSS, IMMUTABLE: CSS, "img/a.png": b"png" * 1000}

    assert publish_files(storage, files) == files.keys()

    assert mirrored(rig) == files
    for name in ("css/a.css", IMMUTABLE):
        assert gzip.decompress(rig.raw_get(name)) == CSS
        assert rig.raw_head(name).content_encoding == "gzip"
        assert rig.raw_head(name).content_type == "text/css"
    assert rig.raw_get("img/a.png") == files["img/a.png"]
    assert publish_files(storage, files) == set()


@compressing
def test_what_is_compressed_on_the_remote_is_fetched_plain(rig: Rig) -> None:
    storage = rig.storage(gzip=True, mirror_max_age=0)
    storage.save("css/a.css", ContentFile(CSS))
    assert gzip.decompress(rig.raw_get("css/a.css")) == CSS
    (rig.mirror / "css" / "a.css").unlink()

    for _ in range(2):
        with storage.open("css/a.css") as file:
            assert file.read() == CSS
        assert storage.size("css/a.css") == len(CSS)
    assert hashlib.md5((rig.mirror / "css" / "a.css").read_bytes()).digest() == hashlib.md5(CSS).digest()
