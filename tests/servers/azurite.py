"""Azure Blob Storage by Azurite (Node): from AZURITE_MAIN, or .cache/azurite, where npm installs it."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
from pathlib import Path

from .base import HOST, ProcessServer

ACCOUNT = "devstoreaccount1"
#: The key of the development account, which is the same in every Azurite and printed in its documentation.
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
CACHE = Path(__file__).resolve().parent.parent.parent / ".cache" / "azurite"
MAIN = "node_modules/azurite/dist/src/blob/main.js"
INSTALL_SECONDS = 300


class Azurite(ProcessServer):
    """Azurite's blob service, holding everything in memory; ``url`` ends with the account's name."""

    name = "azurite"

    @classmethod
    def available(cls) -> str | None:
        return _find()[1]

    @property
    def url(self) -> str:
        return f"{super().url}/{ACCOUNT}"

    def connection_string(self, endpoint: str | None = None) -> str:
        """Return the connection string for this server, or for a proxy in front of it."""
        words = {
            "DefaultEndpointsProtocol": "http",
            "AccountName": ACCOUNT,
            "AccountKey": KEY,
            "BlobEndpoint": endpoint or self.url,
        }
        return ";".join(f"{key}={value}" for key, value in words.items())

    def command(self) -> list[str]:
        return [
            *["node", str(_find()[0]), "--blobHost", HOST, "--blobPort", str(self.port)],
            *["--inMemoryPersistence", "--loose", "--skipApiVersionCheck", "--disableTelemetry", "--silent"],
        ]


@functools.cache
def _find() -> tuple[Path | None, str | None]:
    """Return Azurite's main file, or why there is none."""
    if shutil.which("node") is None:
        return None, "node is not installed"
    if "AZURITE_MAIN" in os.environ:
        main = Path(os.environ["AZURITE_MAIN"])
        return (main, None) if main.exists() else (None, f"AZURITE_MAIN={main} does not exist")
    main = CACHE / MAIN
    if main.exists():
        return main, None
    npm = shutil.which("npm")
    if npm is None:
        return None, "azurite is not in .cache/azurite, and npm is not installed to put it there"
    CACHE.mkdir(parents=True, exist_ok=True)
    command = [npm, "install", "--no-audit", "--no-fund", "--prefix", str(CACHE), "azurite"]
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_SECONDS)
    except subprocess.TimeoutExpired:
        return None, f"npm install azurite did not end within {INSTALL_SECONDS} s"
    if result.returncode or not main.exists():
        return None, f"npm install azurite failed: {result.stderr.strip()[-300:]}"
    return main, None
