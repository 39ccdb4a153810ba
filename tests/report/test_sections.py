"""What the sections of a run's page compute: returns, importance, what was left unfinished, the outside."""

import math
import random
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rigs.run_folders import LEFT, Course, failed

from ecoml.carbon.footprint import Footprint
from ecoml.carbon.grid import GridProvenance
from ecoml.endings import EndReason, TrialEnd
from ecoml.energy import Energy, Provenance, co2e_g
from ecoml.errors import UsageError
from ecoml.format import describe_footprint, format_co2e
from ecoml.report.charts.importance import Importance, Untold, importances
from ecoml.report.charts.returns import Stretch, diminishing_from, overall, stretches
from ecoml.report.page.page import page
from ecoml.report.page.sections.curves import left_by_choice, saved_on, taken_up_again
from ecoml.run.hindsight import past_grid, seen_on
from ecoml.run.result import Result
from ecoml.trial import Point, Trial, TrialState


def curve(*points):
    return [point(step, a, e) for step, (a, e) in enumerate(points, start=1)]


def point(step, score, energy_j):
    return Point(step, score, Energy(energy_j, 0.0, Provenance.ESTIMATED), score)


def test_returns_by_hand():
    pieces = stretches([(10.0, 0.5), (20.0, 0.8), (30.0, 0.85), (40.0, 0.9)], 100.0)
    assert pieces == [
        Stretch(10.0, 20.0, 0.5, 0.8),
        Stretch(20.0, 40.0, 0.8, 0.9),
        Stretch(40.0, 100.0, 0.9, 0.9),
    ]
    assert pieces[0].gain_per_j == pytest.approx(0.3 / 10)
    knee = diminishing_from(pieces)  # on average 0.4 points a joule; the last stretch gains nothing
    assert knee is not None
    assert knee.from_j == 40.0


steps = st.lists(st.tuples(st.floats(0.1, 50.0), st.floats(0.001, 0.1)), min_size=1, max_size=9)


@given(steps, st.floats(0.0, 100.0))
def test_the_gain_falls_from_stretch_to_stretch_and_the_knee_lies_farthest_from_the_chord(rows, rest_j):
    points, spent_j, score = [], 0.0, 0.0
    for more_j, gain in rows:
        spent_j, score = spent_j + more_j, score + gain
        points.append((spent_j, score))
    pieces = stretches(points, spent_j + rest_j)
    gains = [piece.gain_per_j for piece in pieces]
    assert all(later <= earlier * (1 + 1e-6) for earlier, later in pairwise(gains))
    knee = diminishing_from(pieces)
    if knee is None:
        return
    whole = overall(pieces)
    slope = (whole.to_utility - whole.from_utility) / (whole.to_j - whole.from_j)

    def above(at_j, at):
        return at - whole.from_utility - slope * (at_j - whole.from_j)

    highest = max(above(*point) for point in points)
    assert above(knee.from_j, knee.from_utility) == pytest.approx(highest, abs=1e-6)


def test_no_gain_has_no_knee():
    assert diminishing_from(stretches([(10.0, 0.5)], 90.0)) is None
    assert stretches([], 9.0) == []


def made(count, score, energy_j, **fixed):
    rng = random.Random(0)
    trials = []
    for number in range(count):
        config = {
            "width": rng.randint(4, 32),
            "learning_rate": 10 ** rng.uniform(-3, 0),
            "block": rng.choice(["plain", "residual"]),
            "noise": rng.random(),
            **fixed,
        }
        if rng.random() < 0.5:
            config["momentum"] = rng.random()
        curve_ = [point(1, score(config), energy_j(config))]
        trials.append(Trial(number, config, TrialState.FINISHED, curve_))
    return trials


def test_importance_finds_what_decides_and_nothing_else():
    trials = made(
        150,
        lambda c: 0.9 - 0.2 * abs(math.log10(c["learning_rate"]) + 1.5) + (0.1 if c["block"] == "residual" else 0.0),
        lambda c: c["width"] ** 1.5 * (2.0 if "momentum" in c else 1.0),
        epochs=12,
    )
    score, energy = importances(trials, "epochs trained")
    assert isinstance(score, Importance)
    assert isinstance(energy, Importance)
    assert list(score.shares)[:2] == ["learning_rate", "block"]
    assert list(energy.shares)[:2] == ["width", "momentum"]
    assert score.explained > 0.8
    assert energy.explained > 0.8
    assert score.shares["noise"] < 0.02
    assert "epochs" not in score.shares
    # By hand: 0.04 · 1.5²/12 = 0.0075 of variance from the learning rate, 0.1²/4 = 0.0025 from the block.
    assert score.shares["learning_rate"] == pytest.approx(0.75, abs=0.12)
    assert score.shares["block"] == pytest.approx(0.25, abs=0.08)


def test_importance_that_cannot_be_told_is_said_to_be():
    few, same = importances(made(19, lambda c: c["noise"], lambda c: 1.0 + c["noise"]), "epochs trained")
    assert few == same == Untold("19 measured trials are too few for 5 parameters: 20 are needed")
    rng = random.Random(1)
    noise, same = importances(made(60, lambda c: rng.random(), lambda c: 3.0), "epochs trained")
    assert isinstance(noise, Untold)
    assert "do not explain it" in noise.why
    assert same == Untold("all trials have the same")
    alike = [Trial(i, {"a": 1}, TrialState.FINISHED, curve((0.5, 1.0))) for i in range(30)]
    assert importances(alike, "epochs trained")[0] == Untold("no parameter differs between the trials")


