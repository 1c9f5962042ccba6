"""What the answers of S3, and the lack of one, mean."""

from __future__ import annotations

from typing import ClassVar

from botocore import exceptions as boto

from localmirror.mirror import LocalMirrorMixin

# What hits every file alike: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
_FATAL_CODES = frozenset(
    [
        "InvalidAccessKeyId",
        "SignatureDoesNotMatch",
        "ExpiredToken",
        "InvalidToken",
        "NoSuchBucket",
        "AccountProblem",
        "AllAccessDisabled",
        "InvalidBucketName",
        "RequestTimeTooSkewed",
    ]
)


class S3Errors(LocalMirrorMixin):
    """The part of the S3 adapter that tells errors apart."""

    unavailable_errors: ClassVar[tuple[type[BaseException], ...]] = (
        boto.ConnectionError,
        boto.HTTPClientError,
        boto.IncompleteReadError,
    )

    def is_missing(self, error: BaseException) -> bool:
        """Whether *error* is a 404 for the object; neither a refusal nor a missing bucket is."""
        return super().is_missing(error) or code_of(error) in ("404", "NoSuchKey", "NotFound")

    def http_status(self, error: BaseException) -> int:
        """Return the status of S3's answer, 0 if there was none."""
        return status_of(error)

    def is_fatal(self, error: BaseException) -> bool:
        """Whether *error* is about credentials, bucket or network rather than one object."""
        return (
            isinstance(error, boto.ConnectionError | boto.NoCredentialsError | boto.CredentialRetrievalError)
            or code_of(error) in _FATAL_CODES
        )

    def describe_error(self, error: BaseException) -> str:
        """Return botocore's own sentence, without any credential."""
        described = super().describe_error(error)
        return described.removeprefix("ClientError: ")


def code_of(error: BaseException) -> str | None:
    """Return S3's word for *error*, None where it is no answer of S3."""
    return error.response.get("Error", {}).get("Code") if isinstance(error, boto.ClientError) else None


def status_of(error: BaseException) -> int:
    """Return the HTTP status of *error*, 0 where it is no answer of S3."""
    told = error.response.get("ResponseMetadata", {}) if isinstance(error, boto.ClientError) else {}
    return int(told.get("HTTPStatusCode", 0))
