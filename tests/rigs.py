"""One rig per backend: a real server, a fresh bucket, the proxy before it, and a way behind the proxy's back.

    with prepared(S3MotoRig, tmp_path) as rig:
        storage = rig.storage("manifest", location="static")
        storage.save("a.css", ContentFile(b"a{}"))
        assert rig.raw_get("static/a.css") == b"a{}"
        assert rig.wire.counts() == {"PUT": 1}

The fixture ``rig`` runs a test on every rig, ``s3`` on the two that speak S3; a test that is about some of
them says ``@pytest.mark.parametrize("rig", ["s3-moto", "azure-azurite"], indirect=True)``.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import itertools
import os
import re
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, TypeVar, cast
from unittest import mock
from urllib.request import Request, urlopen

from django.core.files.storage import InMemoryStorage, Storage
from django.core.files.storage.memory import InMemoryDirNode
from django.test import override_settings
from django.utils.deconstruct import deconstructible
from django.utils.module_loading import import_string

from .servers import Server, require, shared
from .servers.azurite import ACCOUNT, KEY, Azurite
from .servers.ftp import PASSWORD, Ftp
from .servers.gcs import Gcs
from .servers.moto import Moto
from .servers.rclone_s3 import RcloneS3
from .servers.sshd import Sshd
from .wire import Wire

#: The middle of a class name for each role.
ROLES = {
    "media": "",
    "static": "Static",
    "manifest": "ManifestStatic",
    "cached": "CachedStatic",
    "compressor": "Compressor",
}

R = TypeVar("R", bound="Rig")
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Head:
    """What the server says of an object; what it does not keep is None."""

    size: int
    content_type: str | None = None
    content_encoding: str | None = None
    cache_control: str | None = None
    content_disposition: str | None = None
    md5: str | None = None
    etag: str | None = None


class Rig:
    """What tests need to know of a backend, and a bucket of its own for each test.

    The capabilities are False where a server, its SDK or django-storages' class for it cannot do something.
    """

    name: ClassVar[str]
    module: ClassVar[str]
    prefix: ClassVar[str]
    server_class: ClassVar[type[Server] | None] = None
    #: The classes of django-storages, or Django, without a mirror.
    plain_backend: ClassVar[str]
    dialect: ClassVar[str] = "s3"

    #: Speaks HTTP, so that ``wire`` stands before it.
    http = False
    #: Lists whole buckets, in one request per 1,000 objects or more.
    flat_listing = False
    #: The listing names an MD5 of objects that were sent in one piece.
    md5_in_listing = False
    #: Keeps Content-Type, Content-Encoding and Cache-Control with an object.
    headers = False
    #: Can write on the condition that the object has not changed.
    conditional_write = False
    #: Refuses wrong credentials.
    checks_credentials = False
    #: Can hold an object ``a`` and an object ``a/b``.
    key_and_directory = False
    #: One storage may be used from several threads at a time.
    threads = False
    #: Another process sees the same remote.
    processes = True
    #: The storage class can compress what it sends (the option ``gzip``).
    gzip = False
    #: The storage class can place everything below a prefix (the option ``location``).
    location = False
    #: ``size()`` is right for all names.
    exact_size = True
    #: The longest key, in bytes of UTF-8.
    longest_name = 1024
    #: An error status that the SDK reports at once, without trying for minutes.
    fault_status = 500
    #: Options with which the SDK gives up at once when it cannot connect.
    impatience: ClassVar[dict[str, Any]] = {}

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.mirror = directory / "mirror"
        self.bucket = f"rig-{os.getpid()}-{next(_numbers)}"
        self.wire = cast(Wire, None)
        #: Django settings, environment variables and lines of a settings module that the storage needs.
        self.settings: dict[str, Any] = {}
        self.environment: dict[str, str] = {}
        self.prelude: list[str] = []

    def __repr__(self) -> str:
        return f"<rig {self.name}>"

    @property
    def server(self) -> Any:
        assert self.server_class is not None
        return shared(self.server_class)

    @property
    def endpoint(self) -> str:
        """The URL that the storage talks to: the proxy's."""
        return str(self.server.url.replace(f":{self.server.port}", f":{self.wire.port}"))

    # The life of a bucket

    def make_bucket(self, name: str) -> None:
        raise NotImplementedError

    def remove_bucket(self, name: str) -> None:
        """Remove a bucket with all that is in it."""
        raise NotImplementedError

    def discard(self, *, last: bool) -> None:
        """Remove what the test has left on the server; ``last`` says that nobody else has anything there now."""
        self.remove_bucket(self.bucket)

    def configure(self) -> None:
        """Fill ``settings``, ``environment`` and ``prelude``; called when the proxy runs."""

    # The storage

    def options(self, role: str = "media", **options: Any) -> dict[str, Any]:
        """Return the keyword arguments of the plain storage class, plain data all of it."""
        raise NotImplementedError

    def backend(self, role: str = "media") -> str:
        """Return the dotted path of the mirrored class for a role."""
        return f"localmirror.backends.{self.module}.Mirrored{self.prefix}{ROLES[role]}Storage"

    def settings_for(self, role: str = "media", **options: Any) -> dict[str, Any]:
        """Return an entry of STORAGES for the mirrored class."""
        return {
            "BACKEND": self.backend(role),
            "OPTIONS": {"mirror_location": str(self.mirror), **self.options(role, **options)},
        }

    def storage(self, role: str = "media", **options: Any) -> Any:
        """Return the mirrored storage for a role, its mirror in the test's directory."""
        entry = self.settings_for(role, **options)
        return import_string(entry["BACKEND"])(**entry["OPTIONS"])

    def plain_settings(self, role: str = "media", **options: Any) -> dict[str, Any]:
        """Return an entry of STORAGES for the storage class without a mirror."""
        return {"BACKEND": self.plain_backend, "OPTIONS": self.options(role, **options)}

    def plain(self, role: str = "media", **options: Any) -> Any:
        """Return the storage without a mirror."""
        entry = self.plain_settings(role, **options)
        return import_string(entry["BACKEND"])(**entry["OPTIONS"])

    # The remote, behind the proxy's back: full keys, bytes as they are stored; FileNotFoundError if missing

    def raw_get(self, name: str) -> bytes:
        raise NotImplementedError

    def raw_put(self, name: str, content: bytes, **headers: str) -> None:
        """Store bytes; ``headers`` are content_type, content_encoding and cache_control."""
        raise NotImplementedError

    def raw_delete(self, name: str) -> None:
        raise NotImplementedError

    def raw_list(self) -> list[str]:
        """Return all keys of the bucket, sorted."""
        raise NotImplementedError

    def raw_head(self, name: str) -> Head:
        raise NotImplementedError

    def raw_all(self) -> dict[str, bytes]:
        """Return everything that is in the bucket."""
        return {name: self.raw_get(name) for name in self.raw_list()}

    @contextlib.contextmanager
    def refusing(self, name: str) -> Iterator[None]:
        """Refuse to store the full key ``name`` within the block: at once, and however often it is tried."""
        rule = self.wire.fail(self.fault_status, operation="upload", name=f"^{re.escape(name)}$")
        try:
            yield
        finally:
            rule.times = 0

    @property
    def secrets(self) -> list[str]:
        """What no message may show."""
        return []


