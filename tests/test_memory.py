"""Memory does not grow with the size of files."""

from __future__ import annotations

import os
import textwrap
from pathlib import Path

import pytest

from .corpus import Project
from .rigs import Rig

MEGABYTE = 1_000_000
SIZE = 300 * MEGABYTE
LIMIT = 150 * MEGABYTE

#: What each step is, in a process of its own that tells the most memory it has used.
STEPS = {
    "saving": """
        with open(SOURCE, "rb") as file:
            storages["media"].save("saved.bin", File(file))
        """,
    "fetching": """
        with storages["media"].open("saved.bin") as file:
            assert file.seek(0, os.SEEK_END) == os.path.getsize(SOURCE)
        """,
    "publishing": """
        call_command("collectstatic", interactive=False, verbosity=0)
        """,
}
PROLOGUE = """
import os, resource
from django.core.files.base import File
from django.core.files.storage import storages
from django.core.management import call_command
SOURCE = os.environ["SOURCE"]
"""
# Not ru_maxrss where it can be helped: on Linux a process inherits that from the one that started it.
EPILOGUE = """
try:
    with open("/proc/self/status") as status:
        print(next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM:")))
except FileNotFoundError:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.parametrize("rig", ["s3-rclone"], indirect=True)
def test_a_large_file_is_never_held_in_memory(rig: Rig, tmp_path: Path) -> None:
    direct = {"endpoint_url": rig.server.url}
    project = Project.make(tmp_path, rig, role="static", **direct)
    project.settings["STORAGES"]["media"] = rig.settings_for(
        "media", mirror_location=str(tmp_path / "media"), location="media", **direct
    )
    project.write()
    source = project.directory / "static" / "large.bin"
    with source.open("wb") as file:
        file.write(os.urandom(MEGABYTE))
        file.truncate(SIZE)

    peaks = {}
    for step, code in STEPS.items():
        result = project.python(PROLOGUE + textwrap.dedent(code) + EPILOGUE, fresh=True, SOURCE=str(source))
        assert result.returncode == 0, result
        peaks[step] = int(result.last_line)
        (tmp_path / "media" / "saved.bin").unlink(missing_ok=True)

    assert all(peak < LIMIT for peak in peaks.values()), peaks
    for name in ("media/saved.bin", "large.bin"):
        assert rig.raw_head(name).size == SIZE
