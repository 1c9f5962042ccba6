"""libcloud's S3 driver for a server on loopback, registered as ``Provider.S3_LOOPBACK``.

django-storages gives a driver nothing but user, key, region and project: host and port come as the project.
"""

from __future__ import annotations

from typing import Any

from libcloud.storage.drivers.s3 import S3StorageDriver
from libcloud.storage.providers import DRIVERS, set_driver
from libcloud.storage.types import Provider


class LoopbackS3Driver(S3StorageDriver):  # type: ignore[misc]
    """S3 over plain HTTP at ``project``, given as ``host:port``."""

    def __init__(self, key: str, secret: str, project: str, **kwargs: Any) -> None:
        host, _, port = project.partition(":")
        super().__init__(key, secret, secure=False, host=host, port=int(port), **kwargs)


Provider.S3_LOOPBACK = "s3_loopback"
if Provider.S3_LOOPBACK not in DRIVERS:
    set_driver(Provider.S3_LOOPBACK, __name__, LoopbackS3Driver.__name__)
