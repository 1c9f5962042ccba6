"""What the tests of several adapters need."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..corpus import REPOSITORY
from ..rigs import Rig

#: Megabytes that a process may need at most, whatever the size of the files that it moves.
MEMORY_LIMIT = 150


def peak_megabytes(rig: Rig, code: str, **options: Any) -> int:
    """Run *code*, which finds a mirrored media storage as ``storage``, in a process of its own; return its peak."""
    entry = rig.settings_for("media", **options)
    lines = [
        "import re",
        "import django",
        "from django.conf import settings",
        f"settings.configure(USE_TZ=True, FILE_UPLOAD_TEMP_DIR={str(rig.directory)!r})",
        "django.setup()",
        "from django.utils.module_loading import import_string",
        f"storage = import_string({entry['BACKEND']!r})(**{entry['OPTIONS']!r})",
        code,
        # Not getrusage: what it gives begins with the peak of the process that started this one.
        r"print(re.search(r'VmHWM:\s+(\d+) kB', open('/proc/self/status').read())[1])",
    ]
    result = subprocess.run(
        [sys.executable, "-c", "\n".join(lines)],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert result.returncode == 0, result.stderr
    return int(result.stdout.split()[-1]) // 1024


def forked(check: Callable[[], None]) -> int:
    """Return the exit status of a child process that was forked from this one to run *check*: 0 if it passed."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            check()
            status = 0
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def import_without(package: str, module: str) -> str:
    """Return what a process that lacks *package* prints when it imports *module*."""
    code = f"import sys\nsys.modules[{package!r}] = None\nimport {module}\n"
    command = [sys.executable, "-c", code]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60).stderr


def mirrored(rig: Rig) -> dict[str, bytes]:
    """Return all files of the mirror with their bytes, localmirror's own left out."""
    files = {path.relative_to(rig.mirror).as_posix(): path for path in rig.mirror.rglob("*") if path.is_file()}
    return {name: Path(path).read_bytes() for name, path in files.items() if not name.startswith(".localmirror/")}