class S3Rig(Rig):
    """What both S3 servers have in common."""

    module, prefix = "s3", "S3"
    plain_backend = "storages.backends.s3.S3Storage"
    http = flat_listing = md5_in_listing = headers = threads = gzip = location = True

    def options(self, role: str = "media", **options: Any) -> dict[str, Any]:
        keys = self.server.credentials
        return {
            "access_key": keys["aws_access_key_id"],
            "secret_key": keys["aws_secret_access_key"],
            "bucket_name": self.bucket,
            "region_name": "us-east-1",
            "endpoint_url": self.wire.url,
            "addressing_style": "path",
            "signature_version": "s3v4",
            "querystring_auth": role == "media",
            **options,
        }

    @property
    def client(self) -> Any:
        """boto3's client, for the server itself; one for all tests."""
        return _s3_client(self.server.url, tuple(self.server.credentials.items()))

    def make_bucket(self, name: str) -> None:
        self.client.create_bucket(Bucket=name)

    def remove_bucket(self, name: str) -> None:
        for page in self.client.get_paginator("list_objects_v2").paginate(Bucket=name):
            keys = [{"Key": entry["Key"]} for entry in page.get("Contents", [])]
            if keys:
                self.client.delete_objects(Bucket=name, Delete={"Objects": keys, "Quiet": True})
        self.client.delete_bucket(Bucket=name)

    @contextlib.contextmanager
    def _missing(self, name: str) -> Iterator[None]:
        from botocore.exceptions import ClientError

        try:
            yield
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] != 404:
                raise
            raise FileNotFoundError(name) from error

    @property
    def secrets(self) -> list[str]:
        return [str(self.server.credentials["aws_secret_access_key"])]

    def raw_get(self, name: str) -> bytes:
        with self._missing(name):
            return bytes(self.client.get_object(Bucket=self.bucket, Key=name)["Body"].read())

    def raw_put(self, name: str, content: bytes, **headers: str) -> None:
        words = {"".join(part.title() for part in key.split("_")): value for key, value in headers.items()}
        self.client.put_object(Bucket=self.bucket, Key=name, Body=content, **words)

    def raw_delete(self, name: str) -> None:
        self.client.delete_object(Bucket=self.bucket, Key=name)

    def raw_list(self) -> list[str]:
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket)
        return sorted(entry["Key"] for page in pages for entry in page.get("Contents", []))

    def raw_head(self, name: str) -> Head:
        with self._missing(name):
            answer = self.client.head_object(Bucket=self.bucket, Key=name)
        etag = answer["ETag"].strip('"')
        return Head(
            size=answer["ContentLength"],
            content_type=answer.get("ContentType"),
            content_encoding=answer.get("ContentEncoding"),
            cache_control=answer.get("CacheControl"),
            content_disposition=answer.get("ContentDisposition"),
            md5=None if "-" in etag else etag,
            etag=etag,
        )


