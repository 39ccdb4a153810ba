"""How much disk ecoml's dependencies take: the tables of docs/start/install.md.

    python -m venv /tmp/sizes
    /tmp/sizes/bin/pip install --constraint constraints.txt \\
        '.[peers,syne-tune,onnx,parquet,zeus,ray,trackers,trainers,notebook]'
    /tmp/sizes/bin/python benchmarks/installed_sizes.py

A package's size is that of its files, as `pip show --files` lists them. A package that several dependencies need is
counted with the first of them. An extra that is not completely installed has no figure.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PROJECT = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]
CUDA = ("nvidia-c", "nvidia-n", "cuda-", "triton")
LISTED_B = 5e6


def size_b(name: str) -> int:
    """Bytes of a package's files."""
    files = metadata.distribution(name).files or []
    return sum(path.stat().st_size for file in files if (path := Path(str(file.locate()))).is_file())


def needed(requirements: Iterable[str]) -> dict[str, None]:
    """The packages that requirements install, themselves included.

    Raises:
        PackageNotFoundError: One of them is not installed.
    """
    found: dict[str, None] = {}
    todo = [Requirement(text) for text in requirements]
    while todo:
        requirement = todo.pop(0)
        name = canonicalize_name(requirement.name)
        if name in found or name == "ecoml":
            continue
        found[name] = None
        for text in metadata.distribution(name).requires or []:
            further = Requirement(text)
            if further.marker is None or any(
                further.marker.evaluate({"extra": extra}) for extra in requirement.extras or {""}
            ):
                todo.append(further)
    return found


def megabytes(names: Iterable[str]) -> str:
    """The size of packages together."""
    return f"{sum(size_b(name) for name in names) / 1e6:,.0f} MB"


def parts(core: Iterable[str]) -> Iterator[tuple[str, int]]:
    """Name and bytes of each dependency with the packages that those before it do not need; CUDA by itself."""
    seen = {name for name in core if name.startswith(CUDA)}
    yield "CUDA, for NVIDIA GPUs", sum(size_b(name) for name in seen)
    for text in sorted(PROJECT["dependencies"], key=lambda text: not text.startswith("torch")):
        new = [name for name in needed([text]) if name not in seen]
        seen.update(new)
        yield f"`{Requirement(text).name}`", sum(size_b(name) for name in new)


def main() -> None:
    """Print both tables."""
    core = needed(PROJECT["dependencies"])
    print(f"The core: {megabytes(core)} in {len(core)} packages\n\n| dependency | size |\n|---|---|")
    sizes = sorted(parts(core), key=lambda part: -part[1])
    for name, bytes_ in sizes:
        if bytes_ >= LISTED_B:
            print(f"| {name} | {bytes_ / 1e6:,.0f} MB |")
    print(f"| all others | {sum(bytes_ for _, bytes_ in sizes if bytes_ < LISTED_B) / 1e6:,.0f} MB |")
    print("\n| extra | adds |\n|---|---|")
    for extra, requirements in PROJECT["optional-dependencies"].items():
        try:
            print(f"| `{extra}` | {megabytes(name for name in needed(requirements) if name not in core)} |")
        except metadata.PackageNotFoundError as missing:
            print(f"| `{extra}` | not installed: {missing.name} |")


if __name__ == "__main__":
    main()
