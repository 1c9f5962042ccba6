"""One storage used by many threads, and by a child process: both halves end alike."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from django.core.files.base import ContentFile

from ..corpus import Project
from ..deploying import mirrored
from ..rigs import Rig
from .halves import assert_no_spools, both, on

THREADS = 8
# How often the halves get a chance to differ.
ROUNDS = 6


def test_threads_save_their_own_names(rig: Rig) -> None:
    storage = rig.storage("static")
    files = {f"dir/{number}.txt": f"file {number}".encode() * 100 for number in range(3 * THREADS)}

    with ThreadPoolExecutor(THREADS) as pool:
        names = list(pool.map(lambda name: storage.save(name, ContentFile(files[name])), files))

    assert names == list(files)
    assert both(rig) == files
    assert_no_spools(rig)


def test_threads_save_one_name(rig: Rig) -> None:
    storage = rig.storage("static")
    contents = [str(number).encode() * 1000 * (number + 1) for number in range(THREADS)]

    with ThreadPoolExecutor(THREADS) as pool:
        for _ in range(ROUNDS):
            names = list(pool.map(lambda content: storage.save("a.txt", ContentFile(content)), contents))
            assert names == ["a.txt"] * THREADS
            assert both(rig)["a.txt"] in contents
    assert_no_spools(rig)


def test_threads_fetch_what_the_mirror_lacks(rig: Rig) -> None:
    storage = rig.storage()
    files = {f"dir/{number}.txt": f"file {number}".encode() for number in range(THREADS)}
    for name, content in files.items():
        rig.raw_put(name, content)

    def read(name: str) -> bytes:
        with storage.open(name) as file:
            return bytes(file.read())

    with ThreadPoolExecutor(THREADS) as pool:
        found = list(pool.map(read, [*files] * 3))

    assert found == [*files.values()] * 3
    assert mirrored(rig) == files
    if rig.http:
        assert len(rig.wire.requests.of("download")) == len(files)


@on(lambda rig: rig.processes)
def test_a_storage_survives_a_fork(rig: Rig, tmp_path: Path) -> None:
    project = Project.make(tmp_path, rig, role="static", files={})

    result = project.python(FORK)

    assert result.returncode == 0, result
    assert both(rig) == {"before.txt": b"before", "child.txt": b"child", "parent.txt": b"parent"}


#: Uses a storage in a process and in its child at the same time.
FORK = """
import os, signal
from django.core.files.base import ContentFile
from django.core.files.storage import storages

storage = storages["staticfiles"]
storage.save("before.txt", ContentFile(b"before"))
signal.alarm(60)
child = os.fork()
name = "parent" if child else "child"
for _ in range(5):
    storage.save(f"{name}.txt", ContentFile(name.encode()))
    assert storage.exists("before.txt")
    with storage.open("before.txt") as file:
        assert file.read() == b"before"
if child:
    assert os.waitpid(child, 0)[1] == 0
else:
    os._exit(0)
"""
