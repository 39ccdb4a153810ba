"""Data sets by name: scikit-learn's digits, the idx files of MNIST and FashionMNIST, and torchvision's downloads."""

from __future__ import annotations

import contextlib
import gzip
import importlib.util
import io
import math
import socket
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ecoml.errors import DataError
from ecoml.outside.folders import cache_folder
from ecoml.training.images import catalogue
from ecoml.training.images.data.dataset import Form, FoundData, ImageReading, LabelledImages

_TORCHVISION = {
    "mnist": "MNIST",
    "fashion-mnist": "FashionMNIST",
    "cifar10": "CIFAR10",
    "cifar100": "CIFAR100",
    "svhn": "SVHN",
}

_DIGITS = tuple(str(digit) for digit in range(10))
_CLOTHES = ("T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot")

_IDX_FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
_SECONDS_WITHOUT_AN_ANSWER = 30.0


def read(name: str, data_dir: Path | None, *, download: bool) -> FoundData:
    """The data set of this name, downloaded if necessary and allowed.

    Raises:
        DataError: It is not there and could not be downloaded, or its files are damaged.
    """
    if name == "digits":
        return _digits()
    if data_dir is not None and not data_dir.is_dir() and not download:
        raise DataError(f"{data_dir}: no such folder; give the folder with the files of {name}")
    if name in ("mnist", "fashion-mnist"):
        return _idx(name, data_dir, download)
    return _torchvision(name, data_dir, download)


def _found(name: str, classes: tuple[str, ...], train: LabelledImages, test: LabelledImages | None = None) -> FoundData:
    channels, height, width = train.images.shape[1:]
    return FoundData(name, classes, ImageReading(Form(height, width, channels)), train, test)


def _digits() -> FoundData:
    spec = importlib.util.find_spec("sklearn")  # importing scikit-learn takes longer than many a training on its digits
    folders = spec.submodule_search_locations if spec is not None else None
    file = Path(folders[0]) / "datasets" / "data" / "digits.csv.gz" if folders else None
    if file is not None and file.is_file():
        table = np.loadtxt(file, delimiter=",", dtype=np.uint8)
        pixels, labels = table[:, :-1], table[:, -1]
    else:
        from sklearn.datasets import load_digits

        pixels, labels = load_digits(return_X_y=True)
    images = np.rint(np.reshape(pixels, (-1, 1, 8, 8)) * (255 / 16)).astype(np.uint8)
    return _found("digits", _DIGITS, LabelledImages(images, labels.astype(np.int64)))


def _idx(name: str, data_dir: Path | None, download: bool) -> FoundData:
    found = _idx_files(name, data_dir)
    if found is None and download:
        _download(name, data_dir)
        found = _idx_files(name, data_dir)
    if found is None:
        raise _missing(name, data_dir, "download is off")
    train_images, train_labels, test_images, test_labels = (read_idx(path) for path in found)
    train = _labelled(train_images, train_labels, found[0])
    test = _labelled(test_images, test_labels, found[2])
    return _found(name, _CLOTHES if name == "fashion-mnist" else _DIGITS, train, test)


def _idx_files(name: str, data_dir: Path | None) -> list[Path] | None:
    for place in catalogue.places(name, data_dir):
        for folder in (place, place / _TORCHVISION[name] / "raw"):
            found = [_plain_or_gz(folder / file) for file in _IDX_FILES]
            if all(found):
                return [path for path in found if path]
    return None


def _plain_or_gz(path: Path) -> Path | None:
    packed = path.with_name(path.name + ".gz")
    return path if path.is_file() else packed if packed.is_file() else None


def read_idx(path: Path) -> npt.NDArray[np.uint8]:
    """The array in an idx file of bytes, compressed with gzip or not.

    The format: two zero bytes, 8 for unsigned bytes, the number of dimensions, each dimension as a big-endian 32-bit
    integer, then the bytes (http://yann.lecun.com/exdb/mnist).

    Raises:
        DataError: It is not such a file, or it is truncated.
    """
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: cannot be read ({error}); fetch it again") from None
    dimensions = content[3] if content[:3] == b"\0\0\x08" and len(content) > 3 else 0
    start = 4 + 4 * dimensions
    shape = [int(size) for size in np.frombuffer(content[4:start], dtype=">u4")] if len(content) >= start else []
    if not shape or len(content) - start != math.prod(shape):
        raise DataError(f"{path}: not a complete idx file of bytes; fetch it again")
    return np.frombuffer(content, dtype=np.uint8, offset=start).reshape(shape)


def _labelled(images: npt.NDArray[np.uint8], labels: npt.NDArray[np.uint8], path: Path) -> LabelledImages:
    if images.ndim != 3 or labels.shape != images.shape[:1] or not len(labels) or labels.max() > 9:
        raise DataError(f"{path}: images {images.shape} and the labels {labels.shape} beside them do not fit together")
    return LabelledImages(images[:, None], labels.astype(np.int64))


def _torchvision(name: str, data_dir: Path | None, download: bool) -> FoundData:
    train, test = (_torchvision_split(name, train, data_dir, download) for train in (True, False))
    classes = getattr(train, "classes", _DIGITS)
    return _found(name, tuple(classes), as_labelled(train), as_labelled(test))


def as_labelled(dataset: Any) -> LabelledImages:
    """The images of torchvision's CIFAR (N×H×W×C, `targets`) or SVHN (N×C×H×W, `labels`)."""
    if hasattr(dataset, "targets"):
        return LabelledImages(dataset.data.transpose(0, 3, 1, 2), np.asarray(dataset.targets, dtype=np.int64))
    return LabelledImages(np.asarray(dataset.data), np.asarray(dataset.labels, dtype=np.int64))


def _download(name: str, data_dir: Path | None) -> None:
    _torchvision_split(name, True, data_dir, download=True)


def _torchvision_split(name: str, train: bool, data_dir: Path | None, download: bool) -> Any:
    import torchvision

    root = data_dir or cache_folder()
    kind = getattr(torchvision.datasets, _TORCHVISION[name])
    which = {"split": "train" if train else "test"} if name == "svhn" else {"train": train}
    try:
        root.mkdir(parents=True, exist_ok=True)
        with _quietly():
            return kind(root=str(root), download=download, **which)
    except (OSError, RuntimeError, EOFError, ValueError, KeyError) as error:
        raise _missing(name, data_dir, " ".join(str(error).split()) or type(error).__name__) from None


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Suppress torchvision's progress, and set a time limit for networks that never answer."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_SECONDS_WITHOUT_AN_ANSWER)
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            yield
    finally:
        socket.setdefaulttimeout(before)


def _missing(name: str, data_dir: Path | None, why: str) -> DataError:
    folder = data_dir or cache_folder()
    if name in ("mnist", "fashion-mnist"):
        files = ", ".join(_IDX_FILES) + " (.gz or not)"
    else:
        files = {
            "cifar10": "the unpacked cifar-10-python.tar.gz (cifar-10-batches-py)",
            "cifar100": "the unpacked cifar-100-python.tar.gz (cifar-100-python)",
            "svhn": "train_32x32.mat and test_32x32.mat",
        }[name]
    return DataError(
        f"{name} is not in {folder} and could not be downloaded ({why:.120}); put {files} there, or name the folder"
        " that has them with data_dir"
    )
