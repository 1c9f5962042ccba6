"""What the commands that publish have in common: showing progress, listing failures, writing the report."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from localmirror.exceptions import LocalMirrorError
from localmirror.publish import Publish, Result, report
from localmirror.release import Release


def add_report_argument(parser: CommandParser) -> None:
    """Give a command the option ``--report FILE``."""
    parser.add_argument("--report", metavar="FILE", help="Write what was done to FILE, as JSON.")


def check_report_file(file: str | None) -> None:
    """Raise CommandError if the report could not be written, before any work is done."""
    if file is not None and not Path(file).absolute().parent.is_dir():
        raise CommandError(f"--report: the directory of {file} does not exist.")


def run_publish(
    command: BaseCommand,
    publish: Publish,
    release: Release,
    *,
    alias: str,
    verbosity: int,
    file: str | None,
    started: float,
    deleted: int,
) -> str:
    """Publish *release*, list what fails, write the report to *file*, and return the sentence that says what happened.

    Raises CommandError unless all that was to be public is.
    """
    rows: list[Result] = []
    problem: LocalMirrorError | None = None
    results = _with_progress(publish, release, verbosity)
    try:
        for result in results:
            rows.append(result)
            _tell(command, result, verbosity)
    except LocalMirrorError as error:
        problem = error
    except KeyboardInterrupt:
        publish.interrupted = True
        results.close()
    if verbosity >= 2:
        for remark in publish.remarks:
            command.stdout.write(remark)
    if not publish.dry_run:
        left = publish.public.keys() - {row.name for row in rows}
        for name in sorted(left):
            rows.append(Result(name, "not attempted", publish.public[name].size, "not attempted"))
            if problem is None:  # else one sentence says what hit them all
                _tell(command, rows[-1], verbosity)
    written = report(publish, rows, alias=alias, seconds=time.monotonic() - started, deleted=deleted)
    unwritten = _write_report(file, written)
    if problem is not None:
        raise CommandError(str(problem)) from problem
    if not publish.dry_run and not publish.succeeded:
        raise CommandError(_failure_sentence(publish, written), returncode=130 if publish.interrupted else 1)
    sentence = _dry_run_sentence(written, rows) if publish.dry_run else _sentence(written)
    if unwritten is not None:
        raise CommandError(f"{sentence} But the report could not be written: {unwritten}") from unwritten
    return sentence


def _write_report(file: str | None, written: dict[str, Any]) -> OSError | None:
    """Write the report if there is to be one; return why it could not be written."""
    try:
        if file is not None:
            Path(file).write_text(json.dumps(written, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    except OSError as error:
        return error
    return None


def _tell(command: BaseCommand, result: Result, verbosity: int) -> None:
    if result.status in ("failed", "not attempted"):
        command.stderr.write(f"{result.name}: {result.error}")
    elif result.status == "pending" and verbosity >= 1:
        command.stdout.write(f"Pretending to upload '{result.name}'")
    elif verbosity >= 2:
        command.stdout.write(f"{result.name}: {result.status}")


def _with_progress(publish: Publish, release: Release, verbosity: int) -> Generator[Result, None, None]:
    results = publish.results(release)
    if verbosity != 1 or not sys.stderr.isatty():
        yield from results
        return
    try:
        from tqdm import tqdm
    except ImportError:  # the bar is an extra; the last line says the same
        yield from results
        return
    total = len(release.public(publish.storage.mirror_publish))
    with tqdm(total=total, desc="Publishing", unit="file", leave=False) as bar:
        for result in results:
            if result.status in ("failed", "not attempted"):
                bar.clear()  # what is said of it gets a line of its own
            yield result
            bar.update()


def _sentence(written: dict[str, Any]) -> str:
    return (
        f"{_files(written['staged'])} in the release: {written['uploaded']} uploaded "
        f"({human_size(written['bytes_uploaded'])}), {written['current']} already there."
    )


def _dry_run_sentence(written: dict[str, Any], rows: list[Result]) -> str:
    pending = [row for row in rows if row.status == "pending"]
    size = human_size(sum(row.size for row in pending))
    return (
        f"{_files(written['staged'])} in the release: {len(pending)} would be uploaded ({size}), "
        f"{written['current']} already there."
    )


def _failure_sentence(publish: Publish, written: dict[str, Any]) -> str:
    what = "Interrupted: " if publish.interrupted else ""
    if not written["failed"]:
        return f"{what}all files are in {publish.storage.describe_remote()}; run it again to make the release live."
    return (
        f"{what}{len(written['failed'])} of {_files(len(publish.public))} could not be uploaded to "
        f"{publish.storage.describe_remote()}. What was live stays live; run it again to upload what is missing."
    )


def _files(count: int) -> str:
    return f"{count} file{'' if count == 1 else 's'}"


def human_size(size: int) -> str:
    """Return *size* in bytes as a person reads it, in decimal units."""
    if size < 1000:
        return f"{size} B"
    value = float(size)
    for unit in ("kB", "MB", "GB"):
        value /= 1000
        if value < 1000 or unit == "GB":
            break
    return f"{value:.0f} {unit}" if value >= 10 else f"{value:.1f} {unit}"
