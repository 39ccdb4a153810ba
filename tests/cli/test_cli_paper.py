"""`ecoml paper`, `effects` and `profile` end to end."""

from __future__ import annotations

import csv
import json

import pytest
from rigs.run_folders import Course, write_run

from ecoml.energy import Provenance
from ecoml.experiments.paper.rq2 import beside_published, run_rq2
from ecoml.experiments.paper.study import SCALES, open_study


@pytest.fixture
def run(tmp_path):
    """A run whose trials have two levels of width."""
    return write_run(tmp_path / "run", [Course([(0.5, 1.0 + n % 2)], {"width": 4 + n % 2}) for n in range(8)])


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        (("rq1", "--budget-kwh", -1), "the energy budget is -1.0 kWh"),
        (("rq2", "--budget-kwh", -1), "the energy budget is -1.0 kWh"),
        (("rq2",), "images of 8 pixels cannot be halved four times"),
        (("rq2", "--scale", "full"), "how much energy may the experiment take"),
        (("rq1", "--scale", "full"), "how much energy may each search take"),
    ],
)
def test_what_is_refused_has_written_nothing(typed, here, arguments, wanted):
    refused = typed("paper", arguments[0], "--scale", "tiny", *arguments[1:], "--data", "digits", "--out", "mine")
    assert refused.returncode == 2
    assert wanted in refused.stderr
    assert len(refused.stderr.strip().splitlines()) == 1
    assert list(here.iterdir()) == []


def test_the_budget_of_rq1_is_that_of_a_search(typed):
    assert "Energy budget of each search" in " ".join(typed("paper", "rq1", "--help").stdout.split())


def test_effects_of_a_run_take_no_options_of_an_experiment(typed, run):
    for given, named in (
        (("--draws", 3), "--draws"),
        (("--data", "digits", "--no-download"), "--data, --no-download"),
        (("--budget-kwh", 1, "--device", "cpu", "--json"), "--budget-kwh, --device"),
    ):
        refused = typed("effects", run, "--factor", "width", *given)
        assert (refused.returncode, refused.stdout) == (2, "")
        assert refused.stderr == f"ecoml: {run}: a run folder, no new experiment; leave out {named}\n"
    assert not (run / "effects.json").exists()


def test_effects_of_a_run_are_written_where_out_says_and_json_has_the_tradeoff(typed, run, here):
    told = typed("effects", run, "--factor", "width", "--out", "mine", "--json")
    assert told.returncode == 0, told.stderr
    content = json.loads(told.stdout)
    assert content["factors"][0]["levels"] == [4, 5]
    assert "measured best" in content["tradeoff"]["advice"][0]
    assert sorted(path.name for path in (here / "mine").iterdir()) == ["effects.json", "figures"]
    assert not (run / "effects.json").exists()
    assert content["tradeoff"]["advice"][0] in typed("effects", run, "--factor", "width").stdout


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        ("effects.run.run_factorial", ("effects", "cnn-small", "--factor", "depth", "--budget-kwh", 1)),
        ("paper.rq1.run_rq1", ("paper", "rq1", "--scale", "tiny", "--data", "digits")),
        ("paper.rq2.run_rq2", ("paper", "rq2", "--scale", "tiny", "--data", "digits")),
        ("compare.run_comparison", ("compare", "baselines/random.toml", "--budget-kwh", 1)),
    ],
)
@pytest.mark.parametrize("saved", [True, False])
def test_ctrl_c_says_what_is_saved(typed, here, monkeypatch, function, arguments, saved):
    def interrupted(*_arguments, **_named):
        if saved:
            (here / "mine").mkdir()
        raise KeyboardInterrupt

    monkeypatch.setattr(f"ecoml.experiments.{function}", interrupted)
    done = typed(*arguments, "--out", "mine")
    told = "; all results so far are saved in mine, and the same command continues"
    assert (done.returncode, done.stdout) == (130, "")
    assert done.stderr == f"ecoml: interrupted{told if saved else ' before anything was saved'}\n"


def test_ctrl_c_elsewhere_says_interrupted(typed, monkeypatch):
    def interrupted(*_arguments, **_named):
        raise KeyboardInterrupt

    monkeypatch.setattr("ecoml.experiments.profile.step.profile_step", interrupted)
    done = typed("profile", "cnn-small", "--batch", 2)
    assert (done.returncode, done.stderr.splitlines()[-1]) == (130, "ecoml: interrupted")


