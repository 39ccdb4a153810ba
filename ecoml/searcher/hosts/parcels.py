"""Sends data and modules to other hosts: data at a path of the driver's host, and the user's own modules.

The hash of its content names a parcel, and each host stores it in the user's cache, so that it is sent once for all
runs. If a path or a module exists on a host, the host uses its own. If its content differs from the driver's, the host
is refused, and the message names it.
"""

from __future__ import annotations

import hashlib
import importlib.util
import io
import sys
import sysconfig
import tarfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

import cloudpickle

from ecoml.errors import UsageError
from ecoml.outside.folders import cache_folder, whole
from ecoml.training.base import Executor, OnFiles

Fetch = Callable[[str], bytes]
"""Returns a parcel's content by its digest; raises `KeyError` if there is no such parcel."""


def nothing_to_fetch(digest: str) -> bytes:
    """A `Fetch` without any parcels."""
    raise KeyError(digest)


@dataclass(frozen=True, slots=True)
class Parcels:
    """The parcels of a search, by digest.

    Attributes:
        data: The digest of the training's data, if they are the user's own files; else empty.
        code: The digest of an archive of the user's own modules; empty without any.
        modules: The digest of each of these modules, by name.
    """

    data: str = ""
    code: str = ""
    modules: Mapping[str, str] = field(default_factory=dict)


class Shelf:
    """The parcels on the driver's side.

    Args:
        data: A file or a folder; None: no files of the user's own.
    """

    def __init__(self, data: Path | None) -> None:
        own = own_modules()
        self._code = _archive(own) if own else b""
        self._data = data
        self.parcels = Parcels(
            "" if data is None else digest_of(data),
            _digest(self._code) if own else "",
            {name: _digest(source) for name, source in own.items()},
        )

    def __bool__(self) -> bool:
        return bool(self.parcels.data or self.parcels.code)

    def content(self, digest: str) -> bytes:
        """A parcel's content.

        Raises:
            KeyError: There is no such parcel, or its file has changed since.
        """
        if digest == self.parcels.code:
            return self._code
        if self._data is None or digest != self.parcels.data or digest_of(self._data) != digest:
            raise KeyError(digest)
        return _packed(self._data)


@runtime_checkable
class Lends(Protocol):
    """A transport to hosts with their own disks."""

    def lend(self, shelf: Shelf) -> None:
        """Set the parcels that it can send. Called before `open`."""


def unpacked(executor: bytes, host: str, parcels: Parcels, fetch: Fetch, cache: Path | None = None) -> Executor:
    """An executor on the host it was sent to, with the data and the modules that it needs.

    Args:
        executor: The executor, pickled.
        host: The host's name.
        parcels: The parcels that it needs.
        fetch: Returns the parcels that the host does not have.
        cache: Folder for parcels; default: in the user's cache.

    Raises:
        UsageError: Data or a module differ from the driver's, or are missing and cannot be sent.
    """
    cache = cache or cache_folder() / "parcels"
    if parcels.code:
        _place_code(host, parcels, fetch, cache)
    unpickled: Executor = cloudpickle.loads(executor)
    if parcels.data:
        assert isinstance(unpickled, OnFiles), "only what such trainings read is sent"
        assert unpickled.own_data is not None, "the driver has hashed it"
        unpickled.own_data = _placed_data(host, unpickled.own_data, parcels.data, fetch, cache)
    return unpickled


def _placed_data(host: str, data: Path, digest: str, fetch: Fetch, cache: Path) -> Path:
    """The path of the data on a host: their own path if it exists, else in the cache, where missing data are stored."""
    if data.exists():
        if digest_of(data) != digest:
            raise UsageError(f"host {host}: {data} differs from the driver's; make them equal, or remove it there")
        return data
    folder = cache / digest
    if not folder.exists():
        content = io.BytesIO(_fetched(host, str(data), digest, fetch))
        try:
            with whole(folder) as unfinished, tarfile.open(fileobj=content) as packed:
                packed.extractall(unfinished, filter="data")
        except OSError:  # another search on this host was quicker
            if not folder.exists():
                raise
    return folder / data.name


def _place_code(host: str, parcels: Parcels, fetch: Fetch, cache: Path) -> None:
    """Make the driver's own modules importable; modules that the host has are used as they are."""
    there = {name: importlib.util.find_spec(name) for name in parcels.modules if "." not in name}
    for name, digest in parcels.modules.items():
        root, *inner = name.split(".")
        spec = there[root]
        if spec is None or spec.origin is None:
            continue
        module = Path(spec.origin).parent.joinpath(*inner)
        found = [file for file in (module / "__init__.py", module.with_suffix(".py")) if inner and file.is_file()]
        file = found[0] if found else Path(spec.origin)
        if (inner and not found) or _file_digest(file) != digest:
            raise UsageError(f"host {host}: module {name} ({file}) differs from the driver's; make them equal")
    if all(there.values()):
        return
    archive = cache / f"{parcels.code}.zip"
    if not archive.exists():
        content = _fetched(host, ", ".join(sorted(there)), parcels.code, fetch)
        with whole(archive) as unfinished:
            unfinished.write_bytes(content)
    if str(archive) not in sys.path:
        sys.path.append(str(archive))


def _fetched(host: str, what: str, digest: str, fetch: Fetch) -> bytes:
    try:
        return fetch(digest)
    except KeyError:
        raise UsageError(f"host {host}: {what} is missing and cannot be sent; copy it there") from None


def own_modules() -> dict[str, bytes]:
    """Sources by name of all imported modules that are neither installed nor in the standard library.

    All modules of a package are included, because some of them may be imported later.
    """
    ours = Path(__file__).resolve().parents[2]
    known = [ours, *(Path(path).resolve() for path in sysconfig.get_paths().values())]
    found: dict[str, bytes] = {}
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        spec = getattr(module, "__spec__", None)  # the script itself has none, and is pickled by value
        if "." in name or spec is None or spec.name != name or not file or not file.endswith(".py"):
            continue
        path = Path(file).resolve()
        installed = {"site-packages", "dist-packages"} & set(path.parts) or any(map(path.is_relative_to, known))
        if path.is_file() and not installed:
            found |= dict(_sources(name, path))
    return found


def _sources(name: str, path: Path) -> Iterator[tuple[str, bytes]]:
    if path.name != "__init__.py":
        yield name, path.read_bytes()
        return
    for part in sorted(path.parent.rglob("*.py")):
        inner = part.relative_to(path.parent).with_suffix("").parts
        yield ".".join((name, *inner)).removesuffix(".__init__"), part.read_bytes()


def _archive(sources: Mapping[str, bytes]) -> bytes:
    """A zip of modules; equal sources give equal bytes."""
    packages = {name.rpartition(".")[0] for name in sources}
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, source in sorted(sources.items()):
            path = name.replace(".", "/") + ("/__init__.py" if name in packages else ".py")
            archive.writestr(zipfile.ZipInfo(path), source, zipfile.ZIP_DEFLATED)
    return written.getvalue()


def digest_of(path: Path) -> str:
    """The hash of a file, or of all files in a folder with their names."""
    if path.is_file():
        return _file_digest(path)
    found = hashlib.blake2b(digest_size=20)
    for file in sorted(file for file in path.rglob("*") if file.is_file()):
        found.update(f"{file.relative_to(path)}\0{_file_digest(file)}\0".encode())
    return found.hexdigest()


def _file_digest(path: str | Path) -> str:
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=20)).hexdigest()


def _digest(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=20).hexdigest()


def _packed(path: Path) -> bytes:
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w") as packed:
        packed.add(path, path.name)
    return written.getvalue()
