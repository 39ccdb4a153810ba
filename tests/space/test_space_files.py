"""Spaces as TOML files, the shipped ones among them."""

import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
import tomli_w

import ecoml.space
from ecoml.errors import SpaceError, UsageError
from ecoml.space import Choice, Float, Int, Space, available_spaces, load_space
from ecoml.space.schema import space_of
from ecoml.space.shipped import shipped
from ecoml.training.images.settings import Settings

FULL = """
name = "mine"
description = "all there is"
[parameters.learning_rate]
type = "float"
low = 1e-4
high = 1e-1
log = true
[parameters.seed]
type = "fixed"
value = 3
[parameters.optimizer]
type = "choice"
options = ["sgd", "adamw"]
[parameters.momentum]
type = "float"
low = 0
high = 0.99
when = { optimizer = "sgd" }
[parameters.depth]
type = "int"
low = 1
high = 4
when = { optimizer = ["sgd", "adamw"] }
[fixed]
epochs = 10
"""


@pytest.fixture
def space_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def write(text):
        Path("space.toml").write_text(text, encoding="utf-8")
        return "space.toml"

    return write


def complaint(name_or_path):
    with pytest.raises(SpaceError) as caught:
        load_space(name_or_path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_file_gives_the_space_it_describes(space_file):
    assert load_space(space_file(FULL)) == Space(
        {
            "learning_rate": Float(1e-4, 1e-1, log=True),
            "seed": 3,
            "optimizer": Choice(["sgd", "adamw"]),
            "momentum": Float(0, 0.99, when={"optimizer": ["sgd"]}),
            "depth": Int(1, 4, when={"optimizer": ["sgd", "adamw"]}),
            "epochs": 10,
        },
        name="mine",
        description="all there is",
    )


def test_a_space_survives_being_written_as_toml(space_file):
    space = load_space(space_file(FULL))
    assert space_of(tomllib.loads(tomli_w.dumps(space.to_dict()))) == space
    bounds = Space({"x": Float(0.1 + 0.2, 1e22 / 3), "y": Int(-5, 2**39), "z": Choice([0.1, 1e-300])})
    assert space_of(tomllib.loads(tomli_w.dumps(bounds.to_dict()))) == bounds


def test_a_file_without_a_name_is_called_after_itself(space_file):
    assert load_space(Path(space_file("[fixed]\na = 1"))).name == "space"
    assert load_space("./space.toml").name == "space"


def test_a_file_may_begin_with_a_byte_order_mark(space_file):
    assert load_space(space_file("\ufeff[fixed]\na = 1")).fixed == {"a": 1}


ONE = '[parameters.a]\ntype = "int"\nlow = 1\nhigh = 4\n'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[fixed]\na = \nb = 2", "not TOML: Invalid value (at line 2, column 5); correct the file there"),
        ("", "the space has no parameters"),
        ("parameters = 3", "parameters = 3: not a table"),
        ("[parameters]\na = 0.1", "parameters.a = 0.1: not a table; write [parameters.a] with its type, or move"),
        ("[parameters.a]\nlow = 1", "parameters.a.type: missing; choose from float, int, choice, fixed"),
        (
            '[parameters.a]\ntype = "flaot"',
            "parameters.a.type = 'flaot': there is no such type; choose from float, int",
        ),
        ('[parameters.a]\ntype = "int"\nlow = 1', "parameters.a.high: missing; add a line high = …"),
        (ONE + "lgo = true", "parameters.a.lgo: there is no such key; known are type, low, high, log, when"),
        (ONE + "log = 1", "parameters.a.log = 1: not true or false"),
        (ONE + 'when = "b"', "parameters.a.when = 'b': not a table"),
        (ONE + "when = { b = 1 }", "a: it depends on b, which is not a parameter"),
        ('[parameters.a]\ntype = "int"\nlow = 1.0\nhigh = 4', "parameters.a.low = 1.0: not a whole number; give one"),
        ('[parameters.a]\ntype = "float"\nlow = "1"\nhigh = 4', "parameters.a.low = '1': not a number; give one"),
        ('[parameters.a]\ntype = "float"\nlow = true\nhigh = 4', "parameters.a.low = True: not a number; give one"),
        ('[parameters.a]\ntype = "float"\nlow = nan\nhigh = 4', "parameters.a: Float: low = nan is not finite"),
        (
            '[parameters.a]\ntype = "int"\nlow = 4\nhigh = 4',
            "parameters.a: Int: low = high = 4; give the fixed value 4",
        ),
        ('[parameters.a]\ntype = "choice"\noptions = "x"', "parameters.a.options = 'x': not a list in square brackets"),
        ('[parameters.a]\ntype = "choice"\noptions = []', "parameters.a: Choice: there is no option"),
        ('colour = "red"\n' + ONE, "colour: there is no such key; known are name, description, parameters, fixed"),
        ("name = 3\n" + ONE, "name = 3: not a string in quotes; give one"),
        (ONE + "[fixed]\na = 1", "a: it stands under [parameters] and under [fixed]; keep one"),
        ("[fixed]\na = [1, 2]", "a = [1, 2]: a list cannot be a fixed value"),
        ("[fixed]\na = 2024-01-01", "a = datetime.date(2024, 1, 1): it is of type date"),
    ],
)
def test_a_mistake_is_told_with_file_key_and_remedy(space_file, text, message):
    assert complaint(space_file(text)).startswith(f"space.toml: {message}")


