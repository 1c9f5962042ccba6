"""Saving under a name that was found free, when somebody else may have found it so too."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from localmirror.mirror import LocalMirrorMixin
from localmirror.remote import Uploaded


class NewNames(LocalMirrorMixin):
    """The part of an adapter that knows whether `upload` may save over what is there."""

    @property
    def keeps_what_is_there(self) -> bool:
        """Whether a name that is taken is never saved over by ``save``."""
        raise NotImplementedError

    @property
    def is_new_name(self) -> bool:
        """Whether this thread is saving under a name that was free when it looked, and must be so still."""
        return bool(getattr(self._saving(), "new_name", False))

    def sent_as_new(
        self, name: str, send: Callable[[str], Uploaded], is_taken: Callable[[Exception], bool]
    ) -> Uploaded:
        """Return what *send* returns for *name*, or for another one where somebody else was faster to take it."""
        while True:
            try:
                return send(name)
            except Exception as error:
                other = self.get_available_name(name) if is_taken(error) else name
                if other == name:
                    raise
                name = other

    def _saving(self) -> threading.local:
        found: threading.local = self.__dict__.setdefault("_localmirror_new_name", threading.local())
        return found

    def _save(self, name: str, content: Any) -> str:
        saving = self._saving()
        saving.new_name = self.keeps_what_is_there
        try:
            return super()._save(name, content)
        finally:
            saving.new_name = False
