"""Data sets from `.npz` files."""

from __future__ import annotations

import numpy as np
import pytest

from ecoml.errors import DataError
from ecoml.training.images.data import loader

RNG = np.random.default_rng(0)
BYTES = RNG.integers(0, 256, (20, 6, 7), dtype=np.uint8)
Y = np.arange(20) % 2


@pytest.fixture
def load(tmp_path):
    def write_and_load(**arrays):
        np.savez(tmp_path / "mine.npz", **arrays)
        return loader.load(str(tmp_path / "mine.npz"))

    return write_and_load


def everything(dataset):
    """All images in the order of their first pixels, so that they can be compared with what was written."""
    images = np.concatenate([dataset.train.images, dataset.test.images])
    return images[np.lexsort(images.reshape(len(images), -1).T)]


def in_order(images):
    return images[np.lexsort(images.reshape(len(images), -1).T)]


@pytest.mark.parametrize(
    ("x", "channels"),
    [
        (BYTES, 1),
        (BYTES[..., None], 1),
        (BYTES[:, None], 1),
        (np.stack([BYTES, BYTES // 2, BYTES // 3], axis=3), 3),
        (np.stack([BYTES, BYTES // 2, BYTES // 3], axis=1), 3),
    ],
)
def test_every_order_of_dimensions(load, x, channels):
    dataset = load(x=x, y=Y)
    assert dataset.name == "mine"
    assert dataset.train.images.shape[1:] == (channels, 6, 7)
    expected = np.stack([BYTES // (channel + 1) for channel in range(channels)], axis=1)
    assert np.array_equal(everything(dataset), in_order(expected))


@pytest.mark.parametrize("kind", [np.float32, np.float64, np.int64, np.uint16])
def test_every_type_of_pixel_gives_the_same_bytes(load, kind):
    x = BYTES.astype(kind) / 255 if np.issubdtype(kind, np.floating) else BYTES.astype(kind)
    dataset = load(x=x.astype(kind), y=Y)
    assert np.array_equal(everything(dataset), in_order(BYTES[:, None]))
    assert dataset.reading.form.ranges == {}


def test_black_and_white(load):
    assert set(np.unique(load(x=BYTES > 99, y=Y).train.images)) == {0, 255}


def test_floats_beyond_0_and_1_are_scaled_by_the_training_part(load):
    x = np.linspace(-1, 1, 20 * 9).reshape(20, 3, 3)
    x_test = np.array([-5.0, 0.0, 5.0]).repeat(9).reshape(3, 3, 3)
    dataset = load(x=x, y=Y, x_test=x_test, y_test=[0, 1, 0])
    assert (dataset.train.images.min(), dataset.train.images.max()) == (0, 255)
    assert [int(image.max()) for image in dataset.test.images] == [0, 128, 255]
    assert dataset.reading.form.ranges == {"floats": (-1.0, 1.0)}


@pytest.mark.parametrize(
    ("x", "ends"),
    [
        (BYTES.astype(np.uint16) * 16, ("16 bits", 0, 4080)),
        (BYTES.astype(np.int64) - 1000, ("16 bits", -1000, -745)),
        (BYTES // 16, ("8 bits", 0, 15)),
        (BYTES // 255, ("8 bits", 0, 1)),
        (BYTES / 25500, ("floats", 0, 0.01)),
        (BYTES.astype(np.uint32) * 257, ("16 bits", 0, 65535)),
    ],
)
def test_numbers_that_leave_most_of_their_range_empty_are_scaled_by_what_is_there(load, x, ends):
    dataset = load(x=x, y=Y)
    assert dataset.reading.form.ranges == {ends[0]: (ends[1], ends[2])}
    found = everything(dataset)
    assert (found.min(), found.max()) == (0, 255)
    assert np.unique(found).tolist() == np.rint((np.unique(x) - x.min()) / np.ptp(x) * 255).tolist()


def test_images_of_one_value_do_not_divide_by_zero(load):
    assert load(x=np.full((20, 3, 3), 7.0), y=Y).train.images.max() == 0


def test_labels_of_any_kind_are_numbered_in_their_order(load):
    assert load(x=BYTES, y=np.where(Y, "cat", "dog")).classes == ("cat", "dog")
    assert load(x=BYTES, y=Y * 10 - 3).classes == ("-3", "7")
    assert load(x=BYTES, y=Y.astype(bool)[:, None]).classes == ("False", "True")
    assert load(x=BYTES, y=np.where(Y, b"a", b"b")).classes == ("a", "b")
    numbers = load(x=BYTES, y=np.where(Y, 10, 9), x_test=BYTES[:2], y_test=[10, 9])
    assert numbers.classes == ("9", "10")
    assert numbers.test.labels.tolist() == [1, 0]


def test_keras_names(load):
    dataset = load(x_train=BYTES, y_train=Y, x_test=BYTES[:4], y_test=Y[:4])
    assert len(dataset.train) == 20
    assert len(dataset.test) == 4


def test_images_to_validate_on_are_taken_as_they_are_given(load):
    dataset = load(x=BYTES, y=Y, x_val=BYTES[:6] // 2, y_val=Y[:6])
    training, validation = dataset.divided(0.5, 0)
    assert len(training) == len(dataset.train) == 16  # the others are for the test
    assert np.array_equal(validation.images[:, 0], BYTES[:6] // 2)
    assert validation.labels.tolist() == Y[:6].tolist()


@pytest.mark.parametrize(
    ("arrays", "complaint"),
    [
        ({"x": BYTES}, "the array y is missing; .* it has x$"),
        ({"a": BYTES}, "the array x is missing; .* none of these"),
        ({"x": BYTES, "y": Y, "x_test": BYTES}, "y_test is missing"),
        ({"x": BYTES, "y": Y, "y_val": Y}, "x_val is missing"),
        ({"x": BYTES, "y": Y[:9]}, "x has 20 images and y 9 labels"),
        ({"x": BYTES[0], "y": Y}, r"x has shape \(6, 7\)"),
        ({"x": BYTES[:, None, None], "y": Y}, "x has shape"),
        ({"x": np.zeros((20, 4, 5, 6)), "y": Y}, "C 1 or 3"),
        ({"x": BYTES[:0], "y": Y[:0]}, "x is empty"),
        ({"x": np.full((20, 4, 4), np.nan), "y": Y}, "NaN or infinite"),
        ({"x": BYTES, "y": Y, "x_test": BYTES.astype(int) - 1, "y_test": Y}, "x_test from -1 to 254; store both alike"),
        (
            {"x": BYTES, "y": Y, "x_test": BYTES.astype(int) * 9, "y_test": Y},
            "x goes from 0 to 255 and x_test from 0 to",
        ),
        ({"x": BYTES.astype(complex), "y": Y}, "x is of type complex128"),
        ({"x": BYTES, "y": Y / 2}, "y is of type float64"),
        ({"x": BYTES, "y": np.eye(2)[Y]}, r"use its argmax\(1\)"),
        ({"x": BYTES.astype(object), "y": Y}, "x is an array of Python objects"),
        ({"x": BYTES, "y": np.array(["a", None] * 10)}, "y is an array of Python objects"),
        ({"x": BYTES, "y": Y * 0}, "only one class, '0'"),
        ({"x": BYTES, "y": [0] * 18 + [1] * 2}, "class '1' has 2 training images; 3 are needed"),
        ({"x": BYTES, "y": Y, "x_test": BYTES, "y_test": Y + 1}, "y_test: class '2' is not in the training data"),
        ({"x": BYTES, "y": Y, "x_test": BYTES[:, :5], "y_test": Y}, "make them alike"),
        ({"x": BYTES, "y": Y, "x_test": BYTES / 255, "y_test": Y}, "x_test float64; store both alike"),
        ({"x": BYTES, "y": Y, "x_val": BYTES[:, :5], "y_val": Y}, "validation images are .*; make them alike"),
    ],
)
def test_arrays_that_cannot_be_used(load, arrays, complaint):
    with pytest.raises(DataError, match=complaint) as caught:
        load(**arrays)
    assert "mine.npz" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"text", "npy", "cut", "garbled"])
def test_files_that_are_no_npz(tmp_path, content):
    path = tmp_path / "mine.npz"
    np.savez(path, x=BYTES, y=Y)
    whole = bytearray(path.read_bytes())
    if content == "npy":
        np.save(tmp_path / "mine.npy", BYTES)
        content = (tmp_path / "mine.npy").read_bytes()
    elif content == "cut":
        content = bytes(whole[: len(whole) // 2])
    elif content == "garbled":
        whole[300:400] = bytes(100)
        content = bytes(whole)
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"mine\.npz: (not an \.npz file|damaged|x is damaged)"):
        loader.load(str(path))
