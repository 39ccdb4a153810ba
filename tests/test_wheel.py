"""What is built can be installed and used where the repository is not."""

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits

from ecoml.space.shipped import or_shipped

ROOT = Path(__file__).parent.parent
SHIPPED = ("ecoml/search_spaces/cnn-small.toml", "ecoml/baselines/random.toml", "ecoml/py.typed")


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The folder of wheel and sdist, made without a network."""
    hatchling = pytest.importorskip("hatchling.build")
    folder, before = tmp_path_factory.mktemp("dist"), Path.cwd()
    os.chdir(ROOT)
    try:
        hatchling.build_wheel(str(folder))
        hatchling.build_sdist(str(folder))
    finally:
        os.chdir(before)
    return folder


def test_the_wheel_carries_what_it_needs(built):
    (wheel,) = built.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    ours = {str(path.relative_to(ROOT)) for path in (ROOT / "ecoml").rglob("*.*") if "__pycache__" not in path.parts}
    assert names >= {*ours, *SHIPPED}
    assert {name.split("/")[0] for name in names} == {"ecoml", "ecoml-0.2.0.dist-info"}


def test_the_sdist_carries_what_a_developer_needs(built):
    (archive,) = built.glob("*.tar.gz")
    with tarfile.open(archive) as opened:
        names = {name.partition("/")[2] for name in opened.getnames()}
    wanted = ("README.md", "LICENSE", "CITATION.cff", "CHANGELOG.md", "tests/conftest.py", "docs/index.md", "examples")
    assert all(any(name.startswith(path) for name in names) for path in wanted)
    assert not any(name.startswith((".venv", ".git/", "runs/", "build/")) for name in names)


@pytest.mark.slow
def test_an_installed_wheel_searches_and_compares(built, tmp_path):
    """In an environment of its own, which borrows this one's other packages, and far from the repository."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv"], check=True)
    (site,) = (tmp_path / "venv").glob("lib/python*/site-packages")
    (wheel,) = built.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(site)  # noqa: S202 - our own
    # Of folders named in a .pth file the own .pth files are ignored: an editable install there does not come along.
    (site / "others.pth").write_text("\n".join(path for path in sys.path if path.endswith("site-packages")))
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"} | {"OMP_NUM_THREADS": "1"}

    def ecoml(*words):
        command = [tmp_path / "venv/bin/python", "-m", "ecoml", *words]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

    images, labels = load_digits(return_X_y=True)
    np.savez(tmp_path / "few.npz", x=(images.reshape(-1, 8, 8) * 15).astype(np.uint8)[:300], y=labels[:300])
    where = [tmp_path / "venv/bin/python", "-c", "import ecoml; print(ecoml.__file__)"]
    told = subprocess.run(where, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True).stdout
    assert Path(told.strip()).is_relative_to(tmp_path)
    ecoml("search", "--budget-kwh", "0.001", "--max-trials", "1", "--data", "few.npz", "--out", "run")
    assert (tmp_path / "run/report.html").is_file()
    ecoml(
        "compare",
        "baselines/random.toml",
        *("--budget-kwh", "5e-6", "--seeds", "1", "--data", "few.npz", "--out", "compared"),
    )
    assert (tmp_path / "compared/compare.csv").is_file()


def test_what_comes_with_ecoml_is_found_by_its_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert (or_shipped(Path("baselines/")) / "random.toml").is_file()
    assert or_shipped(Path("search_spaces/cnn.toml")).is_file()
    assert or_shipped(Path("baselines/mine.toml")) == Path("baselines/mine.toml")
    Path("baselines").mkdir()  # of the user's own
    assert or_shipped(Path("baselines")) == Path("baselines")