class _Moto(S3Rig):
    def discard(self, *, last: bool) -> None:
        # One request, for all of it at once; what it holds until then is little.
        if last:
            urlopen(Request(f"{self.server.url}/moto-api/reset", method="POST"), timeout=20).close()


class S3MotoRig(_Moto):
    name = "s3-moto"
    server_class = Moto
    conditional_write = key_and_directory = True


class S3RcloneRig(S3Rig):
    name = "s3-rclone"
    server_class = RcloneS3
    checks_credentials = True

    def discard(self, *, last: bool) -> None:
        shutil.rmtree(self.server.directory / "buckets" / self.bucket, ignore_errors=True)

    def remove_bucket(self, name: str) -> None:
        # rclone 1.7 now and then keeps a directory whose last objects were deleted at the same time, and with it the
        # bucket: nobody makes one of that name again, and the server's own directory goes with the server.
        from botocore.exceptions import ClientError

        try:
            super().remove_bucket(name)
        except ClientError as error:
            if error.response["Error"]["Code"] != "BucketNotEmpty":
                raise


class AzureRig(Rig):
    name = "azure-azurite"
    module, prefix, dialect = "azure", "Azure", "azure"
    server_class = Azurite
    plain_backend = "storages.backends.azure_storage.AzureStorage"
    http = flat_listing = md5_in_listing = headers = conditional_write = True
    checks_credentials = key_and_directory = threads = location = True
    # The SDK waits 15 seconds and more before it tries again after a 5xx.
    fault_status = 400
    impatience: ClassVar[dict[str, Any]] = {"client_options": {"retry_total": 0}}

    def options(self, role: str = "media", **options: Any) -> dict[str, Any]:
        return {
            "connection_string": self.server.connection_string(self.endpoint),
            "account_name": ACCOUNT,
            "account_key": KEY,
            "azure_container": self.bucket,
            "azure_ssl": False,
            **options,
        }

    @property
    def secrets(self) -> list[str]:
        return [KEY]

    @property
    def service(self) -> Any:
        """The SDK's client of the account, at the server itself; one for all tests."""
        return _azure_service(self.server.connection_string())

    @property
    def client(self) -> Any:
        """The SDK's client of the container, at the server itself."""
        return self.service.get_container_client(self.bucket)

    def make_bucket(self, name: str) -> None:
        self.service.create_container(name)

    def remove_bucket(self, name: str) -> None:
        self.service.delete_container(name)

    @contextlib.contextmanager
    def _missing(self, name: str) -> Iterator[None]:
        from azure.core.exceptions import ResourceNotFoundError

        try:
            yield
        except ResourceNotFoundError as error:
            raise FileNotFoundError(name) from error

    def raw_get(self, name: str) -> bytes:
        with self._missing(name):
            return bytes(self.client.download_blob(name, decompress=False).readall())

    def raw_put(self, name: str, content: bytes, **headers: str) -> None:
        from azure.storage.blob import ContentSettings

        words = ContentSettings(**headers, content_md5=bytearray(hashlib.md5(content).digest()))
        self.client.upload_blob(name, content, overwrite=True, content_settings=words)

    def raw_delete(self, name: str) -> None:
        with contextlib.suppress(FileNotFoundError), self._missing(name):
            self.client.delete_blob(name)

    def raw_list(self) -> list[str]:
        return sorted(self.client.list_blob_names())

    def raw_head(self, name: str) -> Head:
        with self._missing(name):
            answer = self.client.get_blob_client(name).get_blob_properties()
        words = answer.content_settings
        return Head(
            size=answer.size,
            content_type=words.content_type,
            content_encoding=words.content_encoding,
            cache_control=words.cache_control,
            content_disposition=words.content_disposition,
            md5=bytes(words.content_md5).hex() if words.content_md5 else None,
            etag=answer.etag,
        )


