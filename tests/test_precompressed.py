"""Compressed siblings of plain names follow the content of their file, in both halves."""

from __future__ import annotations

import gzip
import random
from pathlib import Path

import brotli
import pytest

from .rigs import Rig
from .test_hashing_table import BIG_CSS, deploy, manifest_paths

TINY = b"a{b:c}"
NOISE = random.Random(1).randbytes(5000)

pytestmark = pytest.mark.parametrize("rig", ["s3-moto"], indirect=True)


def assert_siblings_agree(rig: Rig, name: str) -> None:
    for extension, decompress in ((".gz", gzip.decompress), (".br", brotli.decompress)):
        public = rig.raw_get(f"{name}{extension}")
        assert decompress(public) == rig.raw_get(name)
        assert public == (rig.mirror / f"{name}{extension}").read_bytes()


@pytest.mark.parametrize("content", [TINY, NOISE, b""])
def test_what_does_not_shrink_any_more_has_no_old_siblings(rig: Rig, tmp_path: Path, content: bytes) -> None:
    project = deploy(rig, tmp_path, "precompressed")
    for text in (BIG_CSS, content):
        project.corpus.write("notes.txt", text)
        project.call("collectstatic", interactive=False)
        assert rig.raw_get("notes.txt") == text
        assert_siblings_agree(rig, "notes.txt")

    with rig.wire.recording() as seen:
        project.call("collectstatic", interactive=False)
    assert seen.counts() == {"LIST": 1}

    project.corpus.write("notes.txt", BIG_CSS)
    project.call("collectstatic", interactive=False)
    assert_siblings_agree(rig, "notes.txt")


def test_a_name_with_a_digest_has_siblings_only_if_it_shrinks(rig: Rig, tmp_path: Path) -> None:
    project = deploy(rig, tmp_path, "precompressed")
    project.corpus.write("css/big.css", TINY)
    project.call("collectstatic", interactive=False)
    hashed = manifest_paths(rig)["css/big.css"]
    assert not {f"{hashed}.gz", f"{hashed}.br"} & set(rig.raw_list())


def test_noise_that_never_had_siblings_gets_none(rig: Rig, tmp_path: Path) -> None:
    project = deploy(rig, tmp_path, "precompressed")
    project.corpus.write("noise.txt", NOISE)
    project.call("collectstatic", interactive=False)
    assert "noise.txt.gz" not in rig.raw_list()
