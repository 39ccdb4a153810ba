"""Another Python of this host, which calls one function."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence


def start_python(
    serve: str,
    *arguments: str | int,
    descriptors: Sequence[int],
    environment: Mapping[str, str],
    new_session: bool = False,
) -> subprocess.Popen[bytes]:
    """Start this very Python anew, with this one's places of modules.

    Args:
        serve: The function that it calls with the arguments, as `module:name`.
        *arguments: See `serve`.
        descriptors: Open files that it inherits under the same numbers.
        environment: Its environment variables.
        new_session: Whether Ctrl-C in this one's terminal does not reach it.
    """
    places = [os.fspath(path) for path in sys.path if isinstance(path, str | os.PathLike)]
    module, name = serve.split(":")
    told = f"from {module} import {name}; {name}(*{arguments!r})"
    return subprocess.Popen(  # noqa: S603 - no shell
        [sys.executable, "-c", f"import sys; sys.path[:] = {places!r}; {told}"],
        stdin=subprocess.DEVNULL,
        stdout=2,  # what a caller's training prints must not get between the lines of --json
        pass_fds=descriptors,
        env=environment,
        start_new_session=new_session,
    )
