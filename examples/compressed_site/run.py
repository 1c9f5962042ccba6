"""Deploys the site in `project/` to an S3 server on this machine, behind a CDN, and serves it for you to look at.

Change a file of the site, press Enter, and it is deployed again. Everything is gone when it ends. The site's own
settings and templates are in `project/`; what is here only starts what it needs.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.error import HTTPError
from urllib.request import urlopen

HERE = Path(__file__).resolve().parent
# The S3 server is the quickstart's.
sys.path.append(str(HERE.parent / "quickstart"))
# moto reads it when it is imported. Without it every bucket would let every origin read, which on AWS none does.
os.environ["MOTO_DISABLE_GLOBAL_CORS"] = "true"

import boto3  # noqa: E402
from cdn import cdn  # noqa: E402
from demo import prepare_environment  # noqa: E402
from s3_server import CREDENTIALS, s3_server, serving  # noqa: E402

BUCKET = "tidewater"
SECONDS = 60.0


class Site:
    """A copy of the site in *directory*, and the process that serves its pages on *port*."""

    def __init__(self, directory: Path, port: int, *, offline: bool) -> None:
        self.directory = directory
        self.port = port
        self.address = f"http://127.0.0.1:{port}"
        self.offline = offline
        self.process: subprocess.Popen[bytes] | None = None
        shutil.copytree(HERE / "project", directory, ignore=shutil.ignore_patterns("mirror", "__pycache__"))

    def manage(self, *arguments: str) -> bool:
        """Run a command as one would by hand, and return whether it succeeded."""
        print(f"$ python manage.py {' '.join(arguments)}")
        done = subprocess.run([sys.executable, "manage.py", *arguments], cwd=self.directory, check=False)
        return done.returncode == 0

    def deploy(self) -> bool:
        """Publish the static files, compress what the templates name, then start the new code in the old one's place.

        Return False, with the old pages still served, if a command failed.
        """
        done = self.manage("collectstatic", "--noinput") and (not self.offline or self.manage("compress"))
        if done:
            self.stop()
            self.start()
        return done

    def start(self) -> None:
        """Serve the pages with Django's own server, and return when it answers."""
        command = ["manage.py", "runserver", "--noreload", "--nostatic", f"127.0.0.1:{self.port}"]
        self.process = subprocess.Popen(
            [sys.executable, *command], cwd=self.directory, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        )
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            if accepts_connections(self.port):
                return
            time.sleep(0.1)
        sys.exit("The site does not answer: see above.")

    def stop(self) -> None:
        """End the process that serves the pages, if there is one."""
        process, self.process = self.process, None
        if process is not None:
            process.terminate()
            process.wait()


def accepts_connections(port: int) -> bool:
    """Return whether something listens on *port*."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def free_port() -> int:
    """Return a port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def let_pages_read(endpoint: str, origin: str) -> None:
    """Tell the bucket that pages of *origin* may have its fonts and modules, which no browser takes otherwise."""
    rule = {"AllowedOrigins": [origin], "AllowedMethods": ["GET", "HEAD"], "MaxAgeSeconds": 3600}
    client = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1", **CREDENTIALS)
    client.put_bucket_cors(Bucket=BUCKET, CORSConfiguration={"CORSRules": [rule]})


def tell(site: Site, cdn_address: str) -> None:
    """Say where the page is; the first visit may take a moment where nothing was compressed beforehand."""
    try:
        with urlopen(site.address, timeout=SECONDS) as page:
            page.read()
    except HTTPError as error:
        print(f"The page cannot be rendered ({error}): see above.")
    print(f"\nOpen {site.address}/ in a browser; its files come from {cdn_address}/static/")
    print(f"The site is in {site.directory}: change a file there and press Enter. Ctrl-C ends it all.")


def main() -> None:
    """Deploy once, then again for each line of standard input, until Ctrl-C or SIGTERM."""
    parser = argparse.ArgumentParser(description="Deploy a site with compressed files to a machine that has it all.")
    parser.add_argument("--online", action="store_true", help="compress when a page is rendered, not when deploying")
    arguments = parser.parse_args()
    prepare_environment()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: leave neither files nor processes behind
    with (
        TemporaryDirectory(prefix="localmirror-compressed-site-") as directory,
        s3_server(BUCKET) as s3,
        serving(cdn(s3.endpoint, BUCKET)) as cdn_address,
    ):
        os.environ["SITE_S3_ENDPOINT"] = s3.endpoint
        os.environ["SITE_CDN_DOMAIN"] = cdn_address.removeprefix("http://")
        os.environ["SITE_COMPRESS"] = "online" if arguments.online else "offline"
        site = Site(Path(directory) / "project", free_port(), offline=not arguments.online)
        let_pages_read(s3.endpoint, site.address)
        print(f"An S3 server runs at {s3.endpoint}, with a bucket named {BUCKET}, a CDN before it at {cdn_address}.")
        try:
            if not site.deploy():
                sys.exit("Nothing is served: see above.")
            tell(site, cdn_address)
            for _ in sys.stdin:
                if site.deploy():
                    tell(site, cdn_address)
                else:
                    print("\nNothing has changed for visitors: see above.")
            threading.Event().wait()  # nobody there to press Enter
        except KeyboardInterrupt:
            print("\nStopped.")
        finally:
            site.stop()


if __name__ == "__main__":
    sys.stdout.reconfigure(line_buffering=True)  # what the commands print has to come between
    main()
