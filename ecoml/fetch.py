"""JSON over HTTP, by the standard library: asked for by hand, with a time-out, and one line where it fails."""

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
"""No answer that is asked for here is longer."""

Fetch = Callable[[str, Mapping[str, str]], Any]
"""Gives the JSON at an address, asked for with headers; raises OSError or ValueError where there is none."""


def fetch_json(address: str, headers: Mapping[str, str] | None = None, *, timeout_s: float = TIMEOUT_S) -> Any:
    """What an HTTP address answers.

    The headers go to that server alone: where it sends to another, they stay behind.

    Raises:
        OSError: Nobody answers in time, or the answer is an error; its message is one line, and holds no header.
        ValueError: The answer is no JSON, or the address is none of HTTP.
    """
    import http.client  # with its TLS it takes as long to import as all the rest of a meter
    import urllib.error
    import urllib.request

    if not address.startswith(("http://", "https://")):
        raise ValueError(f"{address!r} is no address of HTTP")
    if not all(value.isascii() and value.isprintable() for value in (headers or {}).values()):
        raise ValueError("what the header is to say has a line break or a letter that HTTP does not carry")
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
        raise OSError(f"no whole answer ({' '.join(str(error).split())})") from None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError("the answer is no JSON") from None


def _whole(answer: HTTPResponse, until_s: float) -> bytes:
    """All that is answered, however slowly it drips."""
    from http.client import IncompleteRead

    parts: list[bytes] = []
    length, told = 0, answer.length
    while part := answer.read1(2**16):
        parts.append(part)
        length += len(part)
        if length > MOST_BYTES:
            raise OSError(f"it is longer than {MOST_BYTES / 2**20:.0f} MiB")
        if time.monotonic() > until_s:
            raise TimeoutError
    if told is not None and length < told:
        raise IncompleteRead(b"".join(parts), told - length)
    return b"".join(parts)


def _words(error: HTTPError) -> str:
    """What the server says went wrong, in at most 200 characters."""
    from http.client import HTTPException

    try:
        text = error.read(2000).decode(errors="replace")
        told = json.loads(text)
        text = str(told.get("error") or told.get("message") or text)
    except (OSError, ValueError, AttributeError, RecursionError, HTTPException):
        text = str(error.reason)
    return " ".join(text.split())[:200] or str(error.reason)
