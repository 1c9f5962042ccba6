"""The objects of one container of apache-libcloud: how they are found, listed, sent and read."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from typing import IO, Any

from django.core.exceptions import ImproperlyConfigured
from django.core.files.base import File
from django.core.files.storage import Storage
from libcloud.storage.base import Object
from storages.utils import check_location

from localmirror.backends._libcloud_driver import Chunks, build
from localmirror.backends._libcloud_provider import NOT_FOR_DRIVER, Family, configured, family_of
from localmirror.content import CHUNK_SIZE
from localmirror.names import first_line, redact

# Arguments of drivers that say where the files are.
_PLACES = ("host", "port", "region", "project", "ex_tenant_name", "ex_force_base_url", "ex_force_service_region")


class LibCloudContainer(Storage):
    """What a storage does with the container of its provider.

    The provider is an entry of ``LIBCLOUD_PROVIDERS``, named by *provider_name*, or the same keys given as options:
    ``type``, ``user``, ``key``, ``bucket`` and any argument of the driver. `own_options` are attributes of the class.
    """

    own_options = ("base_url", "location", "file_overwrite", "querystring_auth", "upload_extra", "upload_headers")

    #: What URLs begin with; where it is not set, the provider's public address. It has no value then, not even None:
    #: django-compressor 4.6.0 takes any value of ``storage.base_url`` for what its sources' addresses begin with.
    base_url: str
    #: The prefix of all names in the container.
    location: str = ""
    #: Whether a name that is taken is saved over. None: in all roles but media.
    file_overwrite: bool | None = None
    #: Whether URLs are signed where there is no *base_url* and the driver can. None: in the role media alone.
    querystring_auth: bool | None = None
    #: What every upload hands to the driver as ``extra``, such as ``{"acl": "public-read"}``, and as HTTP headers.
    upload_extra: Mapping[str, Any] = {}
    upload_headers: Mapping[str, str] = {}
    provider_name: str | None = None

    def __init__(self, provider_name: str | None = None, option: str | None = None, **options: Any) -> None:
        for name in options.keys() & set(self.own_options):
            setattr(self, name, options[name])
        if self.file_overwrite is None:
            self.file_overwrite = self.is_public
        if self.querystring_auth is None:
            self.querystring_auth = not self.is_public
        check_location(self)
        self.provider, self._driver_class = configured(
            type(self), provider_name or self.provider_name, options, self.own_options
        )
        self.bucket = self.provider["bucket"]
        self.key = self.provider.get("key")

    @property
    def is_public(self) -> bool:
        """Whether the files are for everybody, and for good, as all but media are."""
        return getattr(self, "role", "media") != "media"

    @property
    def family(self) -> Family:
        """What is known of the driver."""
        return family_of(self._driver_class)

    @property
    def driver(self) -> Any:
        """The driver of this thread."""
        local = self.__dict__.setdefault("_localmirror_drivers", threading.local())
        if not hasattr(local, "driver"):
            rest = {name: value for name, value in self.provider.items() if name not in NOT_FOR_DRIVER}
            try:
                local.driver = build(self._driver_class, self.provider["user"], self.key, **rest)
            except Exception as error:
                why = redact(str(getattr(error, "value", None) or first_line(error)), {"key": self.key})
                raise ImproperlyConfigured(f"{self._driver_class.__name__} cannot be set up: {why}") from error
        return local.driver

    @property
    def endpoint(self) -> str:
        """Which provider it is, and where."""
        places = [self.provider.get(name) for name in (*_PLACES, *(["user"] if self.family.user_is_place else []))]
        kind = str(self.provider["type"]).rpartition(".")[2].upper()
        return " ".join([kind, *(str(place) for place in places if place)])

    @property
    def place(self) -> str:
        """Where the files are."""
        return " ".join(filter(None, [self.endpoint, self.bucket, self.location]))

    @property
    def access_key(self) -> str | None:
        """The user name, where it is one half of the credentials."""
        return None if self.family.user_is_place else str(self.provider["user"])

    @property
    def token(self) -> str | None:
        """The driver's argument *token*."""
        return self.provider.get("token")

    def full_name(self, name: str) -> str:
        """Return what *name* is called in the container."""
        return f"{self.location.rstrip('/')}/{name}" if self.location else name

    def _get_bucket(self) -> Any:
        return self.driver.get_container(self.bucket)

    def _get_object(self, name: str) -> Any:
        return self.driver.get_object(self.bucket, self.full_name(name))

    def named_object(self, name: str) -> Any:
        """Return what stands for *name* when it is downloaded or deleted, asked for only where the driver must."""
        if not self.family.by_name:
            return self._get_object(name)
        return Object(self.full_name(name), 0, "", {}, {}, self._get_bucket(), self.driver)

    def objects(self, prefix: str) -> Iterator[tuple[str, Any]]:
        """Iterate over name and object of all that lies below *prefix*."""
        base, wanted = self.full_name(""), self.full_name(prefix)
        # Drivers that cannot ask for a prefix warn and do no more than is done here.
        asked = wanted if self.family.lists_prefix else None
        for found in self.driver.iterate_container_objects(self._get_bucket(), prefix=asked):
            if found.name.startswith(wanted) and not found.name.endswith("/"):
                yield found.name[len(base) :], found

    def put(self, name: str, content: File[bytes], headers: Mapping[str, str], content_type: str | None) -> Any:
        """Send *content* in one stream and return the object; *headers* only where the driver takes any."""
        extra = {**self.upload_extra, **({"content_type": content_type} if content_type else {})}
        sent = {**self.upload_headers, **headers} if self.family.headers else None
        stream = Chunks(content.file, content.size)  # type: ignore[arg-type]
        return self.driver.upload_object_via_stream(
            stream, self._get_bucket(), self.full_name(name), extra=extra, headers=sent
        )

    def read_into(self, name: str, target: IO[bytes]) -> None:
        """Write all of *name* to *target*."""
        for chunk in self.driver.download_object_as_stream(self.named_object(name), CHUNK_SIZE):
            target.write(chunk)
