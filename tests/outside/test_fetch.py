"""JSON over HTTP from servers that misbehave: one line, in time, and no header to anybody else."""

import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from ecoml.outside.fetch import fetch_json

SECRET = {"Authorization": "Bearer secret"}


class Server(ThreadingHTTPServer):
    """It remembers who came with which authorisation.

    Attributes:
        heard: The header of each request.
        other: An address on another server.
    """

    daemon_threads = True
    block_on_close = False

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.heard: list[str | None] = []
        self.other = ""


class Handler(BaseHTTPRequestHandler):
    server: Server

    def log_message(self, *args):
        pass

    def do_GET(self):
        self.server.heard.append(self.headers.get("Authorization"))
        with suppress(OSError):
            getattr(self, self.path.strip("/"))()

    def start(self, code=200, **headers):
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()

    def good(self):
        self.start()
        self.wfile.write(b"[1]")

    def away(self):
        self.start(302, Location=self.server.other)

    def deep(self):
        self.start()
        self.wfile.write(b"[" * 100_000)

    def cut(self):
        self.start(Content_Length="500")
        self.wfile.write(b"[1]")

    def broken_off(self):
        self.start(500, Transfer_Encoding="chunked")
        self.wfile.write(b"fff\r\nabc")

    def drip(self):
        self.start()
        for _ in range(30):
            self.wfile.write(b" ")
            self.wfile.flush()
            time.sleep(0.1)


@pytest.fixture
def servers():
    both = [Server(), Server()]
    for server in both:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    both[0].other = f"http://127.0.0.1:{both[1].server_port}/good"
    yield both
    for server in both:
        server.shutdown()
        server.server_close()


def ask(servers, what, headers=SECRET, timeout_s=5.0):
    return fetch_json(f"http://127.0.0.1:{servers[0].server_port}/{what}", headers, timeout_s=timeout_s)


def test_the_header_goes_to_the_server_that_was_named_and_to_no_other(servers):
    assert ask(servers, "good") == ask(servers, "away") == [1]
    assert servers[0].heard == ["Bearer secret"] * 2
    assert servers[1].heard == [None]


@pytest.mark.parametrize(
    ("what", "error", "told"),
    [
        ("deep", ValueError, "no JSON"),
        ("cut", OSError, "the answer broke off"),
        ("broken_off", OSError, "HTTP 500"),
        ("drip", OSError, "no answer within 0.3 s"),
    ],
)
def test_an_answer_that_is_none_is_told_in_one_line_and_in_time(what, error, told, servers):
    before_s = time.monotonic()
    with pytest.raises(error, match=told) as refused:
        ask(servers, what, timeout_s=0.3 if what == "drip" else 5.0)
    assert "\n" not in str(refused.value)
    assert time.monotonic() - before_s < 2.5


def test_a_key_with_a_line_break_is_refused_and_not_shown(servers):
    with pytest.raises(ValueError, match="line break") as refused:
        ask(servers, "good", {"auth-token": "secret\n"})
    assert "secret" not in str(refused.value)
    assert not servers[0].heard
