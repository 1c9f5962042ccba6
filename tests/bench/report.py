"""Results as people read them: medians, a table, a plot, and whether the goals are met."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from tests.bench.scenarios import Run
from tests.bench.variants import BASELINE, BY_NAME, SCENARIOS

Row = dict[str, Any]


def medians(runs: Iterable[Run]) -> list[Row]:
    """Return one row per corpus, latency, scenario and variant, in that order."""
    groups: dict[tuple[str, float, str, str], list[Run]] = {}
    for run in runs:
        groups.setdefault((run.corpus, run.latency_ms, run.scenario, run.variant), []).append(run)
    return [
        {
            **dict(zip(("corpus", "latency_ms", "scenario", "variant"), key, strict=True)),
            "rounds": len(group),
            "seconds": median(run.seconds for run in group),
            "seconds_min": min(run.seconds for run in group),
            "seconds_max": max(run.seconds for run in group),
            "cpu_seconds": median(run.cpu_seconds for run in group),
            "peak_bytes": median(run.peak_bytes for run in group),
            "bytes_sent": median(run.traffic["bytes_sent"] for run in group),
            "requests": median(run.traffic["requests"] for run in group),
            "kinds": _median_kinds([run.traffic["kinds"] for run in group]),
            "wrong": next((run.wrong for run in group if run.wrong), None),
        }
        for key, group in sorted(groups.items(), key=lambda item: _order(*item[0]))
    ]


def _order(corpus: str, latency: float, scenario: str, variant: str) -> tuple[str, float, int, int]:
    return corpus, latency, list(SCENARIOS).index(scenario), list(BY_NAME).index(variant)


def _median_kinds(kinds: list[dict[str, int]]) -> dict[str, float]:
    names = Counter(name for one in kinds for name in one)
    return {name: median(one.get(name, 0) for one in kinds) for name in sorted(names)}


class Medians:
    """Rows by what they measured."""

    def __init__(self, rows: list[Row]) -> None:
        self.rows = {(row["corpus"], row["latency_ms"], row["scenario"], row["variant"]): row for row in rows}

    def get(self, corpus: str, latency: float, scenario: str, variant: str) -> Row | None:
        return self.rows.get((corpus, latency, scenario, variant))

    def ratio(self, row: Row, to: str = BASELINE, of: str = "seconds") -> float | None:
        """Return how a row compares to another variant's under the same conditions."""
        other = self.get(row["corpus"], row["latency_ms"], row["scenario"], to)
        return row[of] / other[of] if other and not other["wrong"] else None


@dataclass(frozen=True)
class Goal:
    """A ratio of medians that must hold on the large corpus at 30 ms; ``limit`` is the most it may be."""

    scenario: str
    variant: str
    limit: float
    to: str = BASELINE
    of: str = "seconds"

    def text(self) -> str:
        what = {"seconds": "time", "cpu_seconds": "client CPU"}[self.of]
        return f"{self.scenario}, {self.variant}: {what} against {self.to}"


GOALS = (
    Goal("cold", "ours-mse-all", 0.65),
    Goal("cold", "ours-mse-hashed", 0.48),
    Goal("unchanged", "ours-mse-all", 0.72),
    Goal("one-changed", "ours-mse-all", 0.88),
    Goal("fresh-builder", "ours-mse-all", 0.62),
    Goal("cold", "ours-stock-all", 0.90, to="stock-rclone-tuned"),
    Goal("cold", "ours-stock-all", 0.05, to="collectfasta"),
    *(Goal(scenario, "ours-mse-all", 0.8, of="cpu_seconds") for scenario in SCENARIOS),
)
PEAK_LIMIT = 200_000_000


def goals(rows: list[Row], corpus: str = "large", latency: float = 30) -> list[dict[str, Any]]:
    """Return each goal that the rows can tell about, with its value."""
    known = Medians(rows)
    told = []
    for goal in GOALS:
        row = known.get(corpus, latency, goal.scenario, goal.variant)
        value = known.ratio(row, goal.to, goal.of) if row else None
        if row and value is not None:
            is_met = value <= goal.limit and not row["wrong"]
            told.append({"goal": goal.text(), "limit": goal.limit, "value": round(value, 3), "met": is_met})
    peaks = [row["peak_bytes"] for row in rows if row["variant"].startswith("ours-") and not row["wrong"]]
    if peaks:
        told.append(
            {
                "goal": "peak memory in MB, every run of ours",
                "limit": PEAK_LIMIT / 1e6,
                "value": round(max(peaks) / 1e6),
                "met": max(peaks) <= PEAK_LIMIT,
            }
        )
    return told


def summary(results: dict[str, Any]) -> str:
    """Return the goals as lines of text."""
    lines = [
        f"{'met   ' if one['met'] else 'MISSED'} {one['value']:>7} (limit {one['limit']}) {one['goal']}"
        for one in results["goals"]
    ]
    return "\n".join(lines) or "no goal is about what was measured"


