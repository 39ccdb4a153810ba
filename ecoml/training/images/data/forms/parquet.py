"""A data set from Parquet files of images, as Hugging Face stores them: unpacked once, then read as a folder.

Columns: `image` with the bytes of an image file (or a struct with `bytes`), and `label` (or `labels`, `fine_label`).
The names of classes are read from the files' metadata if these have them. A folder has `train-….parquet`, and
optionally `test-….parquet` and `validation-….parquet`.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

from ecoml.errors import DataError
from ecoml.training.images.catalogue import cache_dir

_SPLITS = ("train", "test", "validation")
_LABELS = ("label", "labels", "fine_label")


def files_of(path: Path) -> dict[str, list[Path]]:
    """Split → its Parquet files; empty if there are none. A single file is the training split."""
    if path.is_file():
        return {"train": [path]} if path.suffix == ".parquet" else {}
    files = sorted([*path.glob("*.parquet"), *path.glob("data/*.parquet")])
    found = {split: [file for file in files if file.name.startswith(split)] for split in _SPLITS}
    return {split: of for split, of in found.items() if of}


def unpacked(path: Path) -> Path:
    """The folder of these images by split and class, in the user's cache.

    Raises:
        DataError: pyarrow is not installed, a column is missing, or a file is damaged.
    """
    files = files_of(path)
    content = hashlib.blake2b(digest_size=8)
    for split, of in files.items():
        for file in of:
            content.update(f"{split} {file.name} {file.stat().st_size}".encode())
            with file.open("rb") as stream:
                while block := stream.read(2**20):
                    content.update(block)
    folder = cache_dir() / "unpacked" / content.hexdigest() / path.stem
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        unfinished = Path(tempfile.mkdtemp(prefix=".unfinished-", dir=folder.parent))
        try:
            for split, of in files.items():
                _unpack(of, unfinished / split if set(files) != {"train"} else unfinished)
            unfinished.replace(folder)
        except BaseException:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise
    return folder


def _unpack(files: list[Path], folder: Path) -> None:
    try:
        import pyarrow
        from pyarrow import parquet
    except ModuleNotFoundError:
        raise DataError(f"{files[0]}: Parquet needs pyarrow: pip install pyarrow") from None
    for number, path in enumerate(files):
        try:
            file = parquet.ParquetFile(path)
            names, label = _classes(file.schema_arrow), _label(file.schema_arrow, path)
            rows = (row for batch in file.iter_batches(64, columns=["image", label]) for row in batch.to_pylist())
            for index, row in enumerate(rows):
                _write(row["image"], _name(row[label], names), f"{number:04d}-{index:07d}", folder, path)
        except (pyarrow.ArrowException, KeyError) as error:
            raise DataError(f"{path}: cannot be read as a table of images ({error}); write it again") from None


def _write(image: Any, label: str, name: str, folder: Path, path: Path) -> None:
    data = image.get("bytes") if isinstance(image, dict) else image
    if not isinstance(data, bytes):
        raise DataError(f"{path}: an image has no bytes; keep the images in the file, not paths to them")
    (folder / label).mkdir(parents=True, exist_ok=True)
    (folder / label / f"{name}{'.jpg' if data[:2] == bytes((255, 216)) else '.png'}").write_bytes(data)


def _label(schema: Any, path: Path) -> str:
    if "image" in schema.names and (found := [name for name in _LABELS if name in schema.names]):
        return found[0]
    raise DataError(f"{path}: it must have the columns image and label; it has {', '.join(schema.names)}")


def _classes(schema: Any) -> list[str]:
    """Names of the classes by number, from Hugging Face's metadata; empty without them."""
    about = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
    features = about.get("info", {}).get("features", {})
    return next((list(features[name]["names"]) for name in _LABELS if "names" in features.get(name, {})), [])


def _name(label: Any, names: list[str]) -> str:
    text = names[label] if names and isinstance(label, int) else str(label)
    return text.replace("/", "_").lstrip(".") or "_"
