"""The ``localmirror`` command: publish what was staged earlier."""

from __future__ import annotations

import time
from argparse import SUPPRESS
from contextlib import nullcontext
from typing import Any

from django.conf import STATICFILES_STORAGE_ALIAS
from django.core.files.storage import InvalidStorageError
from django.core.management.base import BaseCommand, CommandError, CommandParser

from localmirror.exceptions import LocalMirrorError
from localmirror.management.output import (
    add_report_argument,
    alone_in_mirror,
    check_remote_is_known,
    check_report_file,
    run_publish,
    storage_of,
)
from localmirror.management.process import OwnProcess
from localmirror.publish import Publish
from localmirror.roles import StaticMirrorMixin


class _DjangosOwn(BaseCommand):
    """The options that Django gives to every command, for a subcommand: what is not given there changes nothing."""

    def add_base_argument(self, parser: CommandParser, *args: Any, **kwargs: Any) -> None:
        """Add an option without its default, which would go over what stands before the subcommand."""
        super().add_base_argument(parser, *args, **{**kwargs, "default": SUPPRESS})


class Command(OwnProcess, BaseCommand):
    """Work with mirrored storages; each subcommand says with ``--help`` what it does."""

    help = "Work with mirrored storages."
    requires_system_checks = ["staticfiles"]

    def add_arguments(self, parser: CommandParser) -> None:
        subcommands = parser.add_subparsers(dest="subcommand", required=True, metavar="SUBCOMMAND")
        publish = subcommands.add_parser(
            "publish",
            parents=[_DjangosOwn().create_parser("", "", add_help=False, argument_default=SUPPRESS)],
            help="Publish the release that 'collectstatic --stage' has staged, here or in an image.",
        )
        publish.add_argument(
            "--alias",
            default=STATICFILES_STORAGE_ALIAS,
            help="The storage in STORAGES whose staged release is published (default: %(default)s).",
        )
        publish.add_argument(
            "-n", "--dry-run", action="store_true", help="Say what would be uploaded, and change nothing."
        )
        publish.add_argument(
            "--all",
            action="store_true",
            help="Upload everything again, after a change of headers for instance.",
        )
        add_report_argument(publish)

    def handle(self, **options: Any) -> str | None:
        return self.publish(**options)

    def publish(self, **options: Any) -> str | None:
        """Publish the staged release of one storage."""
        started = time.monotonic()
        check_report_file(options["report"])
        storage = self._storage(options["alias"])
        check_remote_is_known(storage)
        changing = nullcontext() if options["dry_run"] else alone_in_mirror(storage, "localmirror publish")
        try:
            with changing:
                release = storage.staged_release()
                release.pinned_id = storage.mirror_release or release.pinned_id
                sentence = run_publish(
                    self,
                    Publish(storage, everything=options["all"], dry_run=options["dry_run"]),
                    release,
                    alias=options["alias"],
                    verbosity=options["verbosity"],
                    file=options["report"],
                    started=started,
                    deleted=0,
                )
        except LocalMirrorError as error:
            raise CommandError(str(error)) from error
        return sentence if options["verbosity"] else None

    def _storage(self, alias: str) -> StaticMirrorMixin:
        try:
            storage = storage_of(alias)
        except InvalidStorageError as error:
            raise CommandError(f"--alias: {error}") from error
        if not isinstance(storage, StaticMirrorMixin):
            raise CommandError(
                f"--alias: STORAGES[{alias!r}] is a {type(storage).__name__}, which has no staged releases. "
                "Only mirrored storages for static files have."
            )
        return storage