def test_of_several_mistakes_the_first_is_told_and_the_others_counted(space_file):
    wrong_types = complaint(space_file('[parameters.a]\ntype = "int"\nlow = 1.5\nhigh = 2.5\nx = 1'))
    assert wrong_types.startswith("space.toml: parameters.a.low = 1.5")
    assert wrong_types.endswith("(and 2 more errors)")
    wrong_values = complaint(space_file(FULL.replace("low = 1e-4", "low = 1.0").replace("low = 1\n", "low = 9\n")))
    assert wrong_values.startswith("space.toml: parameters.learning_rate: Float: low = 1.0 is above high")
    assert wrong_values.endswith("(and 1 more error)")


def test_a_file_that_cannot_be_read_is_told(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("latin.toml").write_bytes(b'name = "\xe9t\xe9"')
    Path("folder.toml").mkdir()
    assert complaint("latin.toml") == "latin.toml: byte 8 is not UTF-8; save the file as UTF-8"
    assert complaint("folder.toml") == "folder.toml: this is a folder; name a .toml file in it"
    assert complaint("./cnn") == "cnn: there is no such file; known spaces are cnn, cnn-small, paper-3, paper-5"
    assert complaint(Path("none.toml")).startswith("none.toml: there is no such file; known spaces are cnn, ")


def test_an_unknown_name_lists_the_known_ones():
    assert complaint("cnn-smal") == (
        "there is no search space 'cnn-smal' (give a name, or the path of a .toml file); did you mean 'cnn-small'?"
    )
    assert "known are cnn, cnn-small, paper-3, paper-5" in complaint("text")


@pytest.mark.parametrize("name", available_spaces())
def test_a_shipped_space_is_one_the_cnn_training_takes(name):
    space = load_space(name)
    assert space.name == name
    assert space.description
    rng = np.random.default_rng(0)
    corners = [np.zeros(space.dimension), np.ones(space.dimension)]
    for u in (*corners, *rng.random((50, space.dimension))):
        config = space.decode(u)
        Settings.of(config)
        assert space.decode(space.encode(config)) == config
        assert ("momentum" in config) == (config["optimizer"] == "sgd")


def test_the_shipped_spaces_are_those_promised():
    assert available_spaces() == ("cnn", "cnn-small", "paper-3", "paper-5")
    assert load_space("cnn-small").dimension <= 12
    three, five = load_space("paper-3"), load_space("paper-5")
    assert three.names == ("learning_rate", "beta1", "beta2")
    assert five.names == (*three.names, "epsilon", "weight_decay")
    assert three.free.items() <= five.free.items()
    assert not any(isinstance(free, Float) and free.log for free in five.free.values())


def test_shipped_folders_are_found_in_a_source_tree_and_in_an_installed_package(tmp_path):
    package = tmp_path / "site-packages" / "ecoml"
    package.mkdir(parents=True)
    with pytest.raises(UsageError, match="'search_spaces' is missing"):
        shipped("search_spaces", package=package)
    (beside := package.parent / "search_spaces").mkdir()
    assert shipped("search_spaces", package=package) == beside
    (inside := package / "search_spaces").mkdir()
    assert shipped("search_spaces", package=package) == inside


def test_pydantic_is_imported_only_to_read_a_file():
    script = (
        "import sys, ecoml.space as s\n"
        "s.Space({'a': s.Int(1, 2)}).to_dict(), s.available_spaces()\n"
        "assert 'pydantic' not in sys.modules and 'torch' not in sys.modules\n"
        "s.load_space('cnn')\n"
        "assert 'pydantic' in sys.modules\n"
    )
    root = Path(ecoml.space.__file__).parents[2]
    subprocess.run([sys.executable, "-c", script], check=True, cwd=root, timeout=60)
