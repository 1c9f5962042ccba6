"""Measure what a large release costs, and what a large bucket adds to it.

``python tests/bench/scale.py [--quick]`` deploys generated files, hashed with MSE, to a bucket that is simulated
(``endless.py``): releases of 1,000, 10,000 and 100,000 files to an empty bucket; then 10,000 files to buckets with a
million objects of other people's, and ten million. Writes scale.json, scale.md and scale.svg into ``docs/benchmark/``.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.bench import machine  # noqa: E402
from tests.bench.corpus import CACHE, Corpus, remove, scratch, sweep  # noqa: E402
from tests.bench.endless import DIRECTORIES, kind  # noqa: E402
from tests.bench.scenarios import deploy  # noqa: E402
from tests.bench.servers import BUCKET, Controlled  # noqa: E402
from tests.bench.variants import BY_NAME, SCENARIOS  # noqa: E402

OUTPUT = {False: ROOT / "docs" / "benchmark", True: ROOT / "tests" / "bench" / "output"}
VARIANT = BY_NAME["ours-mse-all"]
IMAGE = "d000/f00001.svg"
#: Files in the release that the buckets of other people's objects are measured with.
USUAL = 10_000
#: How much more memory than with an empty bucket the same release may take.
MEMORY_LIMIT = 100_000_000

LAYOUTS = {
    "media": "uploads under a prefix of their own",
    "scattered": "files in the release's own directories",
    "old": "hashed files of a hundred earlier releases",
}


class Endless(Controlled):
    """The simulated bucket in a process of its own."""

    name = "bench-endless"

    def __init__(self, layout: str, foreign: int, latency_ms: float) -> None:
        super().__init__()
        self.options = ["--layout", layout, "--foreign", str(foreign), "--latency-ms", str(latency_ms)]
        self.latency_ms = latency_ms

    def command(self) -> list[str]:
        return [sys.executable, "-m", "tests.bench.endless", "--port", str(self.port), *self.options]

    def environment(self) -> dict[str, str]:
        return {**super().environment(), "PYTHONPATH": str(ROOT)}


@dataclass
class Cost:
    """One deployment."""

    files: int
    layout: str
    foreign: int
    scenario: str
    seconds: float
    cpu_seconds: float
    peak_bytes: int
    requests: int
    kinds: dict[str, int]
    wrong: str | None


def generated(files: int) -> Corpus:
    """Return a corpus of this many files of 1 to 3 kB: images, scripts, and CSS that refers to an image each."""
    directory = CACHE / "corpus" / f"generated-{files}"
    if not directory.is_dir():
        partial = directory.with_suffix(".partial")
        remove(partial)
        for number in range(files):
            _generate(partial, *divmod(number, -(-files // DIRECTORIES)), files)
        partial.rename(directory)
    size = sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())
    return Corpus(f"generated-{files}", directory, files, size, (), IMAGE)


def _generate(root: Path, directory: int, number: int, files: int) -> None:
    chance = random.Random(f"{files} {directory} {number}")
    filler = "".join(f"{chance.getrandbits(64):016x}\n" for _ in range(chance.randrange(60, 180)))
    contents = {
        "css": f".a {{ background: url(f{number + 1:05d}.svg) }}\n/*{filler}*/\n",
        "svg": f"<svg xmlns='http://www.w3.org/2000/svg'><desc>{filler}</desc></svg>\n",
        "js": f"console.log(`{filler}`);\n",
    }
    path = root / f"d{directory:03d}" / f"f{number:05d}.{kind(number)}"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(contents[kind(number)])


def measure(files: int, layout: str, foreign: int, latency_ms: float, scenarios: list[str]) -> Iterator[Cost]:
    """Deploy a generated corpus to a simulated bucket, scenario after scenario."""
    corpus = generated(files)
    with scratch() as work, Endless(layout, foreign, latency_ms) as server, corpus.restored():
        urlopen(Request(f"{server.url}/{BUCKET}", method="PUT"), timeout=10).close()
        for scenario in scenarios:
            if scenario == "one-changed":
                corpus.change_one()
            server.reset()
            steps, output = deploy(VARIANT, server.url, corpus, work, scenario)
            seen = server.counts()
            wrong = output.strip()[-300:] if steps[-1]["exit"] else None
            if scenario == "cold" and seen["kinds"].get("PUT", 0) < 2 * files:
                wrong = wrong or f"{seen['kinds'].get('PUT', 0)} files sent, not {2 * files}"
            yield Cost(
                *(files, layout, foreign, scenario),
                seconds=sum(step["seconds"] for step in steps),
                cpu_seconds=sum(step["cpu_seconds"] for step in steps),
                peak_bytes=int(max(step["peak_bytes"] for step in steps)),
                requests=seen["requests"],
                kinds=seen["kinds"],
                wrong=wrong,
            )


def table(costs: list[Cost], latency_ms: float) -> str:
    """Return both questions' answers as Markdown."""
    lines = [
        f"### What a release costs, by its size ({latency_ms:g} ms per request, empty bucket before)\n",
        "| files | | seconds | client CPU s | peak MB | requests |",
        "|--:|---|--:|--:|--:|---|",
    ]
    lines += [
        f"| {cost.files:,} | {SCENARIOS[cost.scenario]}{_fault(cost)} | {_figures(cost)} |"
        for cost in costs
        if not cost.foreign
    ]
    lines += [
        f"\n### What other objects in the bucket add to a release of {USUAL:,} files\n",
        "| other objects | | | seconds | client CPU s | peak MB | requests | more memory than without, MB |",
        "|--:|---|---|--:|--:|--:|---|--:|",
    ]
    for cost in (one for one in costs if one.files == USUAL):
        where = LAYOUTS[cost.layout] if cost.foreign else ""
        more = "–" if (added := added_memory(cost, costs)) is None else f"{added / 1e6:.0f}"
        lines.append(
            f"| {cost.foreign:,} | {where} | {SCENARIOS[cost.scenario]}{_fault(cost)} | {_figures(cost)} | {more} |"
        )
    return "\n".join(lines) + "\n"


