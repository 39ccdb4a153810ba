"""Searches from tidy CSV files, and back."""

import csv

import pytest
from rigs.run_folders import HEAD, courses, write_run

from ecoml.energy import Provenance
from ecoml.errors import UsageError
from ecoml.experiments.compare import gather
from ecoml.experiments.compare.searches import read_csv, write_csv


def test_epochs_are_cumulative_within_a_trial_and_may_interleave(table):
    path = table(
        "problem,strategy,seed,trial,epoch,energy_j,accuracy\n"
        "p,a,0,0,1,10,0.1\np,a,0,1,1,10,0.2\np,a,0,0,2,25,0.3\np,a,0,1,2,30,0.4\n"
    )
    (search,) = read_csv(path)
    assert [entry.point.spent_j for entry in search.progress] == [10, 20, 35, 55]
    assert search.energy_to(0.3) == 35.0


def test_a_diverged_trial_costs_its_energy(table):
    (search,) = read_csv(table(HEAD + "p,a,0,0,10,nan\np,a,0,1,10,0.5\n"))
    assert search.energy_to(0.5) == 20.0
    assert search.best == 0.5


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("problem,strategy,seed\n", "no column trial, energy_j, score; a tidy CSV has"),
        (HEAD, "the file has no rows"),
        (HEAD + "p,a,0,0,ten,0.5\n", "line 2: energy_j = 'ten' is not a number"),
        (HEAD + "p,a,0,0,-1,0.5\n", "energy_j = '-1' is not a number ≥ 0"),
        (HEAD + "p,a,0,0,10,97.8\n", r"accuracy = '97.8' is not a validation accuracy in \[0, 1\] \(97.8 % is 0.978"),
        (HEAD + "p,a,0,0,10,0.5\np,a,0,0,20,0.6\n", "line 3: trial 0 appears twice"),
        (HEAD + "p,a,x,0,10,0.5\n", "seed = 'x'"),
        (HEAD + "p,a,0,0.5,10,0.5\n", "trial = '0.5' is not a whole number"),
        (HEAD + "p,,0,0,10,0.5\n", "strategy is empty"),
        (HEAD + "p,a,0\n", "trial is empty"),
        ("problem,strategy,seed,trial,epoch,energy_j,accuracy\np,a,0,0,1,10,0.1\np,a,0,0,2,9,0.1\n", "must rise"),
        (HEAD.strip() + ",provenance\np,a,0,0,1,0.5,guessed\n", "provenance = 'guessed'"),
    ],
)
def test_a_csv_that_makes_no_sense_is_refused_in_one_line(table, text, message):
    with pytest.raises(UsageError, match=message) as caught:
        read_csv(table(text))
    assert "\n" not in str(caught.value)


def test_what_is_no_csv_is_refused(tmp_path):
    with pytest.raises(UsageError, match="cannot be read"):
        gather([tmp_path / "nothing.csv"])
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="not UTF-8"):
        gather([tmp_path / "binary.csv"])
    with pytest.raises(UsageError, match="nothing to compare"):
        gather([])


def test_a_csv_of_runs_keeps_budget_optimiser_and_source(tmp_path):
    write_run(tmp_path / "a", courses(10.0, 0.5, 0.8), strategy="bayes", optimiser_j=5.0, budget_j=77.0)
    before = gather([tmp_path / "a"])
    write_csv(before.problems[0].searches, tmp_path / "a.csv")
    (search,) = read_csv(tmp_path / "a.csv")
    assert search.optimiser is not None
    assert (search.budget_j, search.optimiser.energy_j, search.provenance) == (77.0, 5.0, Provenance.ESTIMATED)
    assert search.progress == before.problems[0].searches[0].progress
    with (tmp_path / "a.csv").open(encoding="utf-8") as file:
        assert next(csv.DictReader(file))["strategy"] == "bayes"