def test_profile_refuses_its_folder_before_it_measures(typed, here, monkeypatch):
    def measured(*_arguments, **_named):
        raise AssertionError("measured")

    monkeypatch.setattr("ecoml.experiments.profile.step.profile_step", measured)
    (here / "mine").write_text("a file")
    refused = typed("profile", "cnn-small", "--batch", 2, "--out", "mine")
    assert refused.returncode == 2
    assert refused.stderr == "ecoml: mine: cannot be written (File exists); choose another --out, or free some space\n"


@pytest.mark.slow
def test_rq1_end_to_end_from_the_command_line(typed, tmp_path):
    arguments: tuple[object, ...] = (
        "paper",
        "rq1",
        "--scale",
        "tiny",
        "--data",
        "digits",
        "--network",
        "SimpleCNN",
        "--parameters",
        3,
    )
    arguments += ("--device", "cpu", "--threads", 1, "--out", tmp_path / "rq1")
    first = typed(*arguments)
    assert first.returncode == 0, first.stderr
    assert "the size differs: 400 training images" in first.stdout
    assert "estimated" in first.stdout
    found = json.loads((tmp_path / "rq1" / "rq1.json").read_text())
    assert [(row["strategy"], row["rounds"]) for row in found["table_iii"]] == [("random", 3), ("grid", 3), ("bo", 3)]
    with (tmp_path / "rq1" / "repetitions.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 3 * 3 * 2
    assert len({row["learning_rate"] for row in rows if row["strategy"] == "random"}) == 3
    assert (tmp_path / "rq1" / "compare.html").is_file()
    assert (tmp_path / "rq1" / "figures" / "rounds-simplecnn-3hp.svg").is_file()
    again = typed(*arguments, "--network", "SimpleCNN", "--target", 0.1, "--json")
    assert again.returncode == 0, again.stderr
    assert again.stderr.count("done before") == 3
    assert json.loads(again.stdout)["table_iii"] == found["table_iii"]
    (note, *_) = json.loads((tmp_path / "rq1" / "compare.json").read_text())["notes"]
    assert "for tests" in note
    assert "--target" not in note


@pytest.mark.slow
def test_effects_runs_a_factorial_on_a_space_and_reads_any_run(typed, tiny_space, tmp_path):
    out = tmp_path / "effects"
    arguments = ("--factor", "width", "--draws", 2, "--budget-kwh", 0.01, "--out", out)
    ran = typed("effects", tiny_space, *arguments)
    assert ran.returncode == 0, ran.stderr
    assert "width" in ran.stdout
    assert (out / "figures" / "interaction.png").is_file()
    read = typed("effects", out, "--factor", "width", "--json")
    assert json.loads(read.stdout)["factors"][0]["levels"] == [4, 8]
    refused = typed("effects", tiny_space, "--factor", "width")
    assert refused.returncode == 2
    assert "--budget-kwh" in refused.stderr
    assert len(refused.stderr.strip().splitlines()) == 1
    profiled = typed("profile", out, "--trial", 0, "--blocks", 2, "--batch", 8, "--out", tmp_path / "profile")
    assert profiled.returncode == 0, profiled.stderr
    assert "whole step" in profiled.stdout
    assert json.loads((tmp_path / "profile" / "profile.json").read_text())["batch"] == 8


@pytest.mark.slow
def test_rq2_end_to_end_on_real_images(fashion_mnist, tmp_path):
    study = open_study(tmp_path / "data", "tiny", "fashion-mnist", data_dir=fashion_mnist, device="cpu", threads=1)
    effects = run_rq2(study, tmp_path / "rq2", budget_j=1e5)
    assert len(effects.trainings) + effects.failed == 8 * SCALES["tiny"].draws
    assert effects.provenance in (Provenance.ESTIMATED, Provenance.MEASURED)
    by_factor = {row[0]: row for row in beside_published(study, effects).rows}
    assert by_factor["conv"][2] == "+95.3 %"
    conv = next(factor for factor in effects.factors if factor.name == "conv")
    assert conv.changes[0].energy > 0, "four convolutions cost more than one"
