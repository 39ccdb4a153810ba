"""What a configuration of the CNN training may say."""

from __future__ import annotations

import subprocess
import sys

import pytest

import ecoml.space
from ecoml.errors import UsageError
from ecoml.training.images import CnnTraining, catalogue
from ecoml.training.images.settings import DEFAULTS, Settings, validate_space


def test_missing_keys_take_their_defaults():
    assert Settings.of({}) == Settings(**DEFAULTS)
    assert Settings.of({"width": 7}).width == 7
    assert Settings.of({"width": 7}).depth == DEFAULTS["depth"]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("width", 0),
        ("width", 2.5),
        ("width", True),
        ("width", "8"),
        ("depth", 0),
        ("growth", float("nan")),
        ("growth", 0.0),
        ("kernel", 4),
        ("block", "dense"),
        ("activation", None),
        ("head", "mean"),
        ("linear_layers", 0),
        ("dropout", 0.95),
        ("optimizer", "lion"),
        ("learning_rate", 0.0),
        ("learning_rate", float("inf")),
        ("schedule", 3),
        ("weight_decay", -1e-9),
        ("momentum", 1.0),
        ("beta1", 1.0),
        ("beta2", -0.1),
        ("epsilon", 0.0),
        ("batch_size", 1),
        ("label_smoothing", 1.0),
        ("epochs", 0),
        ("start_resolution", 0.2),
        ("skip_easy", 0.95),
        ("shift", -1),
        ("flip", True),
        ("cutout", 0.5),
    ],
)
def test_a_bad_value_is_refused_in_one_line_that_names_its_key(key, value):
    with pytest.raises(UsageError, match=rf"cannot use {key} = ") as caught:
        Settings.of({key: value})
    assert "\n" not in str(caught.value)


def test_an_unknown_key_is_refused_with_the_nearest_known_one():
    with pytest.raises(UsageError, match=r"no parameter 'learning_rat'; did you mean 'learning_rate'\?"):
        Settings.of({"learning_rat": 0.1})


def test_numbers_of_other_types_are_taken():
    import numpy as np

    settings = Settings.of({"width": np.int64(8), "learning_rate": np.float32(0.5), "epochs": 3.0, "growth": 2})
    assert (settings.width, settings.learning_rate, settings.epochs, settings.growth) == (8, 0.5, 3, 2.0)
    assert type(settings.width) is type(settings.epochs) is int


@pytest.mark.parametrize(
    ("parameter", "key"),
    [
        (ecoml.space.Int(1, 7), "kernel"),
        (ecoml.space.Choice([3, 4]), "kernel"),
        (ecoml.space.Float(0.5, 1.0), "momentum"),
        (ecoml.space.Float(0.0, 0.1), "learning_rate"),
        ("flat", "head"),
        (ecoml.space.Float(0.0, 1.0), "widht"),
    ],
)
def test_a_space_is_refused_if_one_of_its_values_cannot_be_trained(parameter, key):
    with pytest.raises(UsageError, match=key):
        CnnTraining().prepare(ecoml.space.Space({key: parameter, "depth": 2}))


def test_a_space_that_mirrors_handwriting_is_refused():
    for flip in ("yes", ecoml.space.Choice(["no", "yes"])):
        with pytest.raises(UsageError, match="a mirrored image of digits shows something else"):
            CnnTraining("digits").prepare(ecoml.space.Space({"flip": flip, "depth": 2}))
    catalogue.refuse_mirroring("fashion-mnist", ecoml.space.Space({"flip": "yes", "width": ecoml.space.Int(1, 2)}))


def test_the_keys_of_a_model_of_ones_own_are_its_own():
    settings = Settings.of({"layers": 7, "width": "any", "epochs": 3}, own_model=True)
    assert settings.epochs == 3
    with pytest.raises(UsageError, match="epochs"):
        Settings.of({"layers": 7, "epochs": 0}, own_model=True)


@pytest.mark.parametrize("name", ecoml.space.available_spaces())
def test_every_shipped_space_can_be_trained(name):
    validate_space(ecoml.space.load_space(name))


def test_naming_the_training_and_its_data_imports_nothing_heavy():
    code = (
        "import sys; from ecoml.training.images import CnnTraining, available_data;"
        "available_data(); CnnTraining('cifar10'); CnnTraining('some/folder').describe();"
        "print({'torch', 'torchvision', 'sklearn', 'PIL'} & set(sys.modules))"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "set()"
