"""The run folder: `run.toml`, `ledger.sqlite`, `models/`, `report.html`, and the lock that limits it to one writer."""

from __future__ import annotations

import errno
import fcntl
import os
import platform
import shutil
import time
import tomllib
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import tomli_w

from ecoml.errors import RunFolderError, RunLockedError, StorageError
from ecoml.outside.folders import is_utf8, write_whole
from ecoml.run.storage.store import Store

LEDGER = "ledger.sqlite"

FORMAT = 2
"""Version of `run.toml`; a newer one is refused, an older one is converted to this version."""


_LIMITS_OF_VERSION_1 = (
    *("max_trials", "target_accuracy", "max_parameters", "max_energy_per_training_j"),
    *("require_measured", "spend_all"),
)


class RunFolder:
    """A run folder that this process writes.

    Args:
        path: The folder.
        settings: The content of `run.toml`.
        lock: The descriptor of its lock.
        above: The folders above it that were made for it, the lowest first.

    Attributes:
        path: The folder.
        settings: The content of `run.toml`.
    """

    def __init__(self, path: Path, settings: Mapping[str, Any], lock: int, above: Sequence[Path] = ()) -> None:
        self.path = path
        self.settings = settings
        self._lock: int | None = lock
        self._above = above

    @classmethod
    def create(
        cls,
        path: Path,
        settings: Mapping[str, Any],
        files: Mapping[str, str] | None = None,
        *,
        numbered: bool = False,
    ) -> RunFolder:
        """Create the folder with its lock, its `run.toml` and a ledger that contains only its budget: completely or not
        at all.

        Args:
            path: The folder; it must not exist, or be empty.
            settings: The content of `run.toml`, with `run` and its `budget_j`.
            files: Further text files by name.
            numbered: Whether a number may be appended to the name, if another process takes it at the same time.

        Raises:
            RunFolderError: The folder is not empty, or cannot be created.
        """
        if numbered and path.exists():
            path = _next_free(path)
        check_free(path)
        settings = {"format": FORMAT, "created": _now(), **settings, "host": describe_host()}
        above = [folder for folder in path.parents if not folder.exists()]
        staging, lock = None, None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            fresh = path.parent / f".{path.name}.{uuid.uuid4().hex[:8]}"
            fresh.mkdir()
            staging = fresh  # from here on an error deletes it
            (staging / "models").mkdir()
            lock = _take_lock(staging)
            for name, text in (files or {}).items():
                (staging / name).write_text(text, encoding="utf-8")
            (staging / "run.toml").write_text(tomli_w.dumps(settings), encoding="utf-8")
            store = Store(staging / LEDGER, create=True)
            store.set("budget_j", settings["run"]["budget_j"])  # whoever looks before the meters are open is told it
            store.close()
            path = _put(staging, path, numbered)
        except BaseException as error:
            if lock is not None:
                _give_up(lock)
            if staging is not None:
                shutil.rmtree(staging, ignore_errors=True)
            _delete_empty(above)
            if isinstance(error, OSError):
                raise RunFolderError(f"{path}: cannot be written ({error.strerror}); choose another folder") from None
            raise
        return cls(path, settings, lock, above)

    @classmethod
    def open(cls, path: Path) -> RunFolder:
        """Open an existing run folder for writing.

        Raises:
            RunFolderError: The folder is no run folder, or of a newer version.
            RunLockedError: Another process is writing it.
        """
        settings = read_settings(path)
        return cls(path, settings, _take_lock(path))

    @property
    def ledger(self) -> Path:
        """The path of the ledger's file."""
        return self.path / LEDGER

    def change(self, files: Mapping[str, str | None], **tables: Any) -> None:
        """Replace files, or delete those that are None, and tables of `run.toml`."""
        settings = {**self.settings, **tables}
        texts = {**files, **({"run.toml": tomli_w.dumps(settings)} if settings != self.settings else {})}
        try:
            for name, text in texts.items():
                if text is None:
                    (self.path / name).unlink(missing_ok=True)
                else:
                    write_whole(self.path / name, text)
        except OSError as error:
            raise StorageError(f"{error.filename or self.path}: cannot be written ({error.strerror})") from None
        self.settings = settings

    def close(self) -> None:
        """Release the lock. May be called twice."""
        if self._lock is not None:
            _give_up(self._lock)
            self._lock = None

    def delete(self) -> None:
        """Delete the folder, and those made for it that are empty."""
        self.close()
        shutil.rmtree(self.path, ignore_errors=True)
        _delete_empty(self._above)


def _delete_empty(folders: Sequence[Path]) -> None:
    with suppress(OSError):  # something else is in one of them, or it was not made
        for folder in folders:
            folder.rmdir()


