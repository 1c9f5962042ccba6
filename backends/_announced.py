"""What the cloud storages of django-storages have in common: parameters of an object that can be asked for by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from localmirror.mirror import LocalMirrorMixin

if TYPE_CHECKING:

    class _Parameters:
        def get_object_parameters(self, name: str) -> dict[str, Any]: ...

    class _Base(LocalMirrorMixin, _Parameters): ...

else:
    _Base = LocalMirrorMixin


class AnnouncedParameters(_Base):
    """The part of an adapter that adds headers of the mirror's to those of the storage."""

    def get_object_parameters(self, name: str) -> dict[str, Any]:
        """Return the configured parameters, and those that the mirror asks for during an upload."""
        return {**super().get_object_parameters(name), **self.announced_parameters()}
