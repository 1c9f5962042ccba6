"""How obstore speaks: what its errors say, and which keys it stores under their own names."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from localmirror.backends._engines import Unfit

# A value that arrives as it stands: spaces at the ends are trimmed, and signatures are taken over single ones.
_VALUE = re.compile(r"(?!.*  )[!-~](?:[ -~]*[!-~])?")
# What a header's name can hold, and with it a key of metadata: RFC 9110, 5.6.2. Any other one obstore does not survive.
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
# Names of headers, however they are spelt, that obstore does not take for metadata.
_HEADERS = frozenset(
    ["cachecontrol", "contentdisposition", "contentencoding", "contentlanguage", "contenttype", "storageclass"]
)

# Answers of S3 that speak of another region.
_ELSEWHERE = ("AuthorizationHeaderMalformed", "IllegalLocationConstraintException", "PermanentRedirect")

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class Failure(NamedTuple):
    """What went wrong: the server's answer (*status*, *code*, *message*), or how the *connection* failed.

    *method* is that of the request, *redirected* tells that the server named no place to go to, *disagreed* that
    somebody was there but wanted another kind of TLS, certificate or password; *name* is one in a listing that obstore
    refuses. What obstore did not understand itself leaves all of them empty.
    """

    method: str = ""
    status: int = 0
    code: str = ""
    message: str = ""
    connection: str = ""
    redirected: bool = False
    disagreed: bool = False
    name: str = ""

    @classmethod
    def of(cls, error: Exception) -> Failure:
        """Read *error*, whose text goes on with a dump of Rust's structures and may show whole URLs."""
        text, _, dump = str(error).partition("\n\nDebug source")
        status = _found(r"status code: (\d{3})", text)
        kind = _found(r"\bkind: (Timeout|Connect|Request|Interrupted|Body|Decode)\b", dump)
        return cls(
            _found(r"Error performing ([A-Z]+) ", text),
            int(status or 0),
            _found(r"<Code>(.*?)</Code>", text),
            _found(r"<Message>(.*?)</Message>", text).partition("\n")[0],
            "" if status else kind,
            "Received redirect without LOCATION" in text or status in ("301", "302", "307", "308"),
            re.search(r"\bkind: InvalidData\b|\bTunnel", dump) is not None,
            _found(r'with invalid path: (?:Error parsing )?Path "(.*)"(?: contained|: Encountered)', text),
        )

    @property
    def elsewhere(self) -> bool:
        """Whether S3 has the bucket in another region: botocore looks for it there, and remembers."""
        return self.redirected or self.code in _ELSEWHERE

    @property
    def unclear(self) -> str:
        """Why the SDK may yet succeed; empty where it would have been told the same."""
        if self.elsewhere:
            return "the bucket is in another region"
        if self.connection == "Interrupted" or self.method == "DELETE":
            # Not tried again by obstore; or what it met when it cleaned up after an upload in parts, not the cause.
            return "an answer was cut off"
        if self.status in (400, 501) or self.code == "SignatureDoesNotMatch":
            return f"obstore was answered {self.code or self.status}"
        if self.name:
            return f"obstore refuses to list the name {self.name!r}"
        return "" if self.status or self.connection else "obstore failed in a way of its own"


def _found(pattern: str, text: str) -> str:
    found = re.search(pattern, text, re.DOTALL)
    return html.unescape(found[1]) if found else ""


def plain(key: str) -> str:
    """Return *key* if obstore stores it under this very name. Raises Unfit if it would change or refuse it."""
    if any(part in ("", ".", "..") for part in key.split("/")) or _CONTROL.search(key):
        raise Unfit("obstore would change or refuse names such as 'trail/' and 'a//b'")
    return key


def in_words(words: Mapping[str, str], parameters: Mapping[str, Any], metadata: dict[str, Any]) -> dict[str, str]:
    """Return what a provider's *parameters* are called in *words*, along with *metadata*.

    Parameters that are None count for nothing. Raises Unfit if there is no word for one.
    """
    given = {key: value for key, value in parameters.items() if value is not None}
    unknown = sorted(given.keys() - words.keys())
    if unknown:
        raise Unfit(f"obstore has no word for {', '.join(unknown)}")
    return in_one_spelling({words[key]: value for key, value in given.items()}, metadata)


def in_one_spelling(headers: dict[str, Any], metadata: dict[str, Any]) -> dict[str, str]:
    """Return *headers* and *metadata* as obstore takes them. Raises Unfit if one would not arrive as it stands."""
    if any(re.sub(r"[-_ ]", "", key).lower() in _HEADERS for key in metadata):
        raise Unfit("obstore would take metadata for headers")
    if not all(_TOKEN.fullmatch(key) for key in metadata):
        raise Unfit("obstore has no word for some key of metadata")
    attributes = {**metadata, **headers}
    if not all(isinstance(value, str) and _VALUE.fullmatch(value) for value in attributes.values()):
        raise Unfit("obstore would send some header in another spelling")
    return attributes
