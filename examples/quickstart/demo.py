"""Deploys the site in `project/` to an S3 server on this machine, four times; `--serve` then lets you look at it.

The site's own settings and templates are in `project/`; what is here only tells the story.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from s3_server import CREDENTIALS, S3, s3_server, serving

HERE = Path(__file__).resolve().parent
BUCKET = "quickstart"
MANIFEST = "staticfiles.json"
IMAGE = "pages/img/harbour.svg"
COLLECT = ["python", "manage.py", "collectstatic", "--noinput", "--report", "report.json"]
KINDS = ("LIST", "GET", "HEAD", "POST", "DELETE", "PUT")


@dataclass
class Deployment:
    """What one run of collectstatic did: its exit code, its report, and what the server saw of it."""

    title: str
    exit_code: int
    report: dict[str, Any]
    requests: Counter[str]
    objects: int
    seconds: float


class Demo:
    """A copy of the site in *directory*, and the bucket that it is deployed to."""

    def __init__(self, directory: Path, s3: S3) -> None:
        self.directory = directory
        self.s3 = s3
        self.deployments: list[Deployment] = []
        shutil.copytree(HERE / "project", directory, ignore=shutil.ignore_patterns("mirror", "__pycache__"))

    def deploy(self, title: str) -> Deployment:
        """Run collectstatic as one would by hand, and note what became of it."""
        print(f"    $ {' '.join(COLLECT)}")
        self.s3.gate.take_counts()
        started = time.monotonic()
        done = subprocess.run([sys.executable, *COLLECT[1:]], cwd=self.directory, check=False)
        seconds = time.monotonic() - started
        requests = self.s3.gate.take_counts()
        print(f"    exit code {done.returncode}")
        report_file = self.directory / "report.json"
        if not report_file.exists():
            sys.exit("collectstatic has not come as far as publishing: see its message above.")
        report = json.loads(report_file.read_text(encoding="utf-8"))
        report_file.unlink()
        made = Deployment(title, done.returncode, report, requests, len(self.s3.names()), seconds)
        self.deployments.append(made)
        return made

    def paint_harbour(self, old: str, new: str) -> None:
        """Change one colour of the image that the site's CSS refers to."""
        image = self.directory / "pages" / "static" / IMAGE
        image.write_text(image.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")

    def hashed_names(self) -> dict[str, str]:
        """Return the public manifest: the hashed name of every plain one."""
        paths: dict[str, str] = json.loads(self.s3.read(MANIFEST))["paths"]
        return paths

    def missing(self) -> set[str]:
        """Return what the public manifest names and the bucket lacks."""
        return set(self.hashed_names().values()) - self.s3.names()

    def promise(self, kept: bool, what: str) -> None:
        """Print what has to be true now; end the demonstration if it is not."""
        print(f"    {'yes' if kept else 'NO '}  {what}")
        if not kept:
            sys.exit("That should have been true.")


def tell_story(demo: Demo) -> None:
    """Deploy, change one image, break an upload, repair it; say after each step what has to be true."""
    print("\n1. First deployment, to an empty bucket")
    first = demo.deploy("first deployment")
    demo.promise(first.exit_code == 0 and not demo.missing(), "every file that the manifest names is public")

    print("\n2. Nothing has changed")
    same = demo.deploy("nothing changed")
    besides = same.requests.total() - same.requests["LIST"]
    demo.promise(
        same.exit_code == 0 and not same.requests["PUT"] and besides <= 2,
        "no file was sent, and none was asked about by itself",
    )

    print(f"\n3. One image changes: {IMAGE}, which pages/css/site.css refers to")
    before = demo.hashed_names()
    demo.paint_harbour("#1d7a8c", "#6d4c7d")
    changed = demo.deploy("one image changed")
    after = demo.hashed_names()
    moved = sorted(name for name in after if after[name] != before.get(name))
    for name in moved:
        print(f"         {before.get(name)} -> {after[name]}")
    demo.promise(
        moved == ["pages/css/site.css", IMAGE] and changed.report["uploaded"] == 3,
        "the image, its hashed copy and the CSS that names it went up, and nothing else; "
        f"{changed.requests['PUT'] - changed.report['uploaded']} more requests made the release live",
    )

    print("\n4. The image changes again, and the bucket refuses its hashed copy")
    manifest = demo.s3.read(MANIFEST)
    demo.paint_harbour("#6d4c7d", "#26395c")
    demo.s3.gate.refused = "pages/img/harbour.*.svg"
    broken = demo.deploy("upload refused")
    demo.promise(broken.exit_code != 0, "the exit code says that it failed")
    refused = [failure["name"] for failure in broken.report["failed"]]
    demo.promise(
        len(refused) == 1 and broken.report["uploaded"] == 2,
        f"one file failed, by name: {', '.join(refused)}; the others went up",
    )
    demo.promise(demo.s3.read(MANIFEST) == manifest, "the public manifest is byte for byte what it was")
    demo.promise(not demo.missing(), "the old release is live: every file that it names is still there")

    print("\n5. The bucket is repaired")
    demo.s3.gate.refused = None
    repaired = demo.deploy("run again")
    demo.promise(repaired.exit_code == 0 and repaired.report["uploaded"] == 1, "only what was missing went up")
    demo.promise(
        demo.s3.read(MANIFEST) != manifest and not demo.missing(), "the new release is live, with all its files"
    )


def print_table(deployments: list[Deployment]) -> None:
    """Print a line for each deployment: its files, the objects in the bucket, requests by kind, seconds."""
    kinds = [kind for kind in KINDS if any(made.requests[kind] for made in deployments)]
    heads = ("files", "objects", "uploaded", "current", "failed", *kinds, "seconds")
    widths = [max(5, len(head) + 1) for head in heads]
    print(f"\n{'':17}" + "".join(f"{head:>{width}}" for head, width in zip(heads, widths, strict=True)))
    for made in deployments:
        report = made.report
        numbers = [report["staged"], made.objects, report["uploaded"], report["current"], len(report["failed"])]
        cells = [*numbers, *(made.requests[kind] for kind in kinds), f"{made.seconds:.1f}"]
        print(f"{made.title:17}" + "".join(f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=True)))
    print("\nfiles: names in the release, hashed copies among them; current: already there.")
    print("objects: in the bucket afterwards, with the manifest and the records of releases.")
    print(f"{', '.join(kinds)}: requests that the server received.")


