"""Defaults of parameters: checked, kept, and put together to the default configuration."""

import json
from typing import Any

import pytest

from ecoml.errors import SpaceError
from ecoml.space import Choice, Float, Int, Space, load_space
from ecoml.space.schema import space_of
from ecoml.space.shipped import shipped
from ecoml.training.images.settings import Settings

SPACE = Space(
    {
        "rate": Float(1e-4, 1.0, log=True, default=1e-2),
        "width": Int(4, 64, log=True, default=16),
        "block": Choice(["plain", "residual"], default="residual"),
        "momentum": Float(0.0, 0.98, when={"block": "residual"}),
        "slope": Float(0.0, 0.5, when={"block": "plain"}, default=0.1),
        "share": Choice([0.0, 0.5], default=0),
        "seed": 3,
    }
)

ANY: dict[str, Any] = {"text": "1", "share": 2.5}


def test_what_has_no_default_is_at_the_middle_and_what_does_not_exist_is_absent():
    default = {"rate": 0.01, "width": 16, "block": "residual", "momentum": 0.49, "share": 0.0, "seed": 3}
    assert SPACE.default == default
    assert Space({"rate": Float(0.0, 1.0), "seed": 3}).default is None


def test_the_default_survives_the_way_through_the_cube():
    default: Any = SPACE.default
    assert SPACE.decode(SPACE.encode(default)) == default


def test_defaults_are_kept_with_the_space():
    kept = space_of(json.loads(json.dumps(SPACE.to_dict())))
    assert kept == SPACE
    assert kept.default == SPACE.default
    assert SPACE.to_dict()["parameters"]["width"]["default"] == 16
    assert "default" not in SPACE.to_dict()["parameters"]["momentum"]


@pytest.mark.parametrize(
    ("create", "complaint"),
    [
        (lambda: Float(0.0, 1.0, default=2.0), "Float: default = 2.0 is out of range; give a float in [0.0, 1.0]"),
        (
            lambda: Float(0.0, 1.0, default=ANY["text"]),
            "Float: default = '1' is of type str; give a float in [0.0, 1.0]",
        ),
        (lambda: Int(1, 4, default=ANY["share"]), "Int: default = 2.5 is of type float; give an int in [1, 4]"),
        (lambda: Choice(["a", "b"], default="c"), "Choice: default = 'c' is not an option; choose from 'a', 'b'"),
    ],
)
def test_a_default_outside_is_refused(create, complaint):
    with pytest.raises(SpaceError) as caught:
        create()
    assert str(caught.value) == complaint


def test_a_default_outside_is_refused_in_a_file(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text('[parameters.depth]\ntype = "int"\nlow = 1\nhigh = 4\ndefault = 5\n', encoding="utf-8")
    with pytest.raises(SpaceError, match=r"mine\.toml: parameters\.depth: Int: default = 5 is out of range"):
        load_space(file)


@pytest.mark.parametrize("name", ["cnn", "cnn-small"])
def test_shipped_defaults_can_be_trained(name):
    space = load_space(shipped("search_spaces") / f"{name}.toml")
    assert space.default is not None
    assert Settings.of(space.default).learning_rate == space.default["learning_rate"]
