"""JSON over HTTP with the standard library: with a time limit, and with one line per error."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from http.client import HTTPResponse
    from urllib.error import HTTPError

TIMEOUT_S = 10.0
MOST_BYTES = 64 * 2**20
"""The longest answer that is read, in bytes."""

Fetch = Callable[[str, Mapping[str, str]], Any]
"""A function that fetches JSON: address, headers → JSON. It raises OSError or ValueError if there is none."""


def fetch_json(address: str, headers: Mapping[str, str] | None = None, *, timeout_s: float = TIMEOUT_S) -> Any:
    """The JSON at an HTTP address.

    The headers are sent to this server only; a redirect to another server drops them.

    Raises:
        OSError: No answer in time, or an error as the answer. The message is one line and contains no header.
        ValueError: The answer is no JSON, or the address is not HTTP.
    """
    import http.client  # with its TLS it takes as long to import as all the rest of a meter
    import urllib.error
    import urllib.request

    if not address.startswith(("http://", "https://")):
        raise ValueError(f"{address!r} is not an HTTP address")
    if not all(value.isascii() and value.isprintable() for value in (headers or {}).values()):
        raise ValueError(
            "the value of the header contains a line break or a character that HTTP headers cannot contain"
        )
    request = urllib.request.Request(address, headers={"Accept": "application/json"})  # noqa: S310 - checked above
    for name, value in (headers or {}).items():
        request.add_unredirected_header(name, value)
    try:
        with urllib.request.urlopen(request, timeout=timeout_s) as answer:  # noqa: S310 - checked above
            text = _whole(answer, time.monotonic() + timeout_s)
    except urllib.error.HTTPError as error:
        with error:
            words = _words(error)
        raise OSError(f"HTTP {error.code} ({words})") from None
    except urllib.error.URLError as error:
        late = isinstance(error.reason, TimeoutError)
        raise OSError(f"no answer within {timeout_s:g} s" if late else f"no answer ({error.reason})") from None
    except TimeoutError:
        raise OSError(f"no answer within {timeout_s:g} s") from None
    except (OSError, http.client.HTTPException) as error:  # it was cut off
        raise OSError(f"the answer broke off ({' '.join(str(error).split())})") from None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError("the answer is no JSON") from None


def _whole(answer: HTTPResponse, until_s: float) -> bytes:
    """The complete answer; its total time is limited, however slowly it arrives."""
    from http.client import IncompleteRead

    parts: list[bytes] = []
    length, told = 0, answer.length
    while part := answer.read1(2**16):
        parts.append(part)
        length += len(part)
        if length > MOST_BYTES:
            raise OSError(f"the answer is longer than {MOST_BYTES / 2**20:.0f} MiB")
        if time.monotonic() > until_s:
            raise TimeoutError
    if told is not None and length < told:
        raise IncompleteRead(b"".join(parts), told - length)
    return b"".join(parts)


def _words(error: HTTPError) -> str:
    """The server's explanation of an error, at most 200 characters."""
    from http.client import HTTPException

    try:
        text = error.read(2000).decode(errors="replace")
        told = json.loads(text)
        text = str(told.get("error") or told.get("message") or text)
    except (OSError, ValueError, AttributeError, RecursionError, HTTPException):
        text = str(error.reason)
    return " ".join(text.split())[:200] or str(error.reason)