class GcsRig(Rig):
    """Google's SDK finds the emulator through an environment variable, and wants no credentials then."""

    name = "gcs-emulator"
    module, prefix, dialect = "gcloud", "GoogleCloud", "gcs"
    server_class = Gcs
    plain_backend = "storages.backends.gcloud.GoogleCloudStorage"
    http = flat_listing = md5_in_listing = headers = conditional_write = True
    key_and_directory = threads = gzip = location = True
    # The SDK goes on trying after a 5xx for two minutes.
    fault_status = 400

    def configure(self) -> None:
        self.environment["STORAGE_EMULATOR_HOST"] = self.wire.url

    def options(self, role: str = "media", **options: Any) -> dict[str, Any]:
        return {
            "project_id": "test-project",
            "bucket_name": self.bucket,
            "querystring_auth": False,
            "custom_endpoint": f"{self.wire.url}/{self.bucket}",
            **options,
        }

    @property
    def client(self) -> Any:
        """The SDK's client of the bucket, at the server itself, through one connection for all tests."""
        return _google_client(self.server.url).bucket(self.bucket)

    def make_bucket(self, name: str) -> None:
        self.client.client.create_bucket(name)

    def remove_bucket(self, name: str) -> None:
        bucket = self.client.client.bucket(name)
        for blob in list(bucket.list_blobs()):
            blob.delete()
        bucket.delete()

    def discard(self, *, last: bool) -> None:
        if last:
            urlopen(f"{self.server.url}/wipe", timeout=20).close()

    def _blob(self, name: str) -> Any:
        blob = self.client.get_blob(name)
        if blob is None:
            raise FileNotFoundError(name)
        return blob

    def raw_get(self, name: str) -> bytes:
        return bytes(self._blob(name).download_as_bytes(raw_download=True))

    def raw_put(self, name: str, content: bytes, **headers: str) -> None:
        blob = self.client.blob(name)
        kind = headers.pop("content_type", None)
        for key, value in headers.items():
            setattr(blob, key, value)
        blob.upload_from_string(content, content_type=kind or "application/octet-stream")

    def raw_delete(self, name: str) -> None:
        from google.cloud.exceptions import NotFound

        with contextlib.suppress(NotFound):
            self.client.delete_blob(name)

    def raw_list(self) -> list[str]:
        return sorted(blob.name for blob in self.client.list_blobs())

    def raw_head(self, name: str) -> Head:
        import base64

        blob = self._blob(name)
        return Head(
            size=blob.size,
            content_type=blob.content_type,
            content_encoding=blob.content_encoding,
            cache_control=blob.cache_control,
            content_disposition=blob.content_disposition,
            md5=base64.b64decode(blob.md5_hash).hex(),
            etag=str(blob.generation),
        )


