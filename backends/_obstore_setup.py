"""What setting obstore up has in common for all providers: connections and credentials as the SDK has them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from localmirror.backends._engines import Unfit

if TYPE_CHECKING:
    from obstore.store import ClientConfig, RetryConfig

#: Seconds after which credentials are asked for again; the SDKs renew theirs when minutes are left.
CREDENTIALS_SECONDS = 60

# Seconds before their end in which obstore 0.12 trusts credentials no more.
_MARGIN = 300
# Between two attempts, doubled each time: a few attempts then span some seconds, as with the SDKs.
_FIRST_PAUSE = timedelta(seconds=0.3)

# Where systems keep their certificates, as a variable that repeats it may say.
_SYSTEM_CERTIFICATES = (
    "/etc/ssl/certs",
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/pki/tls/certs",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/pki/tls/cert.pem",
)


def connection(
    url: str, proxy: str | None, certificates: str | None, *, connect: float | None, read: float | None, sending: float
) -> ClientConfig:
    """Return how to connect to *url*: through *proxy* or none, trusting the *certificates* of a file, or anybody.

    *connect* and *read* are the seconds that the SDK waits for a connection and for an answer, *sending* those that
    a request may take beyond. Raises Unfit if the SDK waits without end, or trusts others than obstore would.
    """
    if connect is None or read is None:
        raise Unfit("obstore has no word for waiting without end")
    wait = read + sending
    is_http = url.startswith("http:")
    options: ClientConfig = {
        "allow_http": is_http,
        "connect_timeout": f"{connect}s",
        "timeout": f"{wait}s",
        "read_timeout": f"{wait}s",
        # Without a proxy obstore would follow HTTP_PROXY and ALL_PROXY in ways of its own: here is one for no host.
        "proxy_url": "http://localhost",
        "proxy_excludes": "*,0.0.0.0/0,::/0",
    }
    if proxy:
        options["proxy_url"] = proxy if "://" in proxy else f"http://{proxy}"
        del options["proxy_excludes"]
    if certificates and not is_http:
        _trust_nobody_else(certificates)
        # Also where they are the default ones: obstore refuses to start on a system that has none itself.
        try:
            with open(certificates, "rb") as file:
                options["root_certificate"] = file.read()
        except OSError as error:
            raise Unfit(f"{certificates} cannot be read") from error
    elif not is_http:
        options["allow_invalid_certificates"] = True
    return options


def as_requests(url: str, verify: bool | str = True) -> tuple[str | None, str | None]:
    """Return the proxy and the file of certificates that Requests would use for *url*, on which some SDKs are built."""
    import certifi
    from requests.utils import get_environ_proxies, select_proxy

    proxy = select_proxy(url, get_environ_proxies(url, no_proxy=None))
    if verify is True:
        verify = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or certifi.where()
    return proxy, verify or None


def retries(attempts: int) -> RetryConfig:
    """Return how to try so many times altogether."""
    return {"max_retries": attempts - 1, "backoff": {"init_backoff": _FIRST_PAUSE}}


def refuse_to_follow(variables: Iterable[str]) -> None:
    """Raise Unfit if one of *variables* is set: obstore follows them, the SDK does not, and no option overrules."""
    found = sorted({name.upper() for name in os.environ} & set(variables))
    if found:
        raise Unfit(f"obstore would follow {', '.join(found)} of the environment")


def _trust_nobody_else(certificates: str) -> None:
    """Raise Unfit if the environment makes obstore trust others than *certificates* and the system's; no SDK would."""
    known = {os.path.realpath(place) for place in (*_SYSTEM_CERTIFICATES, certificates)}
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        places = os.environ.get(name, "").split(os.pathsep)
        if any(os.path.exists(place) and os.path.realpath(place) not in known for place in places):
            refuse_to_follow([name])


class Credentials:
    """Credentials as obstore asks for them, again and again. What *ask* raises is kept in `error`."""

    def __init__(self, ask: Callable[[], dict[str, Any]]) -> None:
        self._ask = ask
        self.error: Exception | None = None

    def __call__(self) -> Any:
        try:
            found = self._ask()
        except Exception as error:
            self.error = error
            raise
        self.error = None
        return {**found, "expires_at": datetime.now(UTC) + timedelta(seconds=_MARGIN + CREDENTIALS_SECONDS)}
