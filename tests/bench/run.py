"""Measure deployments side by side: ours, and every other way that people use today.

``python tests/bench/run.py [--quick] [--latency 0 10 30] [--rounds 5] [--variants …] [--scenarios …] [--corpus …]``

Every round runs each variant once, on a server, a bucket and a local directory of its own; what the bucket then holds
is compared with what local collectstatic makes of the same files. Results go to ``docs/benchmark/`` (``--quick``: to
``tests/bench/output/``). The corpus is fetched from PyPI on the first run and kept in ``.cache/bench``.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.bench import machine, report  # noqa: E402
from tests.bench.corpus import CORPORA, Corpus, Reference, corpus, reference, scratch, sweep  # noqa: E402
from tests.bench.scenarios import Deployment, Run  # noqa: E402
from tests.bench.variants import BASELINE, BY_NAME, MANAGE, SCENARIOS, VARIANTS, awscli  # noqa: E402

OURS = [variant.name for variant in VARIANTS if variant.name.startswith("ours-")]
QUICK = [*OURS, BASELINE, "stock-rclone-tuned", "stock-rclone"]
OUTPUT = {False: ROOT / "docs" / "benchmark", True: ROOT / "tests" / "bench" / "output"}


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="about 500 files, one latency, three minutes")
    parser.add_argument("--latency", type=float, nargs="+", metavar="MS", help="milliseconds added to a request")
    parser.add_argument("--rounds", type=int, help="how often each variant runs; medians are reported")
    parser.add_argument("--variants", nargs="+", choices=BY_NAME, metavar="NAME", help=", ".join(BY_NAME))
    parser.add_argument("--scenarios", nargs="+", choices=SCENARIOS, metavar="NAME", help=", ".join(SCENARIOS))
    parser.add_argument("--corpus", nargs="+", choices=CORPORA, metavar="NAME", help=", ".join(CORPORA))
    parser.add_argument("--output", type=Path, help="where results.json, table.md and plot.svg go")
    parser.add_argument("--quiet-wait", type=float, metavar="S", help="seconds to wait for a quiet machine at most")
    options = parser.parse_args(arguments)
    options.latency = options.latency or ([30] if options.quick else [0, 10, 30])
    options.rounds = options.rounds or (2 if options.quick else 3)
    options.variants = options.variants or (QUICK if options.quick else list(BY_NAME))
    options.scenarios = options.scenarios or list(SCENARIOS)
    options.corpus = options.corpus or (["small"] if options.quick else sorted(CORPORA))  # the large one first
    options.quiet_wait = options.quiet_wait if options.quiet_wait is not None else (1 if options.quick else 20)
    options.output = options.output or OUTPUT[options.quick]
    return options


def references(files: Corpus, hashing: str) -> dict[bool, Reference]:
    """Collect the corpus locally, before and after the change of one file: what a right deployment holds."""
    found = {}
    for is_changed in (False, True):
        with scratch() as target, files.restored():
            if is_changed:
                files.change_one()
            environment = {
                "PATH": os.environ["PATH"],
                "BENCH_STORAGE": hashing,
                "BENCH_SOURCE": str(files.directory),
                "BENCH_STATIC_ROOT": str(target),
            }
            collect = [sys.executable, str(MANAGE), "collectstatic", "--noinput", "--verbosity", "0"]
            subprocess.run(collect, check=True, env=environment)
            found[is_changed] = reference(target)
    return found


def measure(options: argparse.Namespace) -> Iterator[Run]:
    """Run everything that was asked for, variants interleaved within each round."""
    until = [name for name in SCENARIOS if name in options.scenarios][-1]
    for name in options.corpus:
        files = corpus(name)
        variants = [BY_NAME[variant] for variant in options.variants if name in BY_NAME[variant].corpora]
        known = {hashing: references(files, hashing) for hashing in sorted({variant.hashing for variant in variants})}
        for latency in options.latency:
            for number in range(1, options.rounds + 1):
                for variant in (one for one in variants if number <= one.max_rounds):
                    deployment = Deployment(variant, files, known[variant.hashing])
                    for run in deployment.run(latency, number, until, options.quiet_wait):
                        if run.scenario in options.scenarios:
                            yield run


def line(run: Run) -> str:
    """Return one run as a line of text."""
    fault = f"  WRONG: {run.wrong}" if run.wrong else ""
    return (
        f"{run.corpus} {run.latency_ms:g} ms  round {run.round}  {run.scenario:14} {run.variant:24}"
        f" {run.seconds:7.2f} s  CPU {run.cpu_seconds:6.2f} s  {run.peak_bytes / 1e6:4.0f} MB"
        f"  {run.traffic['requests']:6} requests{fault}"
    )


def main() -> int:
    options = parse()
    if any(BY_NAME[name].send == "aws" for name in options.variants):
        awscli()
    started = time.monotonic()
    runs: list[Run] = []
    is_whole = False
    # What has been measured until Ctrl-C is reported too.
    with contextlib.suppress(KeyboardInterrupt):
        for run in measure(options):
            runs.append(run)
            print(line(run), flush=True)
        is_whole = True
    sweep()
    if not runs:
        return 1
    rows = report.medians(runs)
    results: dict[str, Any] = {
        "made_by": "python tests/bench/run.py " + " ".join(sys.argv[1:]),
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "is_whole": is_whole,
        "took_seconds": round(time.monotonic() - started),
        "machine": machine.describe(),
        "corpora": {name: corpus(name).as_dict() for name in options.corpus},
        "variants": {name: BY_NAME[name].as_dict() for name in options.variants},
        "medians": rows,
        "goals": report.goals(rows),
        "runs": [run.as_dict() for run in runs],
    }
    report.write(results, options.output)
    print(f"\n{report.summary(results)}\nwritten to {options.output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
