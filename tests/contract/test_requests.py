"""Request counts: as few as on S3 wherever the provider lists whole buckets, and as the documentation gives them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.core.files.base import ContentFile

from ..corpus import Project
from ..deploying import MANIFEST
from ..rigs import Rig
from ..wire import Log
from .deploying import SITE, collect
from .halves import on
from .tables import table

TITLE = "What it costs in requests"
#: The columns of the documentation's table.
COLUMNS = {
    "s3-moto": "S3",
    "gcs-emulator": "Google Cloud",
    "azure-azurite": "Azure",
    "libcloud-s3-moto": "libcloud, S3 driver",
}
# rclone's server answers some uploads into a new directory with an error, and they are sent again.
counted = on(lambda rig: rig.http and rig.flat_listing and rig.name != "s3-rclone")


def recorded(rig: Rig, do: Callable[[], Any]) -> Log:
    with rig.wire.recording() as seen:
        do()
    return seen


def others(seen: Log, files: int = 0) -> int:
    """Return how many requests were no upload of one of so many files of the release, each sent once."""
    uploads = [name for name in seen.names("upload") if name != MANIFEST and not name.startswith(".localmirror/")]
    assert len(uploads) == len(set(uploads)) == files
    assert not seen.of("delete")
    return len(seen) - files


def documented(rig: Rig, row: str) -> str:
    return table(TITLE)[row][COLUMNS[rig.name]]


@counted
def test_deployments(rig: Rig, tmp_path: Path) -> None:
    project = Project.make(tmp_path, rig, files=SITE)

    cold = others(recorded(rig, lambda: collect(project)), 2 * len(SITE))
    unchanged = recorded(rig, lambda: collect(project))
    project.set_options(mirror_location=str(tmp_path / "fresh"))
    fresh = recorded(rig, lambda: collect(project))
    project.corpus.change("img/logo.png")
    # The image under both of its names, and the two style sheets that lead to it.
    changed = others(recorded(rig, lambda: collect(project)), 4)

    assert cold <= 6
    assert changed <= 6
    # obstore does not tell a key with a leading slash from one without; who has never published asks for them.
    assert fresh.operations()["list"] == (2 if rig.prefix == "S3" else 1)
    assert unchanged.operations()["list"] == 1
    for seen in (unchanged, fresh):
        assert others(seen) <= 3
        assert all(not name or name.startswith(".localmirror/") or name == MANIFEST for name in [r.name for r in seen])
    assert documented(rig, "first release, into an empty bucket") == f"n + {cold}"
    assert documented(rig, "k objects differ") == f"k + {changed}"
    assert documented(rig, "nothing has changed") == str(len(unchanged))
    assert documented(rig, "nothing has changed, on a new builder") == str(len(fresh))


@counted
def test_single_calls(rig: Rig) -> None:
    storage = rig.storage()
    storage.save("warm-up.txt", ContentFile(b"w"))
    rig.raw_put("remote.txt", b"r")
    rig.raw_put(MANIFEST, b'{"paths": {"a.txt": "a.0cc175b9c0f1.txt"}, "version": "1.1", "hash": ""}')
    calls: dict[str, Callable[[], Any]] = {
        "a small file is saved over": lambda: storage._save("a.txt", ContentFile(b"a")),
        "a page whose files are in the mirror": lambda: storage.open("a.txt").close(),
        "a file that is not in the mirror yet": lambda: storage.open("remote.txt").close(),
        "`exists`, of media and static files": lambda: storage.exists("a.txt"),
        "`delete`": lambda: storage.delete("a.txt"),
        "a process starts, with a manifest": lambda: rig.storage("manifest").url("a.txt"),
    }
    assert {row: documented(rig, row) for row in calls} == {
        row: str(len(recorded(rig, do))) for row, do in calls.items()
    }
