"""`ecoml paper`, `effects` and `profile` end to end."""

from __future__ import annotations

import csv
import json

import pytest

from ecoml.energy import Provenance
from ecoml.experiments.paper.rq2 import beside_published, run_rq2
from ecoml.experiments.paper.study import SCALES, open_study


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
    again = typed(*arguments, "--json")
    assert again.returncode == 0, again.stderr
    assert again.stderr.count("done before") == 3
    assert json.loads(again.stdout)["table_iii"] == found["table_iii"]


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
