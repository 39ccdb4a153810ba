"""Faults that were met in use, each as a user met it."""

import re

import pytest
from rigs.run_folders import HEAD, courses, rows_of, write_run

import ecoml
from ecoml.experiments.compare import gather, write_comparison
from ecoml.experiments.compare.notes import headline, notes
from ecoml.experiments.compare.tables import energy_table, print_comparison, ranks_table
from ecoml.searcher.searcher import Searcher


def shown(comparison, folder, capsys):
    """All that the terminal and the page say."""
    page = write_comparison(comparison, folder)
    print_comparison(comparison, page)
    html = re.sub(r"<(script|style).*?</\1>", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    return capsys.readouterr().out, html


def problems(names, **energies_j):
    return HEAD + "".join(rows_of(name, of, 1, energy_j) for name in names for of, energy_j in energies_j.items())


def test_with_one_seed_nothing_is_tested_over_problems(table, tmp_path, capsys):
    """Random's own best is reached by random by construction: Friedman's p of 0.002 was one of nothing."""
    text = problems("pqrstu", random=40, grid=30, bayes=10)
    for targets in ((), (0.9,)):
        comparison = gather([table(text)], targets=targets)
        assert ranks_table(comparison) is None
        terminal, html = shown(comparison, tmp_path / f"out{len(targets)}", capsys)
        assert "Friedman" not in terminal + html
        assert "Nemenyi" not in terminal + html
        assert "There is no test over all problems: give a --target, and at least two seeds" in terminal
        assert headline(comparison) == "Over 6 problems no strategy needs significantly less energy than another."


def test_over_problems_a_target_and_several_seeds_are_tested(table):
    rows = [rows_of(p, s, 5, e) for p in "pqrstu" for s, e in (("random", 400), ("grid", 300), ("bayes", 10))]
    comparison = gather([table(HEAD + "".join(rows))], targets=[0.9])
    ranks = ranks_table(comparison)
    assert ranks is not None
    assert "Friedman's test: p = 0.002" in ranks.caption
    assert headline(comparison) == "Over 6 problems bayes needs less energy than random (Nemenyi's p = 0.002)."


def test_a_target_that_the_reference_gave_is_not_tested(table, tmp_path, capsys):
    text = HEAD + rows_of("p", "random", 6, 40) + rows_of("p", "bayes", 6, 10)
    comparison = gather([table(text)])
    table_shown = energy_table(comparison.problems)
    assert not {"p", "A12"} & set(table_shown.header)
    terminal, html = shown(comparison, tmp_path / "out", capsys)
    for said in (terminal, html):
        assert "no test of a difference holds. Give a --target for tests." in said
    assert headline(comparison).startswith("No test distinguishes 2 strategies")
    assert {"p", "A12"} <= set(energy_table(gather([table(text)], targets=[0.9]).problems).header)


def test_the_headline_names_no_winner_where_the_box_beneath_it_says_that_there_is_none(table):
    """Three seeds: random was said to be "the least of 4", while nothing could be told apart."""
    rows = [rows_of("p", s, 3, e) for s, e in (("random", 10), ("grid", 30), ("bayes", 20), ("sobol", 25))]
    comparison = gather([table(HEAD + "".join(rows))], targets=[0.8])
    assert any("cannot be told from chance" in note for note in notes(comparison))
    told = headline(comparison)
    assert told == (
        "No test distinguishes 4 strategies: 80.00 % validation accuracy takes 11.0 J to 31.0 J (reported)."
    )
    worse = HEAD + rows_of("p", "random", 7, 10) + rows_of("p", "grid", 7, 30) + rows_of("p", "bayes", 7, 5, score=0.5)
    told = headline(gather([table(worse)], targets=[0.8]))
    assert told.startswith("No strategy needs significantly less energy than random: 80.00 % validation accuracy takes")
    assert told.endswith("(reported), and 1 of them does not reach it.")


def test_a_table_in_which_no_problem_has_two_strategies(table, tmp_path, capsys):
    """It ended in `SVG has an invalid size`."""
    text = HEAD + rows_of("p", "random", 1, 40) + rows_of("q", "bayes", 1, 10)
    terminal, html = shown(gather([table(text)]), tmp_path / "out", capsys)
    assert "p: there is only one strategy, so there is nothing to compare it with." in terminal
    assert "q: there is only one strategy" in html
    assert not list((tmp_path / "out" / "figures").glob("ratios.*"))


def test_runs_of_different_problems(tmp_path, capsys):
    write_run(tmp_path / "a", courses(10.0, 0.5, 0.8), problem="digits")
    write_run(tmp_path / "b", courses(5.0, 0.9), problem="svhn", strategy="bayes")
    comparison = gather([tmp_path / "a", tmp_path / "b"])
    assert [problem.name for problem in comparison.problems] == ["digits", "svhn"]
    assert "there is only one strategy" in shown(comparison, tmp_path / "out", capsys)[0]


def search(directory, strategy, train, space):
    Searcher(space, train, budget_j=20.0, strategy=strategy, directory=directory, energy="reported").run()


def test_two_functions_of_one_name_with_different_spaces_are_two_problems(tmp_path, capsys):
    def train(config):
        return ecoml.Measurement(0.5 + 0.4 * next(iter(config.values())), energy_j=2.0)

    x, y = ecoml.Space({"x": ecoml.Float(0.0, 1.0)}), ecoml.Space({"y": ecoml.Float(0.0, 1.0)})
    wide = ecoml.Space({"x": ecoml.Float(0.0, 0.5)})
    for name, space in (("one", x), ("other", y), ("wide", wide)):
        for strategy in ("random", "grid"):
            search(tmp_path / "runs" / f"{name}-{strategy}", strategy, train, space)
    comparison = gather([tmp_path / "runs"])
    names = [problem.name.rpartition(":")[2].rpartition(".")[2] for problem in comparison.problems]
    assert names == ["train (x) #1", "train (y)", "train (x) #2"]
    assert all(len(problem.standings) == 2 for problem in comparison.problems)
    shown(comparison, tmp_path / "out", capsys)
    again = gather([tmp_path / "out" / "compare.csv"])
    assert [problem.name for problem in again.problems] == [problem.name for problem in comparison.problems]


def test_a_table_goes_with_the_runs_on_its_problem(table, tmp_path):
    write_run(tmp_path / "a", courses(10.0, 0.5, 0.8))
    (problem,) = gather([tmp_path / "a", table(HEAD + "digits,grid,0,0,10,0.9\n")]).problems
    assert [standing.strategy for standing in problem.standings] == ["random", "grid"]


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_a_reference_that_measured_nothing_gives_no_target(tmp_path, order):
    from rigs.run_folders import Course, failed

    from ecoml.trial import TrialState

    paths = [tmp_path / "a", tmp_path / "b"]
    write_run(paths[0], [Course([], state=TrialState.FAILED, end=failed("boom"), tail_j=3.0)])
    write_run(paths[1], courses(5.0, 0.9), strategy="bayes")
    (problem,) = gather([paths[index] for index in order]).problems
    assert (problem.reference, problem.target) == ("bayes", 0.9)
    with pytest.raises(ecoml.UsageError, match="no search measured anything"):
        gather([paths[0]])