class _Directory(Rig):
    """A remote whose files lie in a directory of this machine, where the tests read them."""

    key_and_directory = False
    longest_name = 255

    @property
    def root(self) -> Path:
        raise NotImplementedError

    def make_bucket(self, name: str) -> None:
        self.root.mkdir(parents=True, exist_ok=True)

    def remove_bucket(self, name: str) -> None:
        shutil.rmtree(self.root, ignore_errors=True)

    def raw_get(self, name: str) -> bytes:
        return (self.root / name).read_bytes()

    def raw_put(self, name: str, content: bytes, **headers: str) -> None:
        (self.root / name).parent.mkdir(parents=True, exist_ok=True)
        (self.root / name).write_bytes(content)

    def raw_delete(self, name: str) -> None:
        (self.root / name).unlink(missing_ok=True)

    def raw_list(self) -> list[str]:
        return sorted(str(path.relative_to(self.root)) for path in self.root.rglob("*") if path.is_file())

    def raw_head(self, name: str) -> Head:
        content = self.raw_get(name)
        return Head(size=len(content), md5=hashlib.md5(content).hexdigest())

    @contextlib.contextmanager
    def refusing(self, name: str) -> Iterator[None]:
        obstacle = self.root / name
        obstacle.mkdir(parents=True)
        try:
            yield
        finally:
            obstacle.rmdir()


class _LibCloud(Rig):
    """libcloud's provider comes from LIBCLOUD_PROVIDERS, as django-storages has it."""

    module, prefix = "libcloud", "LibCloud"
    plain_backend = "storages.backends.apache_libcloud.LibCloudStorage"

    def provider(self) -> dict[str, Any]:
        raise NotImplementedError

    def configure(self) -> None:
        self.settings["LIBCLOUD_PROVIDERS"] = {"rig": self.provider()}

    def options(self, role: str = "media", **options: Any) -> dict[str, Any]:
        return {"provider_name": "rig", **options}


class LibCloudLocalRig(_LibCloud, _Directory):
    name = "libcloud-local"

    @property
    def root(self) -> Path:
        return self.directory / "remote" / self.bucket

    def provider(self) -> dict[str, Any]:
        # The driver takes the directory for the user, and containers are the directories in it.
        return {
            "type": "libcloud.storage.types.Provider.LOCAL",
            "user": str(self.root.parent),
            "key": "",
            "bucket": self.bucket,
        }


