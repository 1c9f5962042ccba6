"""Run commands one after the other and write what they took: wall time, CPU time, peak memory.

``python -I -S measure.py RESULT '[["manage.py", "collectstatic"], ["rclone", "copy"]]'`` stops at the first command
that fails. It is a process of its own, and a small one, because the kernel counts the memory of the process that
forked into a child's peak.
"""

from __future__ import annotations

import json
import os
import sys
import time


def run(command: list[str]) -> dict[str, float]:
    """Run one command to its end, descendants included."""
    started = time.monotonic()
    pid = os.posix_spawnp(command[0], command, os.environ)
    _, status, usage = os.wait4(pid, 0)
    return {
        "exit": os.waitstatus_to_exitcode(status),
        "seconds": time.monotonic() - started,
        "cpu_seconds": usage.ru_utime + usage.ru_stime,
        # The largest process among the command and the descendants it has waited for.
        "peak_bytes": usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024),
    }


def main() -> None:
    result, commands = sys.argv[1], json.loads(sys.argv[2])
    steps = []
    for command in commands:
        steps.append(run(command))
        if steps[-1]["exit"]:
            break
    with open(result, "w") as file:
        json.dump(steps, file)


if __name__ == "__main__":
    main()
