"""`ecoml search --config`: a search repeated from its `run.toml`, with options that replace those of the file."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from shutil import copyfile

import pytest
import tomli_w

from ecoml.cli.configs import arguments_of, kept_arguments
from ecoml.cli.searching import search
from ecoml.limits import Limits
from ecoml.run.folder import read_settings

OF_TRAINING = {"space", "data", "data_dir", "download", "device", "threads", "deterministic", "metric"}
OF_ONE_RUN = {"context", "config", "out", "track", "as_json"}
GIVEN = {"meter": ["node"], "powercap_root": Path("/sys")}


@pytest.fixture
def first(typed, tmp_path, images, tiny_space):
    folder = tmp_path / "first"
    carbon = ("--grid-intensity", 300, "--budget-gco2e", 0.02)
    done = typed(
        *("search", "--budget-kwh", 0.0001, "--data", images, "--space", tiny_space, "--strategy", "random"),
        *("--max-trials", 1, "--workers", "local:1", *carbon, "--out", folder, "--json"),
    )
    assert done.returncode == 0, done.stderr
    return folder


def test_no_option_of_search_is_lost():
    for option in set(inspect.signature(search).parameters) - OF_TRAINING - OF_ONE_RUN:
        assert arguments_of({option: GIVEN.get(option, 1.0)}), f"--config ignores {option}"


def test_values_have_the_units_of_their_names():
    arguments = arguments_of({"max_energy_per_training": 1e-6, "max_latency": 2.0, "max_inference_energy": 0.5})
    assert arguments == {
        "max_energy_per_training_j": pytest.approx(3.6),
        "max_latency_s": pytest.approx(0.002),
        "max_inference_energy_j": 0.5,
    }
    assert arguments_of({"max_latency": None, "when_clean": None}) == {}


@pytest.mark.slow
def test_a_search_is_repeated_with_what_it_was_given_and_what_is_given_now(typed, first, tmp_path):
    wrong = typed("search", "--config", first, "--workers", "nowhere")
    assert (wrong.returncode, "local:4" in wrong.stderr) == (2, True)
    done = typed("search", "--config", first, "--budget-gco2e", 0.01, "--out", tmp_path / "again", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["limits"]["budget_gco2e"] == 0.01
    assert Limits(**read_settings(tmp_path / "again")["limits"]).max_trials == 1
    assert read_settings(tmp_path / "again")["workers"]["given"] == "local:1"

    kept = kept_arguments(first, {})
    assert kept["workers"] == "local:1"
    assert (kept["grid_intensity"], kept["budget_gco2e"], kept["budget_j"]) == ("300", 0.02, 360)
    assert (
        kept_arguments(first, {"workers": "local:2", "grid_intensity": "100"}).items()
        >= {
            "workers": "local:2",
            "grid_intensity": "100",
        }.items()
    )
    assert "budget_j" not in kept_arguments(first, {"budget_kwh": 0.0002})

    table = read_settings(first)
    table["run"]["meter"] = ["node"]
    table["run"]["budget_from_co2e"] = True
    (first / "run.toml").write_text(tomli_w.dumps(table), encoding="utf-8")
    assert kept_arguments(first, {})["meter"] == ("node",)
    assert "budget_j" not in kept_arguments(first, {}), "it is derived again, from the grid of now"
    (first / "grid.csv").write_text("time,g_per_kwh\n2020-01-01T00:00,100\n2090-01-01T00:00,100\n", encoding="utf-8")
    assert kept_arguments(first, {})["grid_intensity"] == first / "grid.csv"


@pytest.mark.slow
def test_a_strategy_file_and_a_warm_start_are_not_lost(typed, first, tmp_path, images, tiny_space, monkeypatch):
    mine = tmp_path / "mine.toml"
    mine.write_text('strategy = "random"\n[settings]\ndefault_first = false\n', encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    done = typed(
        *("search", "--budget-kwh", 0.0001, "--data", images, "--space", tiny_space, "--strategy", mine),
        *("--max-trials", 1, "--warm-start", "first", "--out", tmp_path / "second", "--json"),
    )
    assert done.returncode == 0, done.stderr

    (tmp_path / "far").mkdir()
    monkeypatch.chdir(tmp_path / "far")
    again = typed("search", "--config", tmp_path / "second", "--out", "third", "--json")
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["strategy"] == "mine"
    told, before = json.loads(again.stdout), json.loads(done.stdout)
    assert told["trials"][0]["config"] == before["trials"][0]["config"]
    assert told["warm_start"]["trials"] == before["warm_start"]["trials"] == 1

    copy = copyfile(tmp_path / "second" / "run.toml", tmp_path / "far" / "copy.toml")
    lost = typed("search", "--config", copy)
    assert (lost.returncode, "strategy.toml, the file of its strategy, is missing" in lost.stderr) == (2, True)
    assert kept_arguments(copy, {"strategy": "random"})["warm_start"] == str(first)


def test_what_is_refused_is_refused_before_anything_is_trained(typed, tmp_path):
    for options in (("--strategy", "nosuch"), ("--target", 7), ("--warm-start", "nosuch"), ("--workers", "nowhere")):
        refused = typed("search", *options, "--out", tmp_path / "run")
        assert (refused.returncode, "training takes" in refused.stderr) == (2, False), options
    measured = typed("search", "--require-measured", "--meter", "node")
    assert (measured.returncode, "training takes" in measured.stderr) == (2, False)
