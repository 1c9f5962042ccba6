"""compress that loses no block, publishes what it made, and writes the offline manifest last."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

from compressor.cache import get_offline_hexdigest
from compressor.exceptions import OfflineGenerationError
from compressor.management.commands import compress
from compressor.storage import default_offline_manifest_storage, get_storage
from django.conf import STATICFILES_STORAGE_ALIAS, settings
from django.core.checks import Tags
from django.core.files.storage import storages
from django.core.management.base import CommandError

from localmirror.contrib.compressor.templates import WatchedParser, reason_of
from localmirror.exceptions import LocalMirrorError
from localmirror.management.output import human_size
from localmirror.management.process import OwnProcess
from localmirror.manifest import renew_manifest
from localmirror.output import StagedOutput
from localmirror.publish import Result
from localmirror.remote import RemoteSeam
from localmirror.roles import CompressorMirrorMixin


class Command(OwnProcess, compress.Command):
    """Compress what the templates name, publish what the remote lacks of it, and write the offline manifest last.

    With a storage that has no mirror it is django-compressor's own, made to fail where that loses a block.
    """

    help = "Compress content outside of the request/response cycle and publish it to the remote."
    requires_system_checks = [Tags.staticfiles]

    def handle_inner(self, **options: Any) -> Any:
        self.published: list[Result] = []
        self.modes: dict[str, tuple[str, str]] = {}
        self.engines_left = len(options.get("engines") or ["django"])
        storage = get_storage()
        mirrored = isinstance(storage, CompressorMirrorMixin)
        with storage.staging_output() if mirrored else nullcontext() as self.staged:
            try:
                told = super().handle_inner(**options)
            except LocalMirrorError as error:
                raise CommandError(str(error)) from error
            except Exception as error:
                if self.engines_left or isinstance(error, CommandError):
                    raise
                raise self._manifest_error(error) from error
        if mirrored and options.get("verbosity", 1):
            self.stdout.write(_sentence(self.published))
        return told

    def compress(self, *args: Any, **kwargs: Any) -> Any:
        """Compress what one template engine finds. Raises CommandError if any block was lost."""
        self.unread: dict[str, str] = {}
        self.errors: list[CommandError] = []
        failure: Exception | None = None
        if self.staged is not None:
            _know_static_files()
        try:
            manifest, count, results = super().compress(*args, **kwargs)
        except (CommandError, OfflineGenerationError) as error:
            failure = error
        lost = [f"{name} cannot be read: {reason}" for name, reason in self.unread.items()]
        lost += map(str, self.errors)
        for each in lost:
            self.stderr.write(each)
        if lost:
            failure = CommandError(f"{len(lost)} template(s) could not be compressed.")
        if failure is not None:
            raise CommandError(f"{str(failure).rstrip('.')}. The offline manifest is as it was.") from failure
        if None in manifest.values():
            raise CommandError("A block was left unfinished. The offline manifest is as it was.")
        self.engines_left -= 1
        if self.staged is not None and not self.engines_left:
            self._publish(self.staged)
        # Threads fill it in any order; the same blocks are to make the same bytes on each run and on every host.
        return dict(sorted(manifest.items())), count, results

    def __get_parser(self, engine: str) -> WatchedParser:
        # django-compressor 4.6.0 passes over templates that it cannot parse, and gives no other way to its parsers
        # than this method. Two leading underscores make the same name of it here, since that class is a Command too.
        return WatchedParser(super().__get_parser(engine), self.get_loaders(), self.unread)

    def _compress_template(
        self, offline_manifest: Any, nodes: Any, parser: Any, template: Any, errors: list[CommandError]
    ) -> None:
        # django-compressor 4.6.0 runs this in a thread pool and asks nobody what came of it: an error outside of the
        # one place that it guards loses the block, and it ends with exit code 0.
        self.errors = errors
        try:
            for node, contexts in nodes.items():
                for context in contexts:
                    self._check_mode(node, context, parser, template)
            super()._compress_template(offline_manifest, nodes, parser, template, errors)
        except BaseException as error:  # sys.exit(), for one, ends a thread of a pool and nothing else
            reason = str(error) if isinstance(error, CommandError) else reason_of(error)
            errors.append(CommandError(f"An error occurred during rendering {template.template_name}: {reason}"))

    def _check_mode(self, node: Any, context: Any, parser: Any, template: Any) -> None:
        # django-compressor 4.6.0 knows a block in the offline manifest by its content alone: of two that differ in
        # their mode, one would be put in the place of the other, and a page be left without a style sheet or script.
        mode = getattr(node, "mode", None)  # Jinja's nodes have none
        if mode is None or not parser.process_template(template, context):
            return
        with context.push():
            key = get_offline_hexdigest(parser.render_nodelist(template, context, node))
        other, where = self.modes.setdefault(key, (mode, template.template_name))
        if other != mode:
            raise CommandError(
                f"it has a block in the mode {mode!r} with the same content as one in the mode {other!r} in {where}, "
                "and only one of them would be kept. Write something into one that compressor leaves out, such as the "
                f"comment <!-- {mode} -->."
            )

    def _publish(self, staged: StagedOutput) -> None:
        for result in staged.publish():
            self.published.append(result)
            if result.status in ("failed", "not attempted"):
                self.stderr.write(f"{result.name}: {result.error}")
        failed = sum(result.status in ("failed", "not attempted") for result in self.published)
        if failed:
            raise CommandError(
                f"{failed} of {len(self.published)} compressed file(s) could not be uploaded to "
                f"{staged.storage.describe_remote()}. The offline manifest is as it was; run it again to upload what "
                "is missing."
            )

    def _manifest_error(self, error: Exception) -> Exception:
        storage = default_offline_manifest_storage
        if not isinstance(storage, RemoteSeam):
            return error
        return CommandError(
            f"The offline manifest could not be written to {storage.describe_remote()}: {storage.describe_error(error)}"
        )


def _know_static_files() -> None:
    """Build the storage for static files: threads that all need it first would build one each, and read for each."""
    if STATICFILES_STORAGE_ALIAS in settings.STORAGES:
        renew_manifest(storages[STATICFILES_STORAGE_ALIAS])


def _sentence(results: list[Result]) -> str:
    uploaded = [result.size for result in results if result.status == "uploaded"]
    return (
        f"{len(results)} compressed file{'' if len(results) == 1 else 's'}: {len(uploaded)} uploaded "
        f"({human_size(sum(uploaded))}), {len(results) - len(uploaded)} already there."
    )
