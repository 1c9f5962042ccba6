"""What the answers of Google Cloud Storage, and the lack of one, mean."""

from __future__ import annotations

import re
from typing import ClassVar

import requests
import urllib3
from google.api_core import exceptions as api
from google.auth import exceptions as auth
from google.cloud.storage.exceptions import InvalidResponse

from localmirror.mirror import LocalMirrorMixin
from localmirror.names import first_line, redact


class GoogleCloudErrors(LocalMirrorMixin):
    """The part of the Google Cloud adapter that tells errors apart."""

    secret_attributes: ClassVar[tuple[str, ...]] = ("credentials",)
    unavailable_errors: ClassVar[tuple[type[BaseException], ...]] = (
        api.ServerError,
        api.TooManyRequests,
        api.RetryError,
        auth.TransportError,
        requests.ConnectionError,
        requests.Timeout,
        requests.exceptions.ChunkedEncodingError,
    )

    def is_missing(self, error: BaseException) -> bool:
        """Whether *error* is a 404 for the object; neither a refusal nor a missing bucket is."""
        return super().is_missing(error) or is_missing_object(error)

    def is_fatal(self, error: BaseException) -> bool:
        """Whether *error* is about credentials, bucket or network rather than one object."""
        cause = root_cause(error)
        if isinstance(cause, requests.ConnectionError):
            return any(isinstance(reason, urllib3.exceptions.MaxRetryError) for reason in cause.args)
        if isinstance(cause, api.NotFound):
            return not is_missing_object(cause)
        return isinstance(cause, auth.GoogleAuthError | api.Unauthorized)

    def describe_error(self, error: BaseException) -> str:
        """Return the service's own sentence, without the address: that of an upload is as good as a key."""
        cause = root_cause(error)
        said = re.sub(r"upload_id=[^&\s'\")]+", "upload_id=***", f"{type(cause).__name__}: {first_line(cause)}")
        response = getattr(cause, "response", None)
        if isinstance(cause, api.GoogleAPICallError | InvalidResponse) and response is not None:
            try:
                message = response.json()["error"]["message"]
            except (ValueError, KeyError, TypeError):
                message = response.text.strip().partition("\n")[0] or response.reason
            said = f"{response.status_code} {message}"
        return redact(said, self._secrets())


def root_cause(error: BaseException) -> BaseException:
    """Return what the SDK has tried again for until it gave up, else *error* itself."""
    while isinstance(error, api.RetryError) and error.cause is not None:
        error = error.cause
    return error


def is_missing_object(error: BaseException) -> bool:
    """Whether *error* is a 404 for an object; both are called NotFound, so the bucket's is known by its words."""
    return isinstance(error, api.NotFound) and "bucket does not exist" not in str(error)
