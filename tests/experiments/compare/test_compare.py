"""Comparisons of what has been run: who needed how much energy to the target, and what can be concluded."""

import math

import pytest
from rigs.run_folders import HEAD, Course, courses, rows_of, write_run

from ecoml.endings import FailureKind, SearchEnd, StopReason, TrialEnd
from ecoml.energy import Provenance
from ecoml.errors import UsageError
from ecoml.experiments.compare import gather
from ecoml.experiments.compare.notes import headline, notes
from ecoml.experiments.compare.searches import write_csv
from ecoml.experiments.compare.tables import energy_table, quality_table
from ecoml.trial import TrialState


def test_energy_to_target_from_a_csv(table):
    path = table(
        HEAD + "p,random,0,0,10,0.5\np,random,0,1,20,0.8\np,random,0,2,30,0.7\n"
        "p,bayes,0,0,5,0.6\np,bayes,0,1,5,0.9\np,grid,0,0,100,0.3\n"
    )
    (problem,) = gather([path]).problems
    random, bayes, grid = problem.standings
    assert (problem.target, problem.reference, problem.provenance) == (0.8, "random", Provenance.REPORTED)
    assert (random.strategy, random.energy_j) == ("random", 30.0)
    assert (bayes.strategy, bayes.energy_j) == ("bayes", 10.0)
    assert bayes.ratio is not None
    assert bayes.ratio.value == 3.0
    assert (grid.strategy, grid.energy_j, grid.at_least_j, grid.reached) == ("grid", math.inf, 100.0, 0)
    assert grid.ratio is not None
    assert (grid.ratio.value, grid.ratio.relation) == (0.3, "<")


def test_run_folders_count_the_optimiser_and_keep_their_sources(tmp_path):
    write_run(tmp_path / "a", courses(10.0, 0.5, 0.8), strategy="random")
    write_run(tmp_path / "b", courses(10.0, 0.8), strategy="bayes", optimiser_j=5.0, provenance=Provenance.MEASURED)
    comparison = gather([tmp_path / "a", tmp_path / "b"])
    _, bayes = comparison.problems[0].standings
    assert bayes.energy_j == 15.0
    assert comparison.problems[0].quality["bayes"].optimiser_share == pytest.approx(1 / 3)
    assert any("measured and estimated" in note for note in notes(comparison))
    energy, quality = energy_table(comparison.problems), quality_table(comparison.problems)
    assert [row[0] for row in energy.rows] == ["random", "bayes"]
    assert energy.rows[1][energy.header.index("Source")] == "measured"
    assert quality.rows[1][quality.header.index("Optimiser")] == "33.3 %"


def test_the_same_search_twice_is_refused(tmp_path):
    write_run(tmp_path / "a", courses(1.0, 0.5))
    write_run(tmp_path / "b", courses(1.0, 0.5))
    with pytest.raises(UsageError, match="random with seed 0 on digits appears twice"):
        gather([tmp_path / "a", tmp_path / "b"])


def test_few_seeds_are_said_to_be_few_and_many_get_intervals(table):
    few = gather([table(HEAD + rows_of("p", "random", 4, 40) + rows_of("p", "bayes", 4, 10))])
    assert any("cannot be told from chance" in note for note in notes(few))
    assert few.problems[0].standings[1].interval_j is None
    assert (
        headline(few)
        == "No test distinguishes 2 strategies: 90.00 % validation accuracy takes 11.5 J to 41.5 J (reported)."
    )
    rows = HEAD + rows_of("p", "random", 6, 40) + rows_of("p", "bayes", 6, 10)
    many = gather([table(rows)], targets=[0.9])
    assert notes(many) == ()
    assert headline(many) == (
        "bayes reaches 90.00 % validation accuracy for 12.5 J (reported); random needs 42.5 J (p = 0.031)."
    )
    bayes = many.problems[0].standings[1]
    assert bayes.interval_j is not None
    assert bayes.interval_j[0] <= 12.5 <= bayes.interval_j[1]
    assert bayes.ratio is not None
    assert bayes.ratio.interval is not None
    assert bayes.ratio.interval[0] <= 42.5 / 12.5 <= bayes.ratio.interval[1]
    assert bayes.effect is not None
    assert bayes.effect.p == 2 / 2**6
    assert bayes.effect.a12 == 1.0


def test_a_mean_over_problems_counts_the_misses_too(table):
    text = HEAD + rows_of("p", "random", 1, 40) + rows_of("p", "bayes", 1, 5)
    text += rows_of("q", "random", 1, 10) + rows_of("q", "bayes", 1, 20, score=0.2)
    comparison = gather([table(text)])
    (mean,) = comparison.means
    assert mean.value == pytest.approx(8.0)
    assert (mean.problems, mean.of) == (1, 2)
    assert mean.overall is not None
    assert mean.overall.value == pytest.approx(2.0)
    assert mean.overall.relation == "<"
    assert energy_table(comparison.problems).header[0] == "Problem"


def test_target_and_reference_may_be_given(table):
    path = table(HEAD + rows_of("p", "random", 1, 40) + rows_of("p", "grid", 1, 10, score=0.7))
    (problem,) = gather([path], targets=[0.6], reference="grid").problems
    assert (problem.reference, problem.target) == ("grid", 0.6)
    with pytest.raises(UsageError, match="'sobol' is not among the strategies"):
        gather([path], reference="sobol")
    with pytest.raises(UsageError, match="the target is 60; give a validation accuracy"):
        gather([path], targets=[60])


def test_a_search_that_was_cut_off_is_censored_where_it_stood_and_one_without_a_measurement_stays_a_miss(tmp_path):
    failed = Course([], state=TrialState.FAILED, end=TrialEnd(FailureKind.ERROR, {"message": "boom"}), tail_j=3.0)
    interrupted = SearchEnd(StopReason.INTERRUPTED)
    write_run(tmp_path / "a", courses(10.0, 0.5, 0.8), ended=interrupted, budget_j=90.0)
    write_run(tmp_path / "b", [failed], strategy="bayes", budget_j=90.0)
    before = gather([tmp_path / "a", tmp_path / "b"], targets=[0.9])
    write_csv(before.problems[0].searches, tmp_path / "both.csv")
    for comparison in (before, gather([tmp_path / "both.csv"], targets=[0.9])):
        random, bayes = sorted(comparison.problems[0].standings, key=lambda s: s.strategy != "random")
        assert (random.horizons_j, random.at_least_j) == ((20.0,), 20.0)
        assert (bayes.horizons_j, bayes.reached) == ((90.0,), 0)
        assert any("1 of 2 searches have not come to their end" in note for note in notes(comparison))


def test_a_folder_of_finished_runs_is_compared(tmp_path):
    write_run(tmp_path / "runs" / "a", courses(10.0, 0.8))
    write_run(tmp_path / "runs" / "b", courses(5.0, 0.8), strategy="bayes")
    (problem,) = gather([tmp_path / "runs"]).problems
    assert {s.strategy: s.energy_j for s in problem.standings} == {"random": 10.0, "bayes": 5.0}