class LibCloudS3Rig(_LibCloud, _Moto):
    """libcloud's S3 driver, led to the proxy by a driver of ours (``tests.libcloud_driver``)."""

    name = "libcloud-s3-moto"
    module, prefix = "libcloud", "LibCloud"
    plain_backend = _LibCloud.plain_backend
    server_class = Moto
    key_and_directory = True
    gzip = location = False

    def configure(self) -> None:
        super().configure()
        self.prelude.append("import tests.libcloud_driver")
        from . import libcloud_driver

        assert libcloud_driver

    def provider(self) -> dict[str, Any]:
        keys = self.server.credentials
        return {
            "type": "libcloud.storage.types.Provider.S3_LOOPBACK",
            "user": keys["aws_access_key_id"],
            "key": keys["aws_secret_access_key"],
            # Of what django-storages hands to a driver, the only word that this one has no use for.
            "project": f"127.0.0.1:{self.wire.port}",
            "bucket": self.bucket,
        }


class _Generic(Rig):
    """A storage that is named in OPTIONS["remote"]."""

    module, prefix = "generic", ""

    def settings_for(self, role: str = "media", **options: Any) -> dict[str, Any]:
        mine = {key: options.pop(key) for key in list(options) if key.startswith("mirror_")}
        return {
            "BACKEND": self.backend(role),
            "OPTIONS": {
                "remote": self.plain_settings(role, **options),
                "mirror_location": str(self.mirror),
                **mine,
            },
        }


class GenericFileSystemRig(_Generic, _Directory):
    name = "generic-filesystem"
    plain_backend = "django.core.files.storage.FileSystemStorage"
    threads = True

    @property
    def root(self) -> Path:
        return self.directory / "remote" / self.bucket

    def options(self, role: str = "media", **options: Any) -> dict[str, Any]:
        return {"location": str(self.root), "base_url": "/remote/", "allow_overwrite": True, **options}


class GenericSftpRig(_Generic, _Directory):
    name = "generic-sftp"
    server_class = Sshd
    plain_backend = "storages.backends.sftpstorage.SFTPStorage"
    checks_credentials = True

    @property
    def root(self) -> Path:
        return Path(self.server.root, self.bucket)

    def options(self, role: str = "media", **options: Any) -> dict[str, Any]:
        return {
            "host": self.server.host,
            "params": {
                "port": self.server.port,
                "username": self.server.user,
                "key_filename": str(self.server.key_file),
                "allow_agent": False,
                "look_for_keys": False,
            },
            "known_host_file": str(self.server.known_hosts),
            "root_path": str(self.root),
            "base_url": "/remote/",
            **options,
        }


class GenericFtpRig(_Generic, _Directory):
    name = "generic-ftp"
    server_class = Ftp
    # FTPStorage takes a listing apart at its spaces, and a missing file for an empty one.
    exact_size = False
    plain_backend = "storages.backends.ftp.FTPStorage"
    checks_credentials = True

    @property
    def root(self) -> Path:
        return Path(self.server.root, self.bucket)

    @property
    def secrets(self) -> list[str]:
        return [PASSWORD]

    def options(self, role: str = "media", **options: Any) -> dict[str, Any]:
        return {
            # Not ``allow_overwrite``: with it, FTPStorage takes every file for missing and deletes none.
            "location": self.server.location(f"{self.bucket}/"),
            "encoding": "utf-8",
            "base_url": "/remote/",
            **options,
        }


@deconstructible(path="tests.rigs.SharedMemoryStorage")
class SharedMemoryStorage(InMemoryStorage):
    """Django's storage in memory, where instances with the same ``bucket`` hold the same files."""

    _buckets: ClassVar[dict[str, Any]] = {}

    def __init__(self, bucket: str, **options: Any) -> None:
        super().__init__(**options)
        self.bucket = bucket
        self._root = self._buckets.setdefault(bucket, InMemoryDirNode())
        self._resolve(self.base_location, create_if_missing=True, leaf_cls=InMemoryDirNode)

    @classmethod
    def forget(cls, bucket: str) -> None:
        cls._buckets.pop(bucket, None)


