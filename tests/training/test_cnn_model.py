"""Networks as files, the test set, and the executor's own contract."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import safetensors
import safetensors.torch
import torch
from rigs.images import rest, start, task, training

from ecoml.errors import DataError, UsageError
from ecoml.training import base
from ecoml.training.create import create_executor
from ecoml.training.images import CnnTraining
from ecoml.training.images.data.loader import load
from ecoml.training.images.model import load_model_file, save_model
from ecoml.trial import Trial

CONFIG = {"width": 4, "batch_size": 256, "epochs": 2, "linear_layers": 2, "dropout": 0.1}


@pytest.fixture(scope="module")
def digits():
    executor = CnnTraining("digits", threads=1)
    executor.prepare()
    return executor


@pytest.fixture
def trained(digits):
    run = start(digits, CONFIG, 7)
    next(run)
    return run


def test_a_loaded_network_predicts_what_the_saved_one_did(tmp_path):
    found = load("digits").train
    np.savez(tmp_path / "larger.npz", x=found.images[:300].repeat(2, 2).repeat(2, 3), y=found.labels[:300])
    here = task(str(tmp_path / "larger.npz"))
    run = training(here, CONFIG | {"start_resolution": 0.5, "epochs": 4, "schedule": "averaged"})
    path = tmp_path / "models" / "trial-0007-step-01.safetensors"
    images = here.validation.images[:50].permute(0, 3, 1, 2)
    for sides in (8, 12, 16):
        run.advance()
        save_model(run.network, path, problem="digits", trial=7, config=CONFIG, form=here.form)
        network = load_model_file(path)
        with torch.inference_mode():
            assert torch.equal(network(images), run.network.eval()(images))
        assert network.sides == run.network.sides == (sides, sides)
    assert not network.training
    assert network.classes == tuple("0123456789")
    assert [file.name for file in path.parent.iterdir()] == [path.name], "no unfinished file is left"


def test_the_header_says_how_to_build_the_network(digits, trained, tmp_path):
    digits.save(trained, Trial(7, CONFIG), tmp_path / "m.safetensors")
    with safetensors.safe_open(tmp_path / "m.safetensors", framework="np") as file:
        header = json.loads(file.metadata()["ecoml"])
    assert header["shape"] == [1, 8, 8]
    assert header["problem"] == "digits"
    assert header["trial"] == 7
    assert header["config"].items() >= CONFIG.items()


def test_saving_does_not_disturb_the_training(digits, tmp_path):
    plain = rest(start(digits, CONFIG, 7))
    saved = start(digits, CONFIG, 7)
    curve = [next(saved).score]
    digits.save(saved, Trial(7, CONFIG), tmp_path / "m.safetensors")
    digits.test(tmp_path / "m.safetensors")
    assert [*curve, *rest(saved)] == plain


def test_a_run_without_weights_is_not_saved(digits, tmp_path):
    run = start(digits, CONFIG)
    with pytest.raises(ValueError, match="never advanced"):
        digits.save(run, Trial(0, CONFIG), tmp_path / "m.safetensors")
    assert not list(tmp_path.iterdir())


def test_a_suspended_run_is_saved_as_it_was_left(digits, tmp_path):
    runs = [start(digits, CONFIG, number) for number in (7, 8)]
    next(runs[0])
    digits.save(runs[0], Trial(7, CONFIG), tmp_path / "at once.safetensors")
    next(runs[1])  # as another search does in between
    digits.save(runs[0], Trial(7, CONFIG), tmp_path / "later.safetensors")
    assert (tmp_path / "later.safetensors").read_bytes() == (tmp_path / "at once.safetensors").read_bytes()
    alone = start(digits, CONFIG, 8)
    curve = [next(alone).score, next(alone).score]
    assert next(runs[1]).score == curve[1], "and the one that had to wait goes on as it was"


def test_files_that_are_no_models(digits, trained, tmp_path):
    path = tmp_path / "m.safetensors"
    with pytest.raises(UsageError, match="no such model file"):
        load_model_file(path)
    path.write_bytes(b"not a model at all")
    with pytest.raises(UsageError, match="cannot be read as a model"):
        load_model_file(path)
    safetensors.torch.save_file({"a": torch.zeros(1)}, path)
    with pytest.raises(UsageError, match="not a model of ecoml"):
        load_model_file(path)
    safetensors.torch.save_file({"a": torch.zeros(1)}, path, metadata={"ecoml": '{"version": 99}'})
    with pytest.raises(UsageError, match=r"newer ecoml \(format 99"):
        load_model_file(path)
    safetensors.torch.save_file({"a": torch.zeros(1)}, path, metadata={"ecoml": '{"version": 1}'})
    with pytest.raises(UsageError, match=r"older ecoml \(format 1"):
        load_model_file(path)
    header = {"version": 2, "config": {}, "shape": [1, 8, 8], "sides": [8, 8], "classes": ["a", "b"]}
    safetensors.torch.save_file({"a": torch.zeros(1)}, path, metadata={"ecoml": json.dumps(header)})
    with pytest.raises(UsageError, match="does not fit its own description"):
        load_model_file(path)
    digits.save(trained, Trial(7, CONFIG), path)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(UsageError, match="cannot be read as a model"):
        load_model_file(path)


def test_the_test_set_is_the_same_in_every_search_and_never_trained_on(digits):
    sets = [load("digits") for _ in range(2)]
    assert np.array_equal(sets[0].test.images, sets[1].test.images)
    parts = [task(seed=seed) for seed in (0, 9)]
    assert not torch.equal(parts[0].train.images, parts[1].train.images)
    total = len(sets[0].test) + len(parts[0].train) + len(parts[0].validation)
    assert total == 1797, "every image is in one part"
    passes = 2.5 if parts[0].bf16 else 1  # tests are made in full precision
    assert digits.test_cost == pytest.approx(passes * len(sets[0].test) / len(parts[0].validation))


def test_only_test_looks_at_the_test_set(tmp_path):
    random = np.random.default_rng(0)
    arrays: dict[str, Any] = {"x": random.integers(0, 256, (60, 8, 8), dtype=np.uint8), "y": np.arange(60) % 2}
    arrays |= {"x_test": arrays["x"][:20], "y_test": arrays["y"][:20]}
    found = []
    for name in ("one", "other"):
        np.savez(tmp_path / f"{name}.npz", **arrays)
        executor = CnnTraining(tmp_path / f"{name}.npz", threads=1)
        run = start(executor, CONFIG | {"epochs": 1})
        clean = next(run).score
        executor.save(run, Trial(0, CONFIG), tmp_path / "m.safetensors")
        found.append((clean, executor.test(tmp_path / "m.safetensors").score))
        arrays["y_test"] = 1 - arrays["y_test"]
    assert found[0][0] == found[1][0]
    assert found[0][1] == pytest.approx(1 - found[1][1])


def test_a_model_of_other_data_is_not_tested(digits, trained, tmp_path):
    digits.save(trained, Trial(7, CONFIG), tmp_path / "m.safetensors")
    x = np.random.default_rng(0).integers(0, 256, (30, 5, 5), dtype=np.uint8)
    np.savez(tmp_path / "own.npz", x=x, y=np.arange(30) % 2)
    other = CnnTraining(tmp_path / "own.npz")
    with pytest.raises(UsageError, match="trained on other data than own"):
        other.test(tmp_path / "m.safetensors")


def test_an_executor_describes_itself_well_enough_to_be_built_again(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for executor in (
        CnnTraining(),
        CnnTraining("fashion-mnist", data_dir="here", device="cpu", seed=3, validation_share=0.1),
        CnnTraining("digits", threads=2, deterministic=True, patience_s=9.0),
        CnnTraining("my/images"),
    ):
        described = executor.describe()
        assert None not in described.values(), "TOML has no null"
        again = create_executor(described, tmp_path)
        assert again is not None
        assert again.describe() == described
    assert CnnTraining("my/images").describe()["data"] == str(tmp_path / "my" / "images")
    assert CnnTraining("my/images").problem == "images"


def test_contracts():
    assert isinstance(CnnTraining(), base.Executor)
    assert isinstance(CnnTraining(), base.Tested)
    assert isinstance(CnnTraining(), base.Floored)


@pytest.mark.parametrize(
    "wrong", [{"seed": -1}, {"threads": 0}, {"validation_share": 0.0}, {"validation_share": 1.0}, {"patience_s": 0.0}]
)
def test_arguments_out_of_range(wrong):
    with pytest.raises(UsageError, match=next(iter(wrong))):
        CnnTraining(**wrong)


@pytest.mark.parametrize("device", ["cuda:77", "abacus"])
def test_a_device_that_is_not_there(device):
    with pytest.raises(UsageError, match=f"device '{device}' cannot be used here"):
        CnnTraining(device=device).prepare()


def test_data_that_are_not_there(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # the name is what is compared, however long the folder it was looked for in
    with pytest.raises(DataError, match=r"did you mean 'fashion-mnist'\?"):
        CnnTraining("fashion-mnits").prepare()
