"""The client that the S3 adapter works with."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any

from botocore.config import Config
from storages.backends.s3 import S3Storage

from localmirror.backends._s3_errors import S3Errors

if TYPE_CHECKING:

    class _Base(S3Errors, S3Storage): ...

else:
    _Base = S3Errors


class _Making:
    """The lock of whoever makes a client. A thread may hold it while another one forks: children get their own."""

    def __init__(self) -> None:
        self.renew()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self.renew)

    def renew(self) -> None:
        self.lock = threading.Lock()


_making = _Making()
# What describes the services, by where it is read from: sessions that share it parse it once between them.
_loaders: dict[Any, Any] = {}


class S3Connection(_Base):
    """The part of the S3 adapter that makes clients, and keeps one."""

    @property
    def _client_session(self) -> Any:
        """The session that `_client` belongs to; its credentials renew themselves."""
        session = self.__dict__.get("_localmirror_session")
        if session is None:
            session = self.__dict__["_localmirror_session"] = self._create_session()
            if type(self)._create_session is S3Storage._create_session:
                core = session._session
                loader = _loaders.setdefault(core.get_config_variable("data_path"), core.get_component("data_loader"))
                core.register_component("data_loader", loader)
        return session

    @property
    def _client(self) -> Any:
        """One client for all threads, which boto3 allows, with a connection for each of them."""
        if type(self).connection is not S3Storage.connection:
            return self.connection.meta.client
        client = self.__dict__.get("_localmirror_client")
        if client is None:
            config = Config(max_pool_connections=max(10, self.mirror_workers))
            client = self.__dict__["_localmirror_client"] = self.make_client(config)
        return client

    def make_client(self, config: Config) -> Any:
        """Return a client as the storage's own is, with *config* over what is configured."""
        with _making.lock:  # boto3's sessions are not for several threads at once, unlike its clients
            return self._client_session.client(
                "s3",
                region_name=self.region_name,
                use_ssl=self.use_ssl,
                endpoint_url=self.endpoint_url,
                config=self.client_config.merge(config),
                verify=self.verify,
            )
