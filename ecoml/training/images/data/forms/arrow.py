"""A data set from Parquet or Arrow tables of images, as Hugging Face stores them.

    data/train-….parquet, data/test-….parquet       as on the Hugging Face hub
    train/data-….arrow, test/data-….arrow           as `datasets` saves several splits with `save_to_disk`
    data-….arrow                                    as it saves a single split

Columns: `image` (or `img`) with the bytes of an image file (or a struct with `bytes`), and `label` (or `labels`,
`fine_label`). The files' metadata may name the classes. The tables are unpacked once into a folder of images.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ecoml.errors import DataError
from ecoml.outside.folders import cache_folder, whole
from ecoml.training.images.data.listing import VALIDATION

_SPLITS = {"train": "train", "test": "test", **dict.fromkeys(VALIDATION, "validation")}
_IMAGES = ("image", "img")
_LABELS = ("label", "labels", "fine_label")
_ROWS = 64  # at once


def files_of(path: Path) -> dict[str, list[Path]]:
    """The files by split; empty if there are none. A single file, or a data set without splits, is the training
    split.
    """
    if path.is_file():
        return {"train": [path]} if path.suffix in (".parquet", ".arrow") else {}
    if (path / "state.json").is_file():
        return {"train": _saved(path)}
    found: dict[str, list[Path]] = {}
    for name, split in _SPLITS.items():
        named = (file for pattern in ("*.parquet", "data/*.parquet") for file in path.glob(pattern))
        of = _saved(path / name) + sorted(file for file in named if file.name.startswith(name))
        if of and split not in found:
            found[split] = of
    return found


def _saved(folder: Path) -> list[Path]:
    """The files of a data set that `save_to_disk` wrote, in its order."""
    state = folder / "state.json"
    if not state.is_file():
        return []
    try:
        return [folder / file["filename"] for file in json.loads(state.read_text(encoding="utf-8"))["_data_files"]]
    except (ValueError, KeyError, TypeError):
        raise DataError(f"{state}: is not what `save_to_disk` writes; save the data set again") from None


def unpacked(path: Path) -> Path:
    """The folder of images by split and class from these files, in the user's cache.

    Raises:
        DataError: pyarrow or a column is missing, or a file is damaged.
    """
    files = files_of(path)
    content = hashlib.blake2b(digest_size=8)
    for split, of in files.items():
        for file in of:
            content.update(f"{split} {file.name} {file.stat().st_size}".encode())
            with file.open("rb") as stream:
                while block := stream.read(2**20):
                    content.update(block)
    folder = cache_folder() / "unpacked" / content.hexdigest() / path.stem
    if not folder.is_dir():
        with whole(folder) as unfinished:
            unfinished.mkdir(mode=0o700)
            for split, of in files.items():
                _unpack(of, unfinished / split if set(files) != {"train"} else unfinished)
    return folder


def _unpack(files: list[Path], folder: Path) -> None:
    try:
        import pyarrow
    except ModuleNotFoundError:
        raise DataError(f"{files[0]}: Parquet and Arrow need pyarrow: pip install 'ecoml[parquet]'") from None
    for number, path in enumerate(files):
        try:
            with _table(path) as (schema, batches):
                image, label = (_column(schema, names, path) for names in (_IMAGES, _LABELS))
                names = _classes(schema)
                rows = (row for batch in batches for row in batch.select([image, label]).to_pylist())
                for index, row in enumerate(rows):
                    _write(row[image], _name(row[label], names), f"{number:04d}-{index:07d}", folder, path)
        except (pyarrow.ArrowException, KeyError) as error:
            raise DataError(f"{path}: cannot be read as a table of images ({error}); write it again") from None


@contextmanager
def _table(path: Path) -> Iterator[tuple[Any, Iterator[Any]]]:
    """The schema of a Parquet file or Arrow stream, and its rows in batches."""
    import pyarrow
    from pyarrow import parquet

    if path.suffix == ".parquet":
        file = parquet.ParquetFile(path)
        yield file.schema_arrow, file.iter_batches(_ROWS)
        return
    with pyarrow.memory_map(str(path)) as memory, pyarrow.ipc.open_stream(memory) as stream:
        yield stream.schema, (batch.slice(at, _ROWS) for batch in stream for at in range(0, batch.num_rows, _ROWS))


def _write(image: Any, label: str, name: str, folder: Path, path: Path) -> None:
    data = image.get("bytes") if isinstance(image, dict) else image
    if not isinstance(data, bytes):
        raise DataError(f"{path}: an image has no bytes; keep the images in the file, not paths to them")
    (folder / label).mkdir(parents=True, exist_ok=True)
    (folder / label / f"{name}{'.jpg' if data[:2] == bytes((255, 216)) else '.png'}").write_bytes(data)


def _column(schema: Any, names: tuple[str, ...], path: Path) -> str:
    if found := [name for name in names if name in schema.names]:
        return found[0]
    raise DataError(f"{path}: it needs the columns image and label, but has {', '.join(schema.names)}")


def _classes(schema: Any) -> list[str]:
    """Names of the classes by number, from Hugging Face's metadata; empty if it has none."""
    about = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
    features = about.get("info", {}).get("features", {})
    return next((list(features[name]["names"]) for name in _LABELS if "names" in features.get(name, {})), [])


def _name(label: Any, names: list[str]) -> str:
    text = names[label] if names and isinstance(label, int) else str(label)
    return text.replace("/", "_").lstrip(".") or "_"
