"""What a command may do to a process that it has for itself."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

from django.core.management.base import BaseCommand

if TYPE_CHECKING:
    _Command = BaseCommand
else:
    _Command = object


class OwnProcess(_Command):
    """A command that spares Python's garbage collector where it runs from the command line, and not within a program.

    What Django and an SDK have loaded by then will be needed to the end, and the system takes all memory back faster
    than the interpreter does: going through both cost a tenth of a second, of a deployment that takes less than one.
    """

    def run_from_argv(self, argv: list[str]) -> None:
        """Run with the arguments *argv* of the command line, the last thing that the process does."""
        gc.freeze()
        try:
            super().run_from_argv(argv)
        finally:
            gc.freeze()