def write(results: dict[str, Any], directory: Path) -> None:
    """Write results.json, table.md, short.md (what README shows) and plot.svg."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    (directory / "table.md").write_text(table(results))
    (directory / "short.md").write_text(short_table(results["medians"]))
    plot(results["medians"], directory / "plot.svg")


def table(results: dict[str, Any]) -> str:
    """Return the medians as Markdown, one table per corpus, latency and scenario."""
    rows: list[Row] = results["medians"]
    known = Medians(rows)
    lines = [_how_made(results)]
    section = None
    for row in rows:
        if (key := (row["corpus"], row["latency_ms"], row["scenario"])) != section:
            section = key
            files = results["corpora"][row["corpus"]]["files"]
            lines += [
                f"\n### {SCENARIOS[row['scenario']]}, {files:,} files, {row['latency_ms']:g} ms\n",
                "| | seconds | ratio | client CPU s | peak MB | requests | sent MB |",
                "|---|--:|--:|--:|--:|---|--:|",
            ]
        lines.append(_line(row, known.ratio(row)))
    return "\n".join(lines) + "\n"


def short_table(rows: list[Row]) -> str:
    """Return the seconds at the highest latency on the largest corpus as Markdown, a line for each variant."""
    shown = _hardest(rows)
    found = {(row["variant"], row["scenario"]): row for row in shown}
    scenarios = [name for name in SCENARIOS if any(row["scenario"] == name for row in shown)]
    lines = [f"| seconds | {' | '.join(scenarios)} |", f"|---|{'--:|' * len(scenarios)}"]
    for variant in dict.fromkeys(row["variant"] for row in shown):
        label = BY_NAME[variant].label
        cells = [_seconds(found.get((variant, scenario))) for scenario in scenarios]
        lines.append(f"| {f'**{label}**' if variant.startswith('ours-') else label} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _seconds(row: Row | None) -> str:
    if row is None:
        return "–"
    return "wrong" if row["wrong"] else f"{row['seconds']:.1f}"


def _hardest(rows: list[Row]) -> list[Row]:
    corpus = min(row["corpus"] for row in rows)  # "large" stands before "small"
    latency = max(row["latency_ms"] for row in rows if row["corpus"] == corpus)
    return [row for row in rows if (row["corpus"], row["latency_ms"]) == (corpus, latency)]


def _how_made(results: dict[str, Any]) -> str:
    machine = results["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items() if version)
    return (
        f"Made on {results['made_at'][:10]} with `{results['made_by'].strip()}`"
        f"{'' if results['is_whole'] else ' (stopped before its end)'}: {machine['cores']} cores of"
        f" {machine['processor']}, {machine['memory_bytes'] / 1e9:.0f} GB, {machine['system']}; {versions}.\n\n"
        f"Medians. *Ratio* is the time against *{BY_NAME[BASELINE].label}* in the same table; *peak* the largest"
        " process of a deployment; *sent* everything that the client sent, headers included. The server and the"
        " proxy share the cores with the client."
    )


def _line(row: Row, ratio: float | None) -> str:
    label = BY_NAME[row["variant"]].label
    kinds = ", ".join(f"{count:,.0f} {kind}" for kind, count in row["kinds"].items() if count)
    cells = [
        f"**{label}**" if row["variant"].startswith("ours-") else label,
        f"{row['seconds']:.2f}",
        "–" if ratio is None else f"{ratio:.2f}",
        f"{row['cpu_seconds']:.1f}",
        f"{row['peak_bytes'] / 1e6:.0f}",
        kinds or "none",
        f"{row['bytes_sent'] / 1e6:.1f}",
    ]
    if row["wrong"]:
        cells[0] += f" (**wrong**: {row['wrong'].splitlines()[0][:80]})"
    return f"| {' | '.join(cells)} |"


def plot(rows: list[Row], path: Path) -> None:
    """Draw the times at the highest latency on the largest corpus that was measured, one panel per scenario."""
    import matplotlib

    matplotlib.use("svg")
    import matplotlib.pyplot as plt

    shown = _hardest(rows)
    latency = shown[0]["latency_ms"]
    scenarios = [name for name in SCENARIOS if any(row["scenario"] == name for row in shown)]
    matplotlib.rcParams.update({"svg.hashsalt": "localmirror", "font.size": 9})
    figure, panels = plt.subplots(len(scenarios), 1, figsize=(8, 2.6 * len(scenarios)), squeeze=False)
    for panel, scenario in zip(panels[:, 0], scenarios, strict=True):
        _bars(panel, [row for row in shown if row["scenario"] == scenario])
        panel.set_title(f"{SCENARIOS[scenario]} ({latency:g} ms per request)", loc="left", fontsize=10)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def _bars(panel: Any, rows: list[Row]) -> None:
    """Draw one bar per variant; what takes more than four times the baseline is cut, its time written beside it."""
    baseline = next((row["seconds"] for row in rows if row["variant"] == BASELINE), None)
    most = max(row["seconds"] for row in rows)
    limit = min(most, 4 * baseline) if baseline else most
    for position, row in enumerate(reversed(rows)):
        is_ours = row["variant"].startswith("ours-")
        panel.barh(position, min(row["seconds"], limit), color="#0c7c59" if is_ours else "#b8c0cc")
        text = f" {row['seconds']:.1f} s" + (", wrong" if row["wrong"] else "")
        panel.text(min(row["seconds"], limit), position, text, va="center")
    panel.set_yticks(range(len(rows)), [BY_NAME[row["variant"]].label for row in reversed(rows)])
    panel.set_xlim(0, limit * 1.12)
    panel.set_xticks([])
    for side in ("top", "right", "bottom"):
        panel.spines[side].set_visible(False)
