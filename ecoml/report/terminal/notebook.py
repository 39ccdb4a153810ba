"""A running search in a notebook: one output that stays in place and is redrawn once a second."""

from __future__ import annotations

import html
import io
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ecoml.report.terminal.status import StatusSource

COLUMNS = 88
REFRESH_S = 1.0


def in_notebook() -> bool:
    """Whether this is a notebook's kernel; nothing is imported to find out."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return shell is not None and "IPKernelApp" in shell.config


@contextmanager
def in_place(source: StatusSource) -> Iterator[None]:
    """Show the status while the context is open; the last state stays."""
    from IPython.display import display

    shown = display(_bundle(source), raw=True, display_id=True)
    over = threading.Event()

    def draw() -> None:
        while not over.wait(REFRESH_S):
            shown.update(_bundle(source), raw=True)

    thread = threading.Thread(target=draw, name="ecoml-progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        shown.update(_bundle(source), raw=True)


def _bundle(source: StatusSource) -> dict[str, Any]:
    from rich.console import Console

    from ecoml.report.terminal.view import view

    console = Console(file=io.StringIO(), width=COLUMNS, force_jupyter=False, color_system=None)
    console.print(view(source.status()))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    return {"text/plain": text, "text/html": f'<pre style="line-height: 1.2">{html.escape(text)}</pre>'}