def serve(demo: Demo) -> None:
    """Serve the site, its static files from the bucket, until Ctrl-C or SIGTERM."""
    sys.path.insert(0, str(demo.directory))
    from quickstart.wsgi import application

    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with serving(application) as address:
        print(f"\nOpen {address}/ in a browser; its static files come from {demo.s3.endpoint}/{BUCKET}/")
        print("Ctrl-C stops both.")
        stop.wait()
    print("\nStopped.")


def prepare_environment() -> None:
    """Let nothing that this machine has configured for AWS, or for proxies, reach the demonstration."""
    for name in [name for name in os.environ if name.startswith("AWS_") or name == "DJANGO_SETTINGS_MODULE"]:
        del os.environ[name]
    os.environ |= {name.upper(): value for name, value in CREDENTIALS.items()}
    os.environ |= {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}
    os.environ |= {"AWS_DEFAULT_REGION": "us-east-1", "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}


def main() -> None:
    """Run the demonstration; the exit code is not 0 if anything was not as it has to be."""
    parser = argparse.ArgumentParser(description="Deploy a small site to an S3 server on this machine.")
    parser.add_argument("--serve", action="store_true", help="keep it running afterwards, with a page to open")
    arguments = parser.parse_args()
    prepare_environment()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: leave neither files nor processes behind
    with TemporaryDirectory(prefix="localmirror-quickstart-") as directory, s3_server(BUCKET) as s3:
        os.environ["QUICKSTART_S3_ENDPOINT"] = s3.endpoint
        print(f"An S3 server runs at {s3.endpoint}, with an empty bucket named {BUCKET}.")
        demo = Demo(Path(directory) / "project", s3)
        tell_story(demo)
        print_table(demo.deployments)
        if arguments.serve:
            serve(demo)


if __name__ == "__main__":
    sys.stdout.reconfigure(line_buffering=True)  # what collectstatic prints has to come between
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
