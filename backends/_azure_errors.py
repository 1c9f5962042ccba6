"""What the answers of Azure, and the lack of one, mean."""

from __future__ import annotations

import re
from typing import ClassVar

from azure.core import exceptions as azure

from localmirror.mirror import LocalMirrorMixin
from localmirror.names import first_line, redact

# What hits every file alike: https://learn.microsoft.com/rest/api/storageservices/blob-service-error-codes
_FATAL_CODES = frozenset(
    [
        "AccountIsDisabled",
        "AuthenticationFailed",
        "AuthorizationFailure",
        "AuthorizationPermissionMismatch",
        "ContainerBeingDeleted",
        "ContainerDisabled",
        "ContainerNotFound",
        "InsufficientAccountPermissions",
        "InvalidAuthenticationInfo",
        "NoAuthenticationInformation",
    ]
)


class AzureErrors(LocalMirrorMixin):
    """The part of the Azure adapter that tells errors apart."""

    secret_attributes: ClassVar[tuple[str, ...]] = ("account_key", "connection_string", "sas_token")
    unavailable_errors: ClassVar[tuple[type[BaseException], ...]] = (
        azure.ServiceRequestError,
        azure.ServiceResponseError,
    )

    def is_missing(self, error: BaseException) -> bool:
        """Whether *error* is a 404 for the blob; neither a refusal nor a missing container is."""
        return super().is_missing(error) or is_missing_blob(error)

    def http_status(self, error: BaseException) -> int:
        """Return the status of Azure's answer, 0 if there was none."""
        return int(getattr(error, "status_code", None) or 0)

    def is_fatal(self, error: BaseException) -> bool:
        """Whether *error* is about credentials, container or network rather than one blob."""
        about_all = isinstance(error, azure.ServiceRequestError | azure.ClientAuthenticationError)
        return about_all or code_of(error) in _FATAL_CODES

    def describe_error(self, error: BaseException) -> str:
        """Return the service's own sentence, without what the SDK adds and without any signature."""
        said = f"{code_of(error) or type(error).__name__}: {first_line(error)}"
        said = re.sub(r"<[\w.]+ object at 0x[0-9a-f]+>: ", "", said)
        return redact(re.sub(r"\bsig=[^&\s'\")]+", "sig=***", said), self._secrets())


def code_of(error: BaseException) -> str:
    """Return the service's code for *error*, empty if it did not answer."""
    code = getattr(error, "error_code", None)
    return str(getattr(code, "value", code) or "")


def is_missing_blob(error: BaseException) -> bool:
    """Whether *error* is a 404 for a blob, and not for its container."""
    return isinstance(error, azure.ResourceNotFoundError) and code_of(error) != "ContainerNotFound"


def is_lost_race(error: BaseException) -> bool:
    """Whether *error* says that a blob is not, or no longer, what a conditional write expected."""
    return code_of(error) in ("ConditionNotMet", "TargetConditionNotMet", "BlobAlreadyExists")
