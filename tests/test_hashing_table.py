"""Every hashing mixin on every backend: the same names, the same bytes in both halves, headers for siblings."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import brotli
import pytest

from .corpus import Project
from .rigs import Rig
from .stacked import MIXINS, stacked

BIG_CSS = b"".join(b".rule-%d { color: #%06x }\n" % (n, n * 999) for n in range(200))


def deploy(rig: Rig, tmp_path: Path, mixin: str) -> Project:
    project = Project.make(tmp_path, rig, role="static")
    project.corpus.write("css/big.css", BIG_CSS)
    entry = project.settings["STORAGES"]["staticfiles"]
    entry["BACKEND"] = stacked(mixin, entry["BACKEND"])
    project.call("collectstatic", interactive=False)
    return project


def manifest_paths(rig: Rig) -> dict[str, str]:
    paths: dict[str, str] = json.loads(rig.raw_get("staticfiles.json"))["paths"]
    return paths


@pytest.mark.parametrize("mixin", MIXINS)
def test_what_the_manifest_names_is_public_and_the_same_in_both_halves(rig: Rig, tmp_path: Path, mixin: str) -> None:
    project = deploy(rig, tmp_path, mixin)
    paths = manifest_paths(rig)
    assert set(project.corpus.names()) <= set(paths)
    listed = {name for name in rig.raw_list() if not name.startswith(".localmirror/")}
    for name, hashed in paths.items():
        assert {name, hashed} <= listed
        assert rig.raw_get(hashed) == (rig.mirror / hashed).read_bytes()
        assert rig.raw_get(name) == project.corpus.contents()[name]
    in_mirror = {path.relative_to(rig.mirror).as_posix() for path in rig.mirror.rglob("*") if path.is_file()}
    assert listed == {name for name in in_mirror if not name.startswith(".localmirror/")}


@pytest.mark.parametrize("mixin", ["precompressed", "precompressed-enhanced"])
def test_siblings_hold_the_same_content_and_say_how_they_are_encoded(rig: Rig, tmp_path: Path, mixin: str) -> None:
    deploy(rig, tmp_path, mixin)
    hashed = manifest_paths(rig)["css/big.css"]
    for name in ("css/big.css", hashed):
        assert gzip.decompress(rig.raw_get(f"{name}.gz")) == rig.raw_get(name)
        assert brotli.decompress(rig.raw_get(f"{name}.br")) == rig.raw_get(name)
    if rig.headers:
        for extension, encoding in ((".gz", "gzip"), (".br", "br")):
            head = rig.raw_head(f"{hashed}{extension}")
            assert (head.content_type, head.content_encoding) == ("text/css", encoding)
            assert "immutable" in (head.cache_control or "")


@pytest.mark.parametrize("mixin", MIXINS)
@pytest.mark.parametrize("rig", ["s3-moto"], indirect=True)
def test_a_second_deployment_uploads_nothing(rig: Rig, tmp_path: Path, mixin: str) -> None:
    project = deploy(rig, tmp_path, mixin)
    assert rig.wire is not None
    with rig.wire.recording() as seen:
        project.call("collectstatic", interactive=False)
    assert seen.counts() == {"LIST": 1}
