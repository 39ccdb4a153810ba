"""Data in further forms: a CSV that lists images, arrays, torch data sets. The images are scikit-learn's digits."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits

from ecoml import CnnTraining
from ecoml.errors import DataError
from ecoml.training.images.data.forms.arrays import kept
from ecoml.training.images.data.listing import stamp
from ecoml.training.images.data.loader import class_counts, load


@pytest.fixture(scope="module")
def digits():
    images, labels = load_digits(return_X_y=True)
    return (images.reshape(-1, 8, 8) * 255 / 16).astype(np.uint8)[:200], labels[:200]


@pytest.fixture
def listed(tmp_path, digits):
    """A CSV of 60 digits in one folder, the last ten of them to test on."""
    rows = ["path,label,split,writer"]
    (tmp_path / "files").mkdir()
    for number, (image, label) in enumerate(zip(digits[0][:60], digits[1][:60], strict=True)):
        Image.fromarray(image).save(tmp_path / "files" / f"{number}.png")
        rows.append(f"files/{number}.png,digit {label % 2},{'test' if number >= 50 else 'train'},w{number}")
    path = tmp_path / "list.csv"
    path.write_text("\n".join(rows))
    return path


def test_a_csv_lists_images_their_classes_and_splits(listed, digits):
    found = load(str(listed))
    assert (found.name, found.classes, found.drawn) == ("list", ("digit 0", "digit 1"), ("validation",))
    assert (len(found.train), len(found.test)) == (50, 10)
    assert np.array_equal(found.test.images[:, 0], digits[0][50:60])
    assert found.test.labels.tolist() == (digits[1][50:60] % 2).tolist()
    assert sum(class_counts(str(listed))) == 50


def test_a_csv_without_splits_is_divided(listed):
    table = [row.split(",") for row in listed.read_text().splitlines()]
    listed.write_text("\n".join(",".join(row[:2]) for row in table))
    found = load(str(listed))
    assert found.drawn == ("validation", "test")
    assert len(found.train) + len(found.test) == 60


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("file,label\na.png,1", "the column path is missing"),
        ("path,label\nnowhere.png,1", r"line 2: there is no file .*nowhere\.png"),
        ("path,label\nfiles/1.png,", "line 2: no label"),
        ("path,label,split\nfiles/1.png,1,dev", "the split is 'dev'"),
        ("path,label,split\nfiles/1.png,1,test", "no image to train on"),
        ("", "the column path is missing; its first line has nothing"),
    ],
)
def test_a_csv_that_cannot_be_used(listed, text, says):
    listed.write_text(text)
    with pytest.raises(DataError, match=says):
        load(str(listed))


def test_arrays_are_kept_once_and_trained_on(digits):
    images, labels = digits
    training = CnnTraining((images, labels))
    assert training.problem.startswith("arrays-")
    again = CnnTraining({"x": torch.tensor(images), "y": torch.tensor(labels)})
    assert again.data == training.data, "a tensor of the same numbers is the same data"
    found = load(training.data)
    assert len(found.train) + len(found.test) == 200
    assert found.classes == tuple("0123456789")
    assert training.describe()["data"] == training.data, "a resumed search finds them again"


class Items(torch.utils.data.Dataset[tuple[object, torch.Tensor]]):
    """Floats in [0, 1] of C×H×W, as transforms.ToTensor gives them, or Pillow images."""

    def __init__(self, images, labels, *, pillow=False):
        self.images, self.labels, self.pillow = images, labels, pillow

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        image = self.images[index]
        shown = Image.fromarray(image) if self.pillow else torch.tensor(image[None] / 255, dtype=torch.float32)
        return shown, torch.tensor(self.labels[index])


@pytest.mark.parametrize("pillow", [False, True])
def test_a_torch_data_set(digits, pillow):
    images, labels = digits
    parts = {"train": Items(images[:150], labels[:150], pillow=pillow), "test": Items(images[150:], labels[150:])}
    if pillow:
        parts["test"].pillow = True
    found = load(CnnTraining(parts).data)
    assert (len(found.train), len(found.test), found.drawn) == (150, 50, ("validation",))
    assert np.array_equal(found.test.images[:, 0], images[150:])
    assert found.test.labels.tolist() == labels[150:].tolist()
    assert len(load(str(kept(Items(images, labels)))).train) == 160


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (3, "data is a int; give a name, a folder"),
        ([1, 2], "data is a list"),
        (Items(np.zeros((0, 8, 8), np.uint8), []), "is empty"),
        (Items([np.zeros((8, 8), np.uint8), np.zeros((9, 8), np.uint8)], [0, 1]), r"item 1 has shape \(1, 9, 8\)"),
        (torch.utils.data.TensorDataset(torch.zeros(4, 1, 8, 8)), "an image and its label"),
    ],
)
def test_what_is_no_data(data, says):
    with pytest.raises(DataError, match=says):
        CnnTraining(data)


def table_of(digits, numbers, *, image="image", labels="label"):
    """As `datasets` keeps images: a struct of bytes and path, and the names of the classes in the metadata."""
    pyarrow = pytest.importorskip("pyarrow")
    rows = []
    for number in numbers:
        Image.fromarray(digits[0][number]).save(stream := io.BytesIO(), "png")
        picture = {"bytes": stream.getvalue(), "path": f"{number}.png"}
        rows.append({image: picture, labels: int(digits[1][number] % 2)})
    features = {labels: {"names": ["even", "odd"], "_type": "ClassLabel"}, image: {"_type": "Image"}}
    about = {b"huggingface": json.dumps({"info": {"features": features}}).encode()}
    return pyarrow.Table.from_pylist(rows).replace_schema_metadata(about)


def parquet_of(digits, folder, numbers, split):
    table = table_of(digits, numbers)
    from pyarrow import parquet

    (folder / "data").mkdir(exist_ok=True, parents=True)
    parquet.write_table(table, folder / "data" / f"{split}-00000-of-00001.parquet")


def test_parquet_files_of_hugging_face(digits, tmp_path):
    folder = tmp_path / "parity"
    parquet_of(digits, folder, range(60), "train")
    parquet_of(digits, folder, range(60, 80), "test")
    found = load(str(folder))
    assert (found.name, found.classes, found.drawn) == ("parity", ("even", "odd"), ("validation",))
    assert (len(found.train), len(found.test)) == (60, 20)
    odd = digits[0][60:80][digits[1][60:80] % 2 == 1]
    assert np.array_equal(found.test.images[found.test.labels == 1][:, 0], odd)
    assert sum(class_counts(str(folder))) == 60


def test_a_data_set_that_hugging_face_saved(digits, tmp_path):
    datasets = pytest.importorskip("datasets")
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=["even", "odd"])})

    def part(numbers):
        pictures = [Image.fromarray(digits[0][number]) for number in numbers]
        labels = [int(digits[1][number] % 2) for number in numbers]
        return datasets.Dataset.from_dict({"image": pictures, "label": labels}, features=features)

    parts = {"train": part(range(60)), "test": part(range(60, 80)), "validation": part(range(80, 95))}
    datasets.DatasetDict(parts).save_to_disk(tmp_path / "parity", num_shards={"train": 2, "test": 1, "validation": 1})
    found = load(str(tmp_path / "parity"))
    assert (found.name, found.classes, found.drawn) == ("parity", ("even", "odd"), ())
    assert found.validation is not None
    assert (len(found.train), len(found.validation), len(found.test)) == (60, 15, 20)
    odd = digits[0][60:80][digits[1][60:80] % 2 == 1]
    assert np.array_equal(found.test.images[found.test.labels == 1][:, 0], odd)
    part(range(60)).save_to_disk(tmp_path / "one")
    assert load(str(tmp_path / "one")).drawn == ("validation", "test")
    assert sum(class_counts(str(tmp_path / "one"))) == 60


@pytest.fixture
def saved(digits, tmp_path):
    """As `save_to_disk` of `datasets` 4 lays it out: Arrow streams, named by `state.json`."""
    pyarrow = pytest.importorskip("pyarrow")
    files = []
    for shard, numbers in enumerate((range(30), range(30, 60))):
        table = table_of(digits, numbers, image="img")
        files.append({"filename": f"data-{shard:05d}-of-00002.arrow"})
        (tmp_path / "one").mkdir(exist_ok=True)
        with pyarrow.ipc.new_stream(str(tmp_path / "one" / files[-1]["filename"]), table.schema) as stream:
            stream.write_table(table)
    (tmp_path / "one" / "state.json").write_text(json.dumps({"_data_files": files, "_split": None}))
    return tmp_path / "one"


def test_arrow_files(digits, saved):
    found = load(str(saved))
    assert (found.classes, found.drawn) == (("even", "odd"), ("validation", "test"))
    assert len(found.train) + len(found.test) == 60
    before = stamp(str(saved))
    (saved / "data-00001-of-00002.arrow").write_bytes(b"broken")
    assert stamp(str(saved)) != before
    with pytest.raises(DataError, match=r"data-00001-of-00002\.arrow: cannot be read as a table of images"):
        load(str(saved))
    (saved / "state.json").write_text("{}")
    with pytest.raises(DataError, match="is not what `save_to_disk` writes"):
        load(str(saved))


def test_parquet_without_images(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    parquet.write_table(pyarrow.table({"text": ["a"], "label": [0]}), tmp_path / "train.parquet")
    with pytest.raises(DataError, match="needs the columns image and label, but has text, label"):
        load(str(tmp_path))
    (tmp_path / "train.parquet").write_bytes(b"PAR1 broken")
    with pytest.raises(DataError, match="cannot be read as a table of images"):
        load(str(tmp_path))
