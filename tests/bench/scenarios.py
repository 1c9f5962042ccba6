"""The four deployments of a variant, one after the other on one bucket, each measured and then checked."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.bench.corpus import Corpus, Reference, remove, scratch
from tests.bench.machine import wait_until_quiet
from tests.bench.servers import Rig
from tests.bench.variants import SCENARIOS, Variant


@dataclass
class Run:
    """One measured deployment."""

    variant: str
    scenario: str
    corpus: str
    latency_ms: float
    round: int
    seconds: float
    cpu_seconds: float
    peak_bytes: int
    #: The share of the cores that other work took just before.
    others: float
    steps: list[dict[str, float]]
    traffic: dict[str, Any]
    #: None, or what is wrong with what the deployment left behind.
    wrong: str | None

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


class Deployment:
    """A variant at work: its rig, its corpus, its local directory."""

    def __init__(self, variant: Variant, corpus: Corpus, references: dict[bool, Reference]) -> None:
        self.variant, self.corpus, self.references = variant, corpus, references

    def run(self, latency_ms: float, number: int, until: str, quiet_wait: float) -> Iterator[Run]:
        """Run the scenarios up to ``until`` and yield what each took; wait for other work to end before each."""
        with scratch() as work, Rig(latency_ms) as rig, self.corpus.restored():
            for scenario in SCENARIOS:
                is_changed = scenario in {"one-changed", "fresh-builder"}
                if scenario == "one-changed":
                    # Django compares whole seconds, so the change must fall into a later one than the copy.
                    time.sleep(1.1)
                    self.corpus.change_one()
                elif scenario == "fresh-builder":
                    remove(work / "static")
                others = wait_until_quiet(quiet_wait)
                yield self._measure(rig, work, scenario, number, others, self.references[is_changed])
                if scenario == until:
                    return

    def _measure(self, rig: Rig, work: Path, scenario: str, number: int, others: float, reference: Reference) -> Run:
        rig.proxy.reset()
        steps, output = deploy(self.variant, rig.proxy.url, self.corpus, work, scenario)
        traffic = rig.proxy.counts()
        wrong = None
        if steps[-1]["exit"]:
            wrong = f"exit code {steps[-1]['exit']:.0f}: {output.strip()[-500:]}"
        return Run(
            *(self.variant.name, scenario, self.corpus.name, rig.latency_ms, number),
            seconds=sum(step["seconds"] for step in steps),
            cpu_seconds=sum(step["cpu_seconds"] for step in steps),
            peak_bytes=int(max(step["peak_bytes"] for step in steps)),
            others=round(others, 3),
            steps=steps,
            traffic=traffic,
            wrong=wrong or find_fault(rig, reference, hashed_only=self.variant.hashed_only),
        )


def deploy(
    variant: Variant, endpoint: str, corpus: Corpus, work: Path, scenario: str
) -> tuple[list[dict[str, float]], str]:
    """Run a variant's commands once; returns what each took, and their output."""
    result = work / "measured.json"
    commands = variant.commands(scenario, work / "static")
    launcher = [sys.executable, "-I", "-S", str(Path(__file__).with_name("measure.py"))]
    done = subprocess.run(
        [*launcher, str(result), json.dumps(commands)],
        check=True,
        env=variant.environment(endpoint, corpus.directory, work),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    return json.loads(result.read_text()), done.stdout


def find_fault(rig: Rig, reference: Reference, *, hashed_only: bool) -> str | None:
    """Return what the bucket lacks of the release that local collectstatic would make, or None."""
    objects = rig.objects()
    if "staticfiles.json" not in objects:
        return "no manifest"
    names = json.loads(rig.read("staticfiles.json"))["paths"]
    if names != reference.names:
        different = sum(1 for name in {*names, *reference.names} if names.get(name) != reference.names.get(name))
        return f"the manifest differs in {different} of {len(reference.names)} names"
    expected = reference.expected(hashed_only=hashed_only)
    missing = sorted(name for name in expected if name not in objects)
    if missing:
        return f"{len(missing)} of {len(expected)} files are missing, {missing[0]} for one"
    other = sorted(name for name, file in expected.items() if objects[name] != file)
    return f"{len(other)} of {len(expected)} files have other content, {other[0]} for one" if other else None
