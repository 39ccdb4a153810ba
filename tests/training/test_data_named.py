"""Data sets by name, their division, and what is free in memory."""

from __future__ import annotations

import gzip
import struct
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecoml.errors import DataError
from ecoml.training.images import available_data
from ecoml.training.images.data.dataset import LabelledImages
from ecoml.training.images.data.loader import load
from ecoml.training.images.data.named import as_labelled, read_idx
from ecoml.training.images.data.split import stratified
from ecoml.training.images.network.memory import free_host_bytes

FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")


@pytest.fixture(autouse=True)
def nothing_installed(tmp_path, monkeypatch):
    """Neither the user's cache, nor the system's data, nor a network."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_DATA_DIRS", str(tmp_path / "shared"))
    for scheme in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(scheme, "http://127.0.0.1:9")
    monkeypatch.setattr("urllib.request._opener", None)  # what it keeps of these proxies must not outlive the test


def idx(array):
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


def write_idx(folder, *, packed):
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    arrays = []
    for count, files in ((60, FILES[:2]), (20, FILES[2:])):
        images = rng.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        labels = (np.arange(count) % 10).astype(np.uint8)
        for file, array in zip(files, (images, labels), strict=True):
            content = idx(array)
            (folder / (file + ".gz" * packed)).write_bytes(gzip.compress(content) if packed else content)
        arrays.append(images)
    return arrays


def test_digits_are_scikit_learns():
    from sklearn.datasets import load_digits

    dataset = load("digits")
    assert len(dataset.train) + len(dataset.test) == 1797
    assert dataset.train.images.dtype == np.uint8
    assert dataset.train.images.shape[1:] == (1, 8, 8)
    pixels, labels = load_digits(return_X_y=True)
    ours = np.concatenate([dataset.train.images, dataset.test.images]).reshape(1797, 64) / (255 / 16)
    ours = np.column_stack([np.rint(ours), np.concatenate([dataset.train.labels, dataset.test.labels])])
    theirs = np.column_stack([pixels, labels])
    assert np.array_equal(ours[np.lexsort(ours.T)], theirs[np.lexsort(theirs.T)])


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("below", [".", "FashionMNIST/raw"])
def test_idx_files_where_the_user_says(tmp_path, packed, below):
    train, test = write_idx(tmp_path / "mine" / below, packed=packed)
    dataset = load("fashion-mnist", tmp_path / "mine", download=False)
    assert np.array_equal(dataset.train.images[:, 0], train)
    assert np.array_equal(dataset.test.images[:, 0], test)
    assert dataset.classes[0] == "T-shirt"


@pytest.mark.parametrize("place", ["cache/ecoml", "shared/datasets/fashion-mnist"])
def test_idx_files_that_are_there_already_are_found(tmp_path, place):
    write_idx(tmp_path / place, packed=True)
    assert len(load("fashion-mnist").train) == 60


@pytest.mark.parametrize("name", ["fashion-mnist", "cifar10", "svhn"])
def test_without_a_network_one_line_says_what_to_put_where(tmp_path, name, capfd):
    with pytest.raises(DataError, match=rf"{name} is not in {tmp_path}/mine and could not be downloaded") as caught:
        load(name, tmp_path / "mine")
    line = str(caught.value)
    assert "\n" not in line
    assert {"fashion-mnist": FILES[0], "cifar10": "cifar-10-batches-py", "svhn": "test_32x32.mat"}[name] in line
    assert capfd.readouterr() == ("", "")


def test_download_can_be_forbidden(tmp_path):
    with pytest.raises(DataError, match="download is off"):
        load("mnist", download=False)
    with pytest.raises(DataError, match="no such folder"):
        load("mnist", tmp_path / "nowhere", download=False)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0\0\x08",
        b"\0\0\x08\x01\0\0\0\x05abc",
        b"\0\0\x0d\x01\0\0\0\x01a",
        b"\0\0\x08\x01\0\0\0\x01ab",
        b"\0\0\x08\0",
    ],
)
def test_a_damaged_idx_file(tmp_path, content):
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(DataError, match="file: not a complete idx file"):
        read_idx(tmp_path / "file")


@pytest.mark.parametrize("cut", [5, 40])
def test_a_damaged_gz_file(tmp_path, cut):
    (tmp_path / "file.gz").write_bytes(gzip.compress(idx(np.arange(99, dtype=np.uint8)))[:cut])
    with pytest.raises(DataError, match=r"file\.gz: cannot be read"):
        read_idx(tmp_path / "file.gz")
    (tmp_path / "file.gz").write_bytes(b"plain")
    with pytest.raises(DataError, match="cannot be read"):
        read_idx(tmp_path / "file.gz")


def test_images_and_labels_of_different_files(tmp_path):
    write_idx(tmp_path, packed=False)
    (tmp_path / FILES[1]).write_bytes(idx(np.zeros(59, np.uint8)))
    with pytest.raises(DataError, match="do not fit together"):
        load("mnist", tmp_path)


def test_torchvisions_orders_of_dimensions():
    pixels = np.arange(2 * 3 * 4 * 5, dtype=np.uint8).reshape(2, 3, 4, 5)
    cifar = as_labelled(SimpleNamespace(data=pixels.transpose(0, 2, 3, 1), targets=[1, 0]))
    svhn = as_labelled(SimpleNamespace(data=pixels, labels=np.array([1, 0])))
    for part in (cifar, svhn):
        assert np.array_equal(part.images, pixels)
        assert part.labels.dtype == np.int64
        assert part.labels.tolist() == [1, 0]


def test_what_can_be_named():
    names = [name for name, _ in available_data()]
    assert names == ["digits", "fashion-mnist", "mnist", "cifar10", "cifar100", "svhn", "DIR", "FILE.npz"]


@given(
    counts=st.lists(st.integers(2, 40), min_size=2, max_size=8),
    share=st.floats(0.01, 0.99),
    seed=st.integers(0, 2**32),
)
def test_a_division_keeps_every_class_on_both_sides(counts, share, seed):
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))
    kept, held_out = stratified(labels, share, seed)
    assert np.array_equal(np.sort(np.concatenate([kept, held_out])), np.arange(len(labels)))
    for label, count in enumerate(counts):
        part = int((labels[held_out] == label).sum())
        assert 1 <= part < count
        assert abs(part - share * count) <= 1
    again = stratified(labels, share, seed)
    assert np.array_equal(kept, again[0])


def test_another_seed_gives_another_division():
    labels = np.repeat(np.arange(4), 50)
    assert not np.array_equal(stratified(labels, 0.2, 0)[1], stratified(labels, 0.2, 1)[1])


def test_statistics_are_those_of_the_pixels():
    images = np.random.default_rng(0).integers(0, 256, (1500, 3, 4, 5), dtype=np.uint8)
    images[:, 2] = 7
    mean, std = LabelledImages(images, np.zeros(1500, np.int64)).statistics()
    shares = images / 255
    assert mean == pytest.approx(shares.mean((0, 2, 3)))
    assert std[:2] == pytest.approx(shares.std((0, 2, 3))[:2])
    assert std[2] == 1 / 255, "a channel of one value is not divided by zero"


def write(root, files):
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


def test_free_memory_is_what_the_tightest_limit_leaves(tmp_path):
    assert free_host_bytes(tmp_path) is None
    write(tmp_path, {"proc/meminfo": "MemTotal:  9000 kB\nMemAvailable:  4000 kB\n"})
    assert free_host_bytes(tmp_path) == 4000 * 1024
    group = "sys/fs/cgroup"
    write(
        tmp_path,
        {
            "proc/self/cgroup": "0::/outer/inner\n",
            f"{group}/outer/inner/memory.max": "max\n",
            f"{group}/outer/inner/memory.current": "100\n",
            f"{group}/outer/memory.max": "3000\n",
            f"{group}/outer/memory.current": "1000\n",
            f"{group}/outer/memory.stat": "anon 600\ninactive_file 400\n",
        },
    )
    assert free_host_bytes(tmp_path) == 2400
    write(
        tmp_path,
        {f"{group}/memory/memory.limit_in_bytes": "1500\n", f"{group}/memory/memory.usage_in_bytes": "1600\n"},
    )
    assert free_host_bytes(tmp_path) == 0


def test_free_memory_of_this_machine():
    free = free_host_bytes()
    assert free is None or free > 0
