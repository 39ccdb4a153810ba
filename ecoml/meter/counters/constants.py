"""The constants of the estimate. The user may set them, or `ecoml meters --calibrate` may fit them.

They are stored in `ecoml/estimate.toml` in the folder of the user's settings (`$XDG_CONFIG_HOME`, else `~/.config`):

    idle_w_per_cpu = 0.75       # W of an idle logical CPU
    busy_w_per_cpu = 3.5        # W of a busy one
    interval = 2.0              # the true value lies between 1/interval and interval times the estimate
    calibrated = "…"            # when and where, for people
"""

from __future__ import annotations

import math
import tomllib
from dataclasses import asdict, dataclass
from pathlib import Path

from ecoml.errors import MeterError
from ecoml.outside.folders import config_folder, write_whole


@dataclass(frozen=True, slots=True)
class Constants:
    """The factors by which the estimate multiplies CPU seconds.

    Attributes:
        idle_w_per_cpu: Power of an idle logical CPU, W.
        busy_w_per_cpu: Power of a busy one, W.
        interval: The true value lies between 1/interval times the estimate and interval times it.
        calibrated: When and where they were fitted, for people; empty for the built-in ones.
    """

    idle_w_per_cpu: float = 0.75
    busy_w_per_cpu: float = 3.5
    interval: float = 2.0
    calibrated: str = ""

    def __str__(self) -> str:
        origin = f", calibrated {self.calibrated}" if self.calibrated else ""
        return f"{self.busy_w_per_cpu:g} W for a busy CPU, {self.idle_w_per_cpu:g} W for an idle one{origin}"


BUILT_IN = Constants()


def constants_file() -> Path:
    """The path of the user's constants; the file may not exist."""
    return config_folder() / "estimate.toml"


def load_constants() -> Constants:
    """The user's constants; the built-in ones if there is no file.

    Raises:
        MeterError: The file cannot be read or used; the message names file and key.
    """
    path = constants_file()
    try:
        settings = tomllib.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return BUILT_IN
    except PermissionError:
        raise MeterError(
            f"{path}: it cannot be read; change its permissions, or remove it to use the built-in constants"
        ) from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise MeterError(f"{path}: {error}; correct it, or remove it to use the built-in constants") from None
    known = asdict(BUILT_IN)
    for key, value in settings.items():
        if key not in known:
            raise MeterError(f"{path}: unknown key `{key}`; known are {', '.join(known)}")
        if key == "calibrated":
            if not isinstance(value, str):
                raise MeterError(f"{path}: calibrated must be a text, not {value!r}")
        elif isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
            raise MeterError(f"{path}: {key} must be a number of 0 or more, not {value!r}")
    constants = Constants(**settings)
    if constants.busy_w_per_cpu <= constants.idle_w_per_cpu:
        raise MeterError(
            f"{path}: busy_w_per_cpu must be more than idle_w_per_cpu, "
            f"not {constants.busy_w_per_cpu:g} against {constants.idle_w_per_cpu:g}"
        )
    if constants.interval <= 1:
        raise MeterError(f"{path}: interval must be more than 1, not {constants.interval:g}")
    return constants


def save_constants(constants: Constants) -> Path:
    """Write the user's constants in place of any earlier ones; returns the file. Deleting it restores the built-in
    constants.

    Raises:
        MeterError: The file cannot be written.
    """
    import tomli_w

    path = constants_file()
    try:
        write_whole(path, tomli_w.dumps(asdict(constants)))
    except OSError as error:
        raise MeterError(
            f"{path}: it cannot be written ({error.strerror}); set XDG_CONFIG_HOME to a folder that you may write"
        ) from None
    return path
