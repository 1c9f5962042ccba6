"""What the commands that publish have in common: showing progress, listing failures, writing the report."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.files.storage import storages
from django.core.management.base import BaseCommand, CommandError, CommandParser

from localmirror.exceptions import LocalMirrorError
from localmirror.names import printable
from localmirror.offline import offline
from localmirror.publish import Publish, Result, report
from localmirror.release import Release
from localmirror.roles import StaticMirrorMixin


def add_report_argument(parser: CommandParser) -> None:
    """Give a command the option ``--report FILE``."""
    parser.add_argument("--report", metavar="FILE", help="Write what was done to FILE, as JSON.")


def check_report_file(file: str | None) -> None:
    """Raise CommandError if the report could not be written, before any work is done."""
    if file is not None and not Path(file).absolute().parent.is_dir():
        raise CommandError(f"--report: the directory of {file} does not exist.")


def storage_of(alias: str) -> Any:
    """Return the storage that ``STORAGES[alias]`` describes, having asked nobody for its manifest.

    Raises CommandError if it cannot be built because of what is, or is not, in its mirror.
    """
    try:
        with offline():
            return storages[alias]
    except (LocalMirrorError, OSError) as error:
        raise CommandError(f"STORAGES[{alias!r}] cannot be used: {error}") from error


def check_remote_is_known(storage: StaticMirrorMixin) -> None:
    """Raise CommandError if the storage has not been told where its files are to go."""
    try:
        storage.check_configured()
    except ImproperlyConfigured as error:
        raise CommandError(str(error)) from error


@contextmanager
def alone_in_mirror(storage: StaticMirrorMixin, doing: str) -> Iterator[None]:
    """Let nobody else stage into the mirror, or publish from it. Raises CommandError if it cannot be a mirror."""
    with ExitStack() as stack:
        try:
            stack.enter_context(storage.exclusively(doing))
        except LocalMirrorError:
            raise
        except OSError as error:
            raise CommandError(f"The mirror {storage.mirror.root} cannot be used: {error}") from error
        stack.enter_context(storage.mirror.directories_known())
        yield


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
    unwritten = write_report(file, written)
    if problem is not None:
        raise CommandError(str(problem)) from problem
    if publish.dry_run and publish.interrupted:
        raise CommandError("Interrupted. Nothing was changed.", returncode=130)
    if not publish.dry_run and not publish.succeeded:
        raise CommandError(_failure_sentence(publish, rows), returncode=130 if publish.interrupted else 1)
    sentence = _dry_run_sentence(written, rows) if publish.dry_run else _sentence(written)
    if unwritten is not None:
        raise CommandError(f"{sentence} But the report could not be written: {unwritten}") from unwritten
    return sentence


def write_report(file: str | None, written: dict[str, Any]) -> OSError | None:
    """Write the report if there is to be one; return why it could not be written."""
    try:
        if file is not None:
            text = json.dumps(written, indent=2, ensure_ascii=False) + "\n"
            # What no encoding can hold, half a surrogate pair in a name, JSON spells just as Python does.
            Path(file).write_text(text, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        return error
    return None


def _tell(command: BaseCommand, result: Result, verbosity: int) -> None:
    name = printable(result.name)
    if result.status in ("failed", "not attempted"):
        command.stderr.write(f"{name}: {result.error}")
    elif result.status == "pending" and verbosity >= 1:
        command.stdout.write(f"Pretending to upload '{name}'")
    elif verbosity >= 2:
        command.stdout.write(f"{name}: {result.status}")


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


def _failure_sentence(publish: Publish, rows: list[Result]) -> str:
    what = "Interrupted: " if publish.interrupted else ""
    where = publish.storage.describe_remote()
    failed = sum(row.status == "failed" for row in rows)
    untried = sum(row.status == "not attempted" for row in rows)
    if not failed and not untried:
        return f"{what}all files are in {where}; run it again to make the release live."
    live = "What was live stays live"
    if failed:
        told = f"{failed} of {_files(len(publish.public))} could not be uploaded to {where}"
        told += f", and {untried} were not attempted" if untried else ""
    else:
        told = f"{untried} of {_files(len(publish.public))} were not attempted"
        live = f"What was live in {where} stays live"
    return f"{what}{told}. {live}; run it again to upload what is missing."


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