class GenericMemoryRig(_Generic):
    name = "generic-memory"
    plain_backend = "tests.rigs.SharedMemoryStorage"
    processes = False

    def options(self, role: str = "media", **options: Any) -> dict[str, Any]:
        return {"bucket": self.bucket, "location": "/memory", "base_url": "/remote/", **options}

    def make_bucket(self, name: str) -> None:
        SharedMemoryStorage(name, location="/memory")

    def remove_bucket(self, name: str) -> None:
        SharedMemoryStorage.forget(name)

    @property
    def _storage(self) -> Storage:
        return cast(Storage, self.plain())

    def raw_get(self, name: str) -> bytes:
        with self._storage.open(name) as file:
            return bytes(file.read())

    def raw_put(self, name: str, content: bytes, **headers: str) -> None:
        from django.core.files.base import ContentFile

        self.raw_delete(name)
        self._storage.save(name, ContentFile(content))

    def raw_delete(self, name: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            self._storage.delete(name)

    def raw_list(self) -> list[str]:
        return sorted(self._walk(""))

    def _walk(self, path: str) -> Iterator[str]:
        directories, files = self._storage.listdir(path)
        yield from (f"{path}{name}" for name in files)
        for name in directories:
            yield from self._walk(f"{path}{name}/")

    def raw_head(self, name: str) -> Head:
        content = self.raw_get(name)
        return Head(size=len(content), md5=hashlib.md5(content).hexdigest())

    @contextlib.contextmanager
    def refusing(self, name: str) -> Iterator[None]:
        self.raw_put(f"{name}/obstacle", b"")
        try:
            yield
        finally:
            self._storage.delete(name)


S3_RIGS: list[type[Rig]] = [S3MotoRig, S3RcloneRig]
RIGS: list[type[Rig]] = [
    *S3_RIGS,
    AzureRig,
    GcsRig,
    LibCloudLocalRig,
    LibCloudS3Rig,
    GenericFileSystemRig,
    GenericMemoryRig,
    GenericSftpRig,
    GenericFtpRig,
]
BY_NAME: Mapping[str, type[Rig]] = {rig.name: rig for rig in RIGS}


@contextlib.contextmanager
def prepared(rig_class: type[R], directory: Path) -> Iterator[R]:
    """Yield a rig with a fresh bucket, its proxy running, its settings and environment in force."""
    if rig_class.server_class is not None:
        require(rig_class.server_class)
    rig = rig_class(directory)
    with contextlib.ExitStack() as stack:
        _living[rig.server_class] += 1
        stack.callback(_leave, rig)
        if rig.http:
            rig.wire = stack.enter_context(Wire(rig.server.url, dialect=rig.dialect))
        rig.configure()
        rig.make_bucket(rig.bucket)
        stack.enter_context(override_settings(**rig.settings))
        stack.enter_context(mock.patch.dict(os.environ, rig.environment))
        yield rig


#: How many rigs have something on a server of this process.
_living = Counter[type[Server] | None]()


def _leave(rig: Rig) -> None:
    _living[rig.server_class] -= 1
    rig.discard(last=not _living[rig.server_class])


@functools.cache
def _s3_client(url: str, credentials: tuple[tuple[str, str], ...]) -> Any:
    return s3_client(url, dict(credentials))


@functools.cache
def _azure_service(connection_string: str) -> Any:
    from azure.storage.blob import BlobServiceClient

    return BlobServiceClient.from_connection_string(connection_string)


@functools.cache
def _google_client(url: str) -> Any:
    from google.auth.credentials import AnonymousCredentials
    from google.cloud.storage import Client

    return Client(project="test-project", credentials=AnonymousCredentials(), client_options={"api_endpoint": url})


def s3_client(url: str, credentials: Mapping[str, str]) -> Any:
    """Return boto3's client for an S3 server of the tests."""
    import boto3
    from botocore.config import Config

    config = Config(signature_version="s3v4", s3={"addressing_style": "path"})
    return boto3.client("s3", endpoint_url=url, region_name="us-east-1", config=config, **credentials)
