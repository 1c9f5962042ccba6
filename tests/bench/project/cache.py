"""A cache for Collectfasta that outlives the process and costs it nothing but a file per entry."""

from __future__ import annotations

from django.core.cache.backends.filebased import FileBasedCache


class UnculledFileCache(FileBasedCache):
    """Django's file cache without the listing of its directory at every ``set``, which would be held against
    Collectfasta; a deployment would use Redis or Memcached."""

    def _cull(self) -> None:
        pass
