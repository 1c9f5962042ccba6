"""AzureStorage for files that everybody may read."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, urlsplit

from localmirror.backends._azure import AzureRepairs


class AzureStaticStorage(AzureRepairs):
    """AzureStorage, mended, with names that overwrite, and URLs that are the same each time and show no signature."""

    expiration_secs = None
    overwrite_files = True

    def url(self, name: str | None, expire: int | None = None, parameters: Any = None, mode: str = "r") -> str:
        """Return the URL of *name*: signed if *expire* is given, else without asking the SDK, which builds clients."""
        if expire:
            return str(super().url(name, expire, parameters, mode))  # type: ignore[call-arg]
        base = urlsplit(self.endpoint_url)
        if self.custom_domain:
            base = base._replace(netloc=self.custom_domain)
        path = self._get_valid_path(name) if name else self._normalize_name("")
        return f"{base.geturl()}/{self.azure_container}/{quote(path, safe='/~')}"
