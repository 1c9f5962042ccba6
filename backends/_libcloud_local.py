"""Repairs of apache-libcloud's driver LOCAL (3.9.1)."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from libcloud.storage.types import ObjectDoesNotExistError, ObjectError

# The driver that follows in the MRO.
_Driver: Any = object


class LocalRepairs(_Driver):
    """Mixed into the driver."""

    def get_object(self, container_name: str, object_name: str) -> Any:
        try:
            return super().get_object(container_name, object_name)
        except ObjectError as error:
            if isinstance(error, ObjectDoesNotExistError):
                raise
            raise ObjectDoesNotExistError("a directory", self, object_name) from error  # type: ignore[no-untyped-call]

    def upload_object_via_stream(
        self, iterator: Iterable[bytes], container: Any, object_name: str, **kwargs: Any
    ) -> Any:
        root = container.get_cdn_url()
        path = os.path.join(root, object_name)
        # The driver writes in place, for all to see; this directory it never lists.
        temporary = os.path.join(root, ".lock", secrets.token_hex(8))
        for name in (path, temporary):
            os.makedirs(os.path.dirname(name), exist_ok=True)
        try:
            with open(temporary, "xb") as file:
                file.writelines(iterator)
            os.chmod(temporary, 0o664)  # as the driver does
            os.replace(temporary, path)
        finally:
            with suppress(FileNotFoundError):
                os.unlink(temporary)
        return super().get_object(container.name, object_name)
