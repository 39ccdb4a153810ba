"""JSON over HTTP, by the standard library: asked for by hand, with a time-out, and one line where it fails."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from urllib.error import HTTPError

TIMEOUT_S = 10.0

Fetch = Callable[[str, Mapping[str, str]], Any]
"""Gives the JSON at an address, asked for with headers; raises OSError or ValueError where there is none."""


def fetch_json(address: str, headers: Mapping[str, str] | None = None, *, timeout_s: float = TIMEOUT_S) -> Any:
    """What an HTTP address answers.

    Raises:
        OSError: Nobody answers in time, or the answer is an error; its message is one line.
        ValueError: The answer is no JSON, or the address is none of HTTP.
    """
    import http.client  # with its TLS it takes as long to import as all the rest of a meter
    import urllib.error
    import urllib.request

    if not address.startswith(("http://", "https://")):
        raise ValueError(f"{address!r} is no address of HTTP")
    request = urllib.request.Request(address, headers={"Accept": "application/json", **(headers or {})})  # noqa: S310 - checked above
    try:
        with urllib.request.urlopen(request, timeout=timeout_s) as answer:  # noqa: S310 - checked above
            text = answer.read()
    except urllib.error.HTTPError as error:
        raise OSError(f"HTTP {error.code} ({_words(error)})") from None
    except urllib.error.URLError as error:
        late = isinstance(error.reason, TimeoutError)
        raise OSError(f"no answer within {timeout_s:g} s" if late else f"no answer ({error.reason})") from None
    except TimeoutError:
        raise OSError(f"no answer within {timeout_s:g} s") from None
    except (OSError, http.client.HTTPException) as error:  # it was cut off
        raise OSError(f"no whole answer ({error})") from None
    try:
        return json.loads(text)
    except ValueError:
        raise ValueError("the answer is no JSON") from None


def _words(error: HTTPError) -> str:
    """What the server says went wrong, in at most 200 characters."""
    try:
        text = error.read(2000).decode(errors="replace")
        told = json.loads(text)
        text = str(told.get("error") or told.get("message") or text)
    except (OSError, ValueError, AttributeError):
        text = str(error.reason)
    return " ".join(text.split())[:200] or str(error.reason)
