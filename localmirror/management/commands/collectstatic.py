"""collectstatic that stages a release in the mirror and publishes it as a whole."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from tempfile import TemporaryDirectory
from typing import Any

from django.conf import STATICFILES_STORAGE_ALIAS
from django.contrib.staticfiles.management.commands import collectstatic
from django.core.exceptions import ImproperlyConfigured, SuspiciousFileOperation
from django.core.management.base import CommandError, CommandParser
from django.utils.functional import LazyObject

from localmirror.exceptions import LocalMirrorError
from localmirror.management.output import (
    add_report_argument,
    alone_in_mirror,
    check_remote_is_known,
    check_report_file,
    run_publish,
    storage_of,
    write_report,
)
from localmirror.management.process import OwnProcess
from localmirror.offline import offline
from localmirror.publish import Publish, Result, report
from localmirror.release import Release
from localmirror.roles import StaticMirrorMixin
from localmirror.staging import Staging


class Command(OwnProcess, collectstatic.Command):
    """Collect static files in the mirror, then publish them as a whole.

    With a storage that has no mirror it is Django's own collectstatic.
    """

    deleted_files: list[str]

    help = "Collect static files in the local mirror and publish them to the remote as one release."

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.deleted_files = []  # Django 5.2 keeps no such list
        self.uploads: Publish | None = None
        self.release = Release({})

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--stage",
            action="store_true",
            help="Write to the mirror only: no network, no credentials. Publish later: manage.py localmirror publish.",
        )
        add_report_argument(parser)

    def handle(self, **options: Any) -> str | None:
        if isinstance(self.storage, LazyObject):
            self.storage = storage_of(STATICFILES_STORAGE_ALIAS)  # itself: a proxy is not what it stands for
        if not isinstance(self.storage, StaticMirrorMixin):
            for option in ("stage", "report"):
                if options[option]:
                    raise CommandError(f"--{option} needs a mirrored storage as STORAGES['staticfiles'].")
            return super().handle(**options)
        if options["link"]:
            raise CommandError("--link is not for a mirrored storage: the mirror must hold the files themselves.")
        check_report_file(options["report"])
        if not options["stage"]:
            check_remote_is_known(self.storage)
        started = time.monotonic()
        try:
            if options["dry_run"]:
                return self._rehearse(started, options)
            with alone_in_mirror(self.storage, "collectstatic"):
                return self._deploy(started, options)
        except LocalMirrorError as error:
            raise CommandError(str(error)) from error
        except KeyboardInterrupt:
            raise CommandError("Interrupted while staging. What was live stays live.", returncode=130) from None

    def _deploy(self, started: float, options: dict[str, Any]) -> str | None:
        publish = Publish(self.storage)
        if not options["stage"]:
            self.uploads = publish
        try:
            self._tell(super().handle(**options))
        except BaseException:
            publish.abandon()
            self._report(publish, publish.sent(), started, options, release=None)
            raise
        if not options["stage"]:
            return self._publish(publish, self.release, started, options)
        publish.release = self.release
        self._report(publish, [], started, options)
        where = f"{len(self.release.files)} files staged in {self.storage.mirror.root}."
        return where if self.verbosity else None

    def _rehearse(self, started: float, options: dict[str, Any]) -> str | None:
        self._tell(super().handle(**options))
        if options["stage"] and options["report"] is None:
            return None
        with _mirror_elsewhere(self.storage):
            rehearsal = Command(stdout=io.StringIO(), stderr=self.stderr)
            rehearsal.set_options(**{**options, "dry_run": False, "verbosity": 0, "clear": False})
            rehearsal.collect()
            publish = Publish(self.storage, dry_run=True)
            if not options["stage"]:
                return self._publish(publish, rehearsal.release, started, options)
            publish.release = rehearsal.release
            self._report(publish, [], started, options)
        return None

    def _report(
        self, publish: Publish, results: Iterable[Result], started: float, options: dict[str, Any], **known: Any
    ) -> None:
        """Write the report of what ends before anything is published; *known* goes over what is in it."""
        seconds, deleted = time.monotonic() - started, len(self.deleted_files)
        written = report(publish, results, alias=STATICFILES_STORAGE_ALIAS, seconds=seconds, deleted=deleted)
        if error := write_report(options["report"], {**written, **known}):
            self.stderr.write(f"The report could not be written: {error}")

    def _publish(self, uploads: Publish, release: Release, started: float, options: dict[str, Any]) -> str | None:
        sentence = run_publish(
            self,
            uploads,
            release,
            alias=STATICFILES_STORAGE_ALIAS,
            verbosity=options["verbosity"],
            file=options["report"],
            started=started,
            deleted=len(self.deleted_files),
        )
        return sentence if options["verbosity"] else None

    def _tell(self, message: str | None) -> None:
        if message:
            self.stdout.write(message)

    def set_options(self, **options: Any) -> None:
        super().set_options(**options)
        self.stage_only = options["stage"]

    def collect(self) -> dict[str, list[str]]:
        """Collect into the mirror alone, and write down which release has been staged."""
        if not isinstance(self.storage, StaticMirrorMixin):
            return super().collect()
        storage = self.storage
        with offline(), _failing_clearly(storage), storage.staging(lock=not self.dry_run) as staging:
            self.staging = staging
            if self.uploads is not None:
                self.uploads.begin()
                staging.observer = self.uploads
            self.storage = _WatchedStorage(storage, staging, self.log)
            try:
                collected = super().collect()
            finally:
                self.storage = storage
            if not self.dry_run:
                self.release = staging.release()
                staging.commit(self.release)
                if self.stage_only:
                    staging.put_manifest_in_place(self.release)
        return collected

    def clear_dir(self, path: str) -> None:
        """Delete what earlier releases have staged; nothing else in the mirror, and nothing on the remote."""
        if not self._is_staging():
            super().clear_dir(path)
            return
        for name in self.staging.names_staged_before():
            self.log(f"{'Pretending to delete' if self.dry_run else 'Deleting'} '{name}'")
            self.deleted_files.append(name)
            self.staging.delete(name)

    def copy_file(self, path: str, prefixed_path: str, source_storage: Any) -> None:
        """Copy one file that a finder yielded, unless the mirror has it; no name comes twice."""
        if not self._is_staging() or self.dry_run:
            super().copy_file(path, prefixed_path, source_storage)
            return
        self.staging.found(prefixed_path)
        if self.delete_file(path, prefixed_path, source_storage):
            if self.verbosity >= 2:
                self.log(f"Copying '{source_storage.path(path)}'")
            with source_storage.open(path) as source:
                self.storage.collect(prefixed_path, source)
            self.copied_files.append(prefixed_path)
        if self.storage.mirror_publish == "all":
            self.staging.settled(prefixed_path)

    def delete_file(self, path: str, prefixed_path: str, source_storage: Any) -> bool:
        """Return whether the file has to be copied: a staged one is unmodified only if its content agrees."""
        if not self._is_staging():
            return bool(super().delete_file(path, prefixed_path, source_storage))
        if not self.staging.exists(prefixed_path):
            return True
        unmodified = self.staging.holds(prefixed_path, source_storage, path)
        if unmodified:
            self.unmodified_files.append(prefixed_path)
            self.log(f"Skipping '{path}' (not modified)")
        return not unmodified

    def _is_staging(self) -> bool:
        return isinstance(self.storage, _WatchedStorage)


class _WatchedStorage:
    """The storage as collectstatic sees it while staging, telling what post-processing produces."""

    def __init__(self, storage: Any, staging: Staging, log: Callable[..., None]) -> None:
        self._storage = storage
        self._staging = staging
        self._log = log
        if hasattr(storage, "post_process"):
            self.post_process = self._post_process

    def __getattr__(self, name: str) -> Any:
        return getattr(self._storage, name)

    def _post_process(self, paths: dict[str, Any], **options: Any) -> Iterator[tuple[str, str | None, Any]]:
        for original, output, processed in self._staging.post_process(paths, **options):
            self._staging.produced(original, output, processed)
            # Django's command takes any exception for a failure.
            if isinstance(processed, Warning):
                self._log(str(processed), level=1)
            else:
                yield original, output, processed


@contextmanager
def _failing_clearly(storage: StaticMirrorMixin) -> Iterator[None]:
    """Say in one sentence what kept files from being staged: a full disk, missing rights, a wrong name or link."""
    try:
        yield
    except LocalMirrorError:
        raise
    except (OSError, SuspiciousFileOperation, ImproperlyConfigured) as error:
        raise CommandError(
            f"Staging in the mirror {storage.mirror.root} failed: {str(error).rstrip('.')}. What was live stays live."
        ) from error


@contextmanager
def _mirror_elsewhere(storage: Any) -> Iterator[None]:
    """Give *storage* a temporary directory for a mirror, so that a dry run leaves the real one alone."""
    before = storage.mirror_location
    with TemporaryDirectory(prefix="localmirror-") as directory:
        storage.mirror_location = directory
        try:
            yield
        finally:
            storage.mirror_location = before
