"""Contents: byte for byte the same in both halves and when they come back, whatever they are and however given."""

from __future__ import annotations

import hashlib
import random
import shutil
from pathlib import Path

from django.core.files.base import ContentFile

from ..contents import CONTENTS
from ..corpus import Project
from ..deploying import mirrored
from ..rigs import Rig
from .halves import assert_no_spools, both, failures_of, on
from .releases import publish_files

MB = 1 << 20
# Bytes that somebody might take for text, for an encoded body or for the end of something.
AWKWARD = {
    "all bytes.bin": bytes(range(256)) * 4,
    "line ends.txt": b"\r\n\n\r\r\n" * 100 + b"\x1a\x04\x00",
    "empty.txt": b"",
    "one.bin": b"\0",
    "grün/☃.txt": "é – ☃\u2028".encode(),
    "bom.txt": b"\xef\xbb\xbfbom",
    "looks packed.gz": b"\x1f\x8b\x08 but is not",
    "chunk of 64 kB.bin": bytes(65536),
}
LARGE = random.Random(1).randbytes(20 * MB)


def test_every_kind_of_content(rig: Rig, tmp_path: Path) -> None:
    storage = rig.storage()

    def check(kind: str) -> None:
        make, expected = CONTENTS[kind]
        name = f"dir/{kind}.bin"
        assert storage.save(name, make(tmp_path)) == name
        assert rig.raw_get(name) == mirrored(rig)[name] == expected

    assert failures_of(check, list(CONTENTS)) == {}
    assert len(both(rig)) == len(CONTENTS)
    assert_no_spools(rig)


def test_awkward_bytes_come_back_as_they_were(rig: Rig) -> None:
    storage = rig.storage()
    for name, content in AWKWARD.items():
        storage.save(name, ContentFile(content))
    assert both(rig) == AWKWARD

    shutil.rmtree(rig.mirror)
    storage = rig.storage()
    for name, content in AWKWARD.items():
        with storage.open(name) as file:
            assert file.read() == content, name
        assert storage.size(name) == len(content), name
    assert both(rig) == AWKWARD


def test_awkward_bytes_are_published_as_they_are(rig: Rig) -> None:
    publish_files(rig.storage("static"), AWKWARD)

    assert both(rig) == AWKWARD


def test_twenty_megabytes(rig: Rig) -> None:
    digest = hashlib.md5(LARGE).hexdigest()

    def is_whole(name: str) -> bool:
        return all(hashlib.md5(half).hexdigest() == digest for half in (rig.raw_get(name), mirrored(rig)[name]))

    storage = rig.storage("static")
    publish_files(storage, {"published.bin": LARGE})
    storage.save("saved ☃.bin", ContentFile(LARGE))
    assert is_whole("published.bin")
    assert is_whole("saved ☃.bin")

    (rig.mirror / "saved ☃.bin").unlink()
    with storage.open("saved ☃.bin") as file:
        assert hashlib.file_digest(file, "md5").hexdigest() == digest
    assert is_whole("saved ☃.bin")
    assert publish_files(storage, {"published.bin": LARGE}) == set()


@on(lambda rig: rig.processes)
def test_a_file_is_never_held_in_memory(rig: Rig, tmp_path: Path) -> None:
    project = Project.make(tmp_path, rig, role="static", files={})
    result = project.python(MEMORY, fresh=True)

    assert result.returncode == 0, result
    small, large = map(int, result.stdout.split())
    # A provider's SDK may hold a piece of 8 MB or two.
    assert large - small < 40 * MB


#: Saves and fetches a small file, then one of 96 MB, and prints the most memory that each has taken, in bytes.
MEMORY = """
import os, resource
from django.core.files.base import File
from django.core.files.storage import storages

storage = storages["staticfiles"]
for name, pieces in (("small.bin", 1), ("large.bin", 96)):
    with open("source", "wb") as source:
        for _ in range(pieces):
            source.write(os.urandom(1 << 20))
    with open("source", "rb") as source:
        storage.save(name, File(source))
    os.unlink(storage.path(name))
    with storage.open(name) as fetched:
        assert sum(len(chunk) for chunk in fetched.chunks()) == pieces << 20
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10)
"""