def _figures(cost: Cost) -> str:
    kinds = ", ".join(f"{count:,} {kind}" for kind, count in sorted(cost.kinds.items()))
    return f"{cost.seconds:.1f} | {cost.cpu_seconds:.1f} | {cost.peak_bytes / 1e6:.0f} | {kinds}"


def _fault(cost: Cost) -> str:
    return f" (**wrong**: {cost.wrong.splitlines()[-1][:80]})" if cost.wrong else ""


def added_memory(cost: Cost, costs: list[Cost]) -> int | None:
    """Return by how many bytes the peak exceeds that of the same deployment to an empty bucket."""
    alone = next(
        (one for one in costs if not one.foreign and (one.files, one.scenario) == (cost.files, cost.scenario)), None
    )
    return cost.peak_bytes - alone.peak_bytes if alone and cost.foreign else None


def plot(costs: list[Cost], path: Path) -> None:
    """Draw time and memory against the number of files."""
    import matplotlib

    matplotlib.use("svg")
    import matplotlib.pyplot as plt

    matplotlib.rcParams.update({"svg.hashsalt": "localmirror", "font.size": 9})
    figure, (times, peaks) = plt.subplots(1, 2, figsize=(8, 3.2))
    alone = [cost for cost in costs if not cost.foreign]
    for scenario in dict.fromkeys(cost.scenario for cost in alone):
        shown = [cost for cost in alone if cost.scenario == scenario]
        files = [cost.files for cost in shown]
        times.plot(files, [cost.seconds for cost in shown], marker="o", label=SCENARIOS[scenario])
        peaks.plot(files, [cost.peak_bytes / 1e6 for cost in shown], marker="o", label=SCENARIOS[scenario])
    for panel, title in ((times, "seconds"), (peaks, "peak memory, MB")):
        panel.set_xscale("log")
        panel.set_title(title, loc="left", fontsize=10)
        panel.set_xlabel("files in the release")
        panel.grid(alpha=0.3)
    times.set_yscale("log")
    peaks.set_ylim(bottom=0)
    times.legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="no release over 10,000 files, one layout")
    parser.add_argument("--latency", type=float, default=30, metavar="MS", help="milliseconds added to a request")
    parser.add_argument("--files", type=int, nargs="+", metavar="N", help="sizes of the releases")
    parser.add_argument("--foreign", nargs="+", metavar="LAYOUT:N", help=f"layouts: {', '.join(LAYOUTS)}")
    parser.add_argument("--output", type=Path, help="where scale.json, scale.md and scale.svg go")
    options = parser.parse_args()
    sizes = options.files or ([1_000, USUAL] if options.quick else [1_000, USUAL, 100_000])
    wanted = options.foreign or ["media:1000000"]
    if not (options.quick or options.foreign):
        wanted += ["scattered:1000000", "old:1000000", "media:10000000"]
    plans = [(files, "media", 0, ["cold", "unchanged", "one-changed"]) for files in sizes]
    for what in wanted:
        layout, _, count = what.partition(":")
        plans.append((USUAL, layout, int(count), ["cold", "unchanged"]))
    costs: list[Cost] = []
    for files, layout, foreign, scenarios in plans:
        for cost in measure(files, layout, foreign, options.latency, scenarios):
            costs.append(cost)
            added = added_memory(cost, costs)
            more = "" if added is None else f"  {added / 1e6:+.0f} MB"
            print(
                f"{files:7,} files  {foreign:10,} {layout:9}  {cost.scenario:12} {cost.seconds:7.1f} s"
                f"  {cost.peak_bytes / 1e6:4.0f} MB  {cost.kinds}{more}{_fault(cost)}",
                flush=True,
            )
    sweep()
    directory = options.output or (
        ROOT / "tests" / "bench" / "output" if options.quick else ROOT / "docs" / "benchmark"
    )
    directory.mkdir(parents=True, exist_ok=True)
    results: dict[str, Any] = {
        "made_by": "python tests/bench/scale.py " + " ".join(sys.argv[1:]),
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine.describe(),
        "latency_ms": options.latency,
        "costs": [asdict(cost) for cost in costs],
    }
    (directory / "scale.json").write_text(json.dumps(results, indent=1) + "\n")
    (directory / "scale.md").write_text(table(costs, options.latency))
    plot(costs, directory / "scale.svg")
    most = max((added for cost in costs if (added := added_memory(cost, costs)) is not None), default=0)
    is_met = most <= MEMORY_LIMIT and not any(cost.wrong for cost in costs)
    print(f"{'met' if is_met else 'MISSED'}: {most / 1e6:.0f} MB above an empty bucket (limit 100); {directory}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
