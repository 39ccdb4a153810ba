"""What accuracy costs within a run."""

from dataclasses import replace

import pytest
from rigs.run_folders import Course, write_run

from ecoml.report.charts.charts import front_chart
from ecoml.report.charts.drawing import PAGE
from ecoml.report.charts.tradeoff import advice, tradeoff_dict, tradeoff_of
from ecoml.report.page.page import page
from ecoml.report.terminal.summary import print_result
from ecoml.run.result import Result


@pytest.fixture
def result(tmp_path):
    courses = [Course([(score, joules)]) for score, joules in ((0.70, 1), (0.885, 4), (0.893, 9), (0.90, 20))]
    return Result.load(write_run(tmp_path / "run", courses))


def test_half_the_energy_and_the_cheapest_within_so_many_points(result):
    found = tradeoff_of(result)
    assert found is not None
    assert found.half is not None
    assert found.cheaper is not None
    assert found.dearer is not None
    assert found.best.energy_j == 20
    assert (found.within[1].trial, found.within[2].trial) == (2, 1)
    assert found.within[1].saved == pytest.approx(11 / 20)
    assert found.half.trial == 2
    assert found.half.lost == pytest.approx(0.007)
    assert (found.cheaper.energy_j, found.dearer.energy_j) == (2.5, 14.5)
    assert [found.cheaper.score, found.dearer.score] == pytest.approx([0.7925, 0.8965])


def test_the_advice_is_in_words_with_its_source_and_on_the_page(result):
    found = tradeoff_of(result)
    assert found is not None
    told = " ".join(advice(found))
    assert (
        "Within 1 percentage point of it the cheapest is trial 2 after 1 step: 89.30 % validation accuracy for 9.00 J,"
        " 55 % less." in told
    )
    assert "Half the energy costs 0.7 percentage points of validation accuracy" in told
    assert "(estimated)" in told
    assert "Half the energy costs 0.7 percentage points of validation accuracy" in page(result)
    assert tradeoff_dict(found)["provenance"] == "estimated"


def test_a_recommended_trial_off_the_front_is_marked_and_explained(tmp_path, capsys):
    result = Result.load(write_run(tmp_path / "run", [Course([(0.9, 5)]), Course([(0.9, 8)])]))
    assert [trial.number for trial in result.front] == [0]
    result = replace(result, recommended=result.trials[1], frugal=result.trials[1])
    marked = [
        layer["encoding"]["text"]["value"]
        for layer in front_chart(result, PAGE).to_dict(validate=False)["layer"]
        if "text" in layer["encoding"]
    ]
    assert marked == ["trial 1"]
    print_result(result)
    told = " ".join(capsys.readouterr().out.split())
    for text in (told, page(result)):
        assert "It is not on the front: a cheaper one measured at least as well, but is expected to be worse" in text
        assert "the same: no cheaper one is expected within 1 percentage point of it" in text


def test_where_nothing_is_cheaper_it_says_so(tmp_path):
    result = Result.load(write_run(tmp_path / "run", [Course([(0.9, 5)])]))
    found = tradeoff_of(result)
    assert found is not None
    told = " ".join(advice(found))
    assert "No training within 1 percentage point of it is cheaper." in told
    assert "No training took at most half of its energy." in told
    assert tradeoff_of(Result.load(write_run(tmp_path / "empty", []))) is None