def test_what_was_saved_is_told_only_where_the_full_length_is_known():
    suspended = Trial(0, {"epochs": 12}, TrialState.STOPPED, curve((0.1, 2.0), (0.2, 6.0)), end=LEFT)
    saved = saved_on([suspended], "epoch")
    assert saved == (30.0, 20.0, 40.0)
    assert saved_on([suspended, Trial(1, {}, TrialState.SUSPENDED, curve((0.1, 2.0)))], "epoch") is None
    assert saved_on([suspended], "round") is None
    assert saved_on([], "epoch") is None


def test_only_what_the_strategy_chose_to_leave_counts_as_left():
    def ended(state, why=None):
        return Trial(0, {}, state, curve((0.1, 2.0)), end=why)

    chosen = [
        ended(TrialState.SUSPENDED),
        ended(TrialState.STOPPED, LEFT),
        ended(TrialState.STOPPED, TrialEnd(EndReason.NEXT_STEP_TOO_MUCH)),
        ended(TrialState.STOPPED),
    ]
    forced = [
        ended(TrialState.FINISHED),
        ended(TrialState.FAILED, failed("boom")),
        *(
            ended(TrialState.STOPPED, TrialEnd(why))
            for why in (EndReason.BUDGET, EndReason.TARGET, EndReason.INTERRUPTED)
        ),
    ]
    assert left_by_choice([*chosen, *forced]) == chosen
    assert taken_up_again([0, 0, 1, 2, 1, 1, 0, 3]) == 2
    assert taken_up_again([]) == 0


def test_the_page_tells_of_trials_that_were_left(make_run):
    epochs = {"learning_rate": 0.1, "steps": 10}
    courses = [
        Course([(0.6, 10.0), (0.8, 10.0)], epochs, TrialState.STOPPED, LEFT),
        Course([(0.7, 40.0)], epochs | {"learning_rate": 0.2}),
    ]
    shown = page(Result.load(make_run(courses)))
    assert "1 trial was left before the end, after 20.0 J (estimated)." in shown
    assert (
        "would have taken about 80.0 J more (between 80.0 J and 80.0 J): estimated from what their own steps" in shown
    )
    assert "suspended, and not taken up again" in shown


def test_hours_that_a_table_does_not_hold_are_told_as_unknown_and_not_as_nothing(make_run):
    result = Result.load(make_run([Course([(0.6, 3.6e6)])], budget_j=1e7, uncertainty=1.0))

    def shown(known_j):
        grams = co2e_g(known_j, 250.0)
        seen = Footprint(grams, known_j, 3.6e6 - known_j, provenance=GridProvenance.TABLE, grid="old.csv")
        return page(replace(result, energy=replace(result.energy, co2e=seen)))

    none, half = shown(0.0), shown(1.8e6)
    assert "not known, as old.csv has no value for its hours" in none
    assert "no grid intensity was given" not in none
    assert "0 g/kWh" not in none
    assert "the intensity is not known; between 62.5 g and 250 g" in half, "of the half that is known"


def test_co2e_only_for_an_intensity_that_was_given(make_run):
    folder = make_run([Course([(0.6, 3.6e6)])], budget_j=1e7, uncertainty=1.0)
    silent, told = page(Result.load(folder)), page(seen_on(Result.load(folder), 250.0))
    assert "no grid intensity was given" in silent
    assert "250 g at 250 g/kWh, as given; between 125 g and 500 g" in told
    assert co2e_g(1.8e6, 400) == 200.0
    spent = Energy(3.6e6, 0.0, Provenance.MEASURED)
    assert (
        describe_footprint(spent, Footprint(100.0, 3.6e6, provenance=GridProvenance.STATED))
        == "1 kWh (measured). CO2e: 100 g at 100 g/kWh, as given."
    )
    assert "the CO2e is not known" in describe_footprint(spent, None)
    assert [format_co2e(grams) for grams in (1234.0, 12.345, 0.01234, 0.0)] == [
        "1.23 kg",
        "12.3 g",
        "12.3 mg",
        "0.00 mg",
    ]


@pytest.mark.parametrize("g_per_kwh", [0.0, -1.0, math.nan, math.inf, 1e6])
def test_an_intensity_that_no_grid_has_is_refused(g_per_kwh):
    with pytest.raises(UsageError, match="give grams of CO2e per kWh"):
        past_grid(g_per_kwh)
    assert past_grid(None) is None


@pytest.mark.parametrize("key", [None, "secret"])
def test_a_provider_of_the_present_is_refused_before_its_key_is_asked_for(monkeypatch, key):
    monkeypatch.delenv("ELECTRICITYMAPS_API_KEY", raising=False)
    if key is not None:
        monkeypatch.setenv("ELECTRICITYMAPS_API_KEY", key)
    with pytest.raises(UsageError, match="electricitymaps:DE: a provider tells the present"):
        past_grid("electricitymaps:DE")