def check_free(path: Path) -> None:
    """Refuse a folder that is not empty, or whose name is no text."""
    if not is_utf8(path):
        raise RunFolderError(f"{str(path.absolute())!a}: its name is not UTF-8; choose another directory=")
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        go_on = f"; to continue that run: ecoml resume {path}" if (path / "run.toml").is_file() else ""
        raise RunFolderError(f"{path}: already there; choose another directory={go_on}")


def read_settings(path: Path) -> dict[str, Any]:
    """`run.toml` of a run folder, or a copy of it under any name.

    Raises:
        RunFolderError: The folder is no run folder, or of a newer version, or its `run.toml` is damaged.
    """
    file = path if path.is_file() else path / "run.toml"
    if not file.is_file():
        missing = "no such folder" if not path.exists() else f"not a run folder (no {file.name} in it)"
        raise RunFolderError(f"{path}: {missing}; name a folder made by `ecoml search`")
    try:
        settings = tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RunFolderError(f"{file}: cannot be read ({error}); restore it, or start a new run") from None
    found = settings.get("format")
    if not isinstance(found, int):
        raise RunFolderError(f"{file}: not an ecoml run (it has no `format`); name a folder made by `ecoml search`")
    if found > FORMAT:
        raise RunFolderError(
            f"{path}: written by a newer ecoml (format {found}, this one reads {FORMAT}); upgrade ecoml"
        )
    for table, key in (("run", "problem"), ("run", "strategy"), ("run", "seed"), ("space", None)):
        if not isinstance(settings.get(table), dict) or (key is not None and key not in settings[table]):
            name = table if key is None else f"{table}.{key}"
            raise RunFolderError(f"{file}: {name} is missing in it; restore it, or start a new run")
    return settings if found == FORMAT else _of_version_1(settings)


def _of_version_1(settings: dict[str, Any]) -> dict[str, Any]:
    """The settings of ecoml 0.1, converted to this version."""
    run = dict(settings["run"])
    limits = {name: run.pop(name) for name in _LIMITS_OF_VERSION_1 if name in run}
    if "target_accuracy" in limits:
        limits["target"] = limits.pop("target_accuracy")
    executor = dict(settings.get("executor", {}))
    step = "epoch" if executor.get("kind") == "cnn" else "step"
    if isinstance(model := executor.get("model"), str):
        executor["model"] = model.replace("ecoml.paper.", "ecoml.experiments.paper.")
    metric = {"name": "validation accuracy", "minimize": False, "low": 0.0, "high": 1.0, "step": step}
    return {**settings, "format": FORMAT, "run": run, "limits": limits, "executor": executor, "metric": metric}


def default_path(strategy: str) -> Path:
    """`runs/20260131-142500-bayes`, with a number if it exists."""
    base = Path("runs") / f"{time.strftime('%Y%m%d-%H%M%S')}-{strategy}"
    return _next_free(base) if base.exists() else base


def _next_free(base: Path) -> Path:
    number = 2
    while (path := base.with_name(f"{base.name}-{number}")).exists():
        number += 1
    return path


def describe_host() -> dict[str, Any]:
    """A description of the machine and the versions."""
    return {
        "system": platform.platform(),
        "python": platform.python_version(),
        "cpu": _cpu_name(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        "versions": versions_of("ecoml", "torch", "torchvision", "botorch", "gpytorch", "numpy"),
    }


def versions_of(*packages: str) -> dict[str, str]:
    """The versions of those of these packages that are installed."""
    versions = {}
    for package in packages:
        with suppress(PackageNotFoundError):
            versions[package] = version(package)
    return versions


def _cpu_name() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _take_lock(path: Path) -> int:
    lock = os.open(path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        holder = os.pread(lock, 32, 0).decode(errors="replace").strip() or "unknown"
        os.close(lock)
        if holder == str(os.getpid()):
            raise RunLockedError(
                f"{path}: a searcher of this very process is still writing this run; close it first: searcher.close()"
            ) from None
        raise RunLockedError(
            f"{path}: another process (number {holder}) is writing this run; wait for it to end, or stop it"
        ) from None
    os.ftruncate(lock, 0)
    os.pwrite(lock, str(os.getpid()).encode(), 0)
    _locks.add(lock)
    return lock


def _give_up(lock: int) -> None:
    _locks.discard(lock)
    os.close(lock)


def _forget_locks() -> None:
    """Close a forked child's copies of its parent's locks, which it would otherwise hold after the parent has ended."""
    for lock in _locks:
        os.close(lock)
    _locks.clear()


_locks: set[int] = set()
os.register_at_fork(after_in_child=_forget_locks)


def _put(staging: Path, path: Path, numbered: bool) -> Path:
    """Rename a complete folder; returns its path."""
    while True:
        try:
            staging.rename(path)
        except OSError as error:
            if not numbered or error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
                raise
            path = _next_free(path)
        else:
            return path


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S%z")
