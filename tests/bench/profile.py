"""Show where the time of a deployment goes: phase by phase, and who uses the processor meanwhile.

``python tests/bench/profile.py [--rounds 5]`` deploys the large corpus, hashed with MSE, at 30 ms a request, into an
empty bucket and then as a new builder into the full one. Medians go to ``docs/benchmark/profile.md``. Linux only: it
reads ``/proc``.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.bench.corpus import corpus, scratch, sweep  # noqa: E402
from tests.bench.machine import wait_until_quiet  # noqa: E402
from tests.bench.scenarios import remove  # noqa: E402
from tests.bench.servers import Rig  # noqa: E402
from tests.bench.variants import BY_NAME, SCENARIOS  # noqa: E402

LATENCY_MS = 30
PHASES = Path(__file__).with_name("phases.py")
OUTPUT = ROOT / "docs" / "benchmark" / "profile.md"
TICKS = os.sysconf("SC_CLK_TCK")

#: Phase: wall time, CPU time of the main thread, CPU time of all other threads, in seconds.
Profile = dict[str, tuple[float, float, float]]
FAR = "server and proxy"


def cpu_of_children(leaders: list[int]) -> float:
    """Return the CPU seconds that the sessions of *leaders* have used."""
    used = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:  # ended meanwhile
            continue
        if int(fields[3]) in leaders:
            used += int(fields[11]) + int(fields[12])
    return used / TICKS


def profiled(command: list[str], environment: dict[str, str], work: Path, rig: Rig) -> Profile:
    """Run one deployment and return what its phases took."""
    leaders = [server._process.pid for server in (rig.server, rig.proxy) if server._process is not None]
    result, far, started = work / "phases.json", cpu_of_children(leaders), time.time()
    python, *arguments = command
    subprocess.run(
        [python, str(PHASES), str(result), str(started), *arguments],
        check=True,
        env=environment,
        stdout=subprocess.DEVNULL,
    )
    ended = time.time()
    phases: list[tuple[str, float, float, float]] = [tuple(row) for row in json.loads(result.read_text())]
    name, seconds, mine, others = phases[-1]
    phases[-1] = name, seconds + ended - started - sum(row[1] for row in phases), mine, others
    return {row[0]: row[1:] for row in phases} | {FAR: (0, 0, cpu_of_children(leaders) - far)}


def profiles(rounds: int) -> dict[str, list[Profile]]:
    """Deploy as often as asked, cold and as a new builder."""
    variant, files = BY_NAME["ours-mse-all"], corpus("large")
    found: dict[str, list[Profile]] = {"cold": [], "fresh-builder": []}
    for _ in range(rounds):
        with scratch() as work, Rig(LATENCY_MS) as rig, files.restored():
            environment = variant.environment(rig.proxy.url, files.directory, work)
            for scenario, runs in found.items():
                remove(work / "static")
                wait_until_quiet(20)
                (command,) = variant.commands(scenario, work / "static")
                runs.append(profiled(command, environment, work, rig))
    return found


def table(found: dict[str, list[Profile]]) -> str:
    """Return the medians as Markdown."""
    lines = []
    for scenario, runs in found.items():
        lines += [
            f"{SCENARIOS[scenario]}, at {LATENCY_MS} ms, medians of {len(runs)}:",
            "",
            "| phase | seconds | CPU, main thread | CPU, other threads |",
            "|---|--:|--:|--:|",
        ]
        sums = [0.0, 0.0, 0.0]
        for phase in runs[0]:
            # The clocks of thread and process are read one after the other: what is nothing may come out as less.
            medians = [max(0.0, statistics.median(run[phase][column] for run in runs)) for column in range(3)]
            sums = [a + b for a, b in zip(sums, medians, strict=True)]
            if phase == FAR:
                lines.append(f"| *{phase}, on the same cores* | | | {medians[2]:.2f} |")
            else:
                lines.append(f"| {phase} | {medians[0]:.2f} | {medians[1]:.2f} | {medians[2]:.2f} |")
        lines += [f"| **sum** | **{sums[0]:.2f}** | **{sums[1]:.2f}** | **{sums[2]:.2f}** |", ""]
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5, help="how often each deployment runs; medians are reported")
    options = parser.parse_args()
    text = table(profiles(options.rounds))
    sweep()
    OUTPUT.write_text(text)
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
