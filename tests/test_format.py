"""The one speaker: numbers, endings and accounts in words."""

import pytest

from ecoml.endings import EndReason, FailureKind, TrialEnd
from ecoml.energy import Energy, Provenance, SharedUse
from ecoml.format import (
    capitalised,
    describe_ceiling,
    describe_course,
    describe_limits,
    describe_reach,
    describe_sharing,
    duration,
    energy_unit,
    fold_gaps,
    format_energy,
    format_figure,
    format_gain,
    format_interval,
    format_score,
    format_sure,
    named_score,
    plural,
    score_title,
)
from ecoml.limits import Limits
from ecoml.metric import ACCURACY, Metric
from ecoml.trial import Point, Trial, TrialState

LOSS = Metric("validation loss", minimize=True)


@pytest.mark.parametrize(
    ("energy_j", "text"),
    [
        (0.0, "0.00 J"),
        (1e-6, "1.00 µJ"),
        (6.1e-5, "61.0 µJ"),
        (0.012, "12.0 mJ"),
        (0.4242, "0.42 J"),
        (9.996, "10.0 J"),
        (812.3, "812 J"),
        (999.7, "1.00 kJ"),
        (4312, "4.31 kJ"),
        (1.2e6, "1.20 MJ"),
        (float("inf"), "inf J"),
    ],
)
def test_joules_read_well(energy_j, text):
    assert format_energy(energy_j) == text


def test_a_figure_has_its_half_width_and_an_estimate_its_interval():
    measured, guess = Energy(100.0, 3.0, Provenance.MEASURED), Energy(100.0, 100.0, Provenance.ESTIMATED)
    assert (format_figure(measured), format_figure(guess)) == ("100 J ± 3.00 J", "100 J")
    assert (format_interval(measured), format_interval(guess)) == ("± 3.00 J", "between 50.0 J and 200 J")
    assert format_interval(Energy(1.0, 0.0, Provenance.REPORTED)) == "as reported"


@pytest.mark.parametrize(
    ("energy_j", "unit"), [(0.3, ("J", 1.0)), (812.0, ("Wh", 3600.0)), (7.2e6, ("kWh", 3.6e6)), (0.0, ("J", 1.0))]
)
def test_a_unit_suits_its_energy(energy_j, unit):
    assert energy_unit(energy_j) == unit


def test_scores_and_their_differences_follow_the_metric():
    assert (format_score(ACCURACY, 0.97814), format_score(LOSS, 0.31416), format_score(LOSS, None)) == (
        "97.81 %",
        "0.3142",
        "–",
    )
    assert named_score(ACCURACY, 0.5) == "50.00 % validation accuracy"
    assert named_score(LOSS, 0.31) == "validation loss 0.31"
    assert (score_title(ACCURACY), score_title(LOSS)) == ("Validation accuracy", "Validation loss (lower is better)")
    gains = [format_gain(ACCURACY, gain) for gain in (0.01, 0.004, 0.227, 1.5, 14.7)]
    assert gains == [
        "1 percentage point",
        "0.4 percentage points",
        "23 percentage points",
        "150 percentage points",
        "1,470 percentage points",
    ]
    assert format_gain(LOSS, 0.0123456) == "0.0123"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.0, "0 s"),
        (0.00102, "1.02 ms"),
        (0.4, "400 ms"),
        (2.51, "2.5 s"),
        (90, "90 s"),
        (300, "5 min"),
        (9000, "2.5 h"),
        (4e4, "11 h"),
        (4e5, "4.6 days"),
    ],
)
def test_a_duration_in_words(seconds, words):
    assert duration(seconds) == words


def test_plurals_and_capitals():
    assert [plural(count, noun) for count, noun in ((1, "epoch"), (3, "epoch"), (2, "search"), (2500, "trial"))] == [
        "1 epoch",
        "3 epochs",
        "2 searches",
        "2,500 trials",
    ]
    assert capitalised("macro F1") == "Macro F1"


LEFT = TrialEnd(EndReason.SEARCH_ENDED)
TOO_DEAR = {"energy_j": 1.81, "limit_j": 1.8}


@pytest.mark.parametrize(
    ("state", "end", "times", "told"),
    [
        (TrialState.RUNNING, None, 1, "running"),
        (TrialState.FINISHED, TrialEnd(EndReason.FINISHED), 1, "finished"),
        (TrialState.FINISHED, None, 2, "resumed once, finished"),
        (TrialState.FINISHED, None, 5, "resumed 4 times, finished"),
        (TrialState.STOPPED, TrialEnd(EndReason.BUDGET), 3, "resumed twice, stopped: the budget ended"),
        (TrialState.STOPPED, LEFT, 1, "suspended, and not taken up again"),
        (TrialState.STOPPED, LEFT, 2, "resumed once, then left"),
        (
            TrialState.STOPPED,
            TrialEnd(EndReason.NEXT_STEP_TOO_MUCH, TOO_DEAR),
            1,
            "stopped: a further step would exceed what a training may take",
        ),
        (
            TrialState.STOPPED,
            TrialEnd(EndReason.TOOK_TOO_MUCH, TOO_DEAR),
            1,
            "stopped: it took more than a training may take",
        ),
        (TrialState.STOPPED, None, 1, "stopped by the strategy"),
        (TrialState.FAILED, TrialEnd(FailureKind.ERROR, {"message": "boom"}), 0, "failed: boom"),
    ],
)
def test_how_a_trial_went(state, end, times, told):
    assert describe_course(Trial(0, {}, state, end=end), times, ACCURACY) == told


def test_limits_in_sentences_of_the_metric():
    assert list(describe_limits(Limits(), ACCURACY)) == []
    assert list(describe_limits(Limits(target=0.3, max_trials=7, spend_all=True), LOSS)) == [
        "Target: validation loss 0.3; the search ends when it is reached",
        "Limits: at most 7 trials",
        "Told to spend the entire budget, even for small gains",
    ]
    limits = Limits(max_trials=1, max_parameters=20_000, max_energy_per_training_j=3.6)
    assert list(describe_limits(limits, ACCURACY)) == [
        "Limits: at most 1 trial, 20,000 parameters a network and 3.60 J a training"
    ]


def test_sharing_is_one_sentence_for_each_domain():
    told = describe_sharing(
        [
            SharedUse("gpu:0", 77, "python", 3.0),
            SharedUse("gpu:0", 78, "", 240.0),
            *(SharedUse("host", pid, "ecoml", 60.0 + pid) for pid in range(3)),
        ]
    )
    assert told == [
        "gpu:0 was also used by python 77 and 1 other process, the longest for 4 min: their energy cannot be separated"
        " from this search's, and is counted with it",
        "3 other ecoml processes metered this host too, the longest for 62 s: each counts an equal part of the energy"
        " they share, and its interval covers the rest",
    ]


def test_gaps_that_differ_in_numbers_alone_are_told_once():
    sharing = [f"cpu is shared with the ecoml process {pid}: 1/{pid % 3 + 4} is claimed here" for pid in range(140)]
    gaps = ["gpu:0 could not be read", *sharing, "gpu:1 could not be read", "gpu:0 could not be read"]
    assert fold_gaps(gaps) == [
        "gpu:0 could not be read (2 times)",
        "cpu is shared with the ecoml process 0: 1/4 is claimed here (140 times, with other numbers)",
        "gpu:1 could not be read",
    ]


@pytest.mark.parametrize(
    ("left_j", "told", "warned"),
    [
        (4_000.0, "about 33 such trainings", False),
        (500.0, "about 4 such trainings", True),
        (20.0, "less than one", True),
    ],
)
def test_the_first_measurement_says_what_the_budget_buys(left_j, told, warned):
    first = Point(1, 0.5, Energy(10.0, 1.0, Provenance.MEASURED), 0.5)
    sentences = describe_reach(first, 12, left_j, Metric(step="epoch"))
    assert sentences[0].startswith("the first epoch took 10.0 J (measured), so that 12 epochs take about 120 J: ")
    assert told in sentences[0]
    assert (len(sentences) == 2) is warned
    assert not warned or "40 take 0.00133 kWh" in sentences[1]


@pytest.mark.parametrize(("left_j", "told"), [(100.0, "at most 50 of it"), (10.0, "at most 5"), (1.0, "less than one")])
def test_arithmetic_alone_says_what_the_budget_buys_at_most(left_j, told):
    sentences = describe_ceiling(2.0, left_j)
    assert told in sentences[0]
    assert (len(sentences) == 2) is (left_j < 20.0)


def test_a_score_says_how_sure_it_is_where_the_images_are_known():
    data = {"validation_counts_as": 287.0, "test_counts_as": 359.0}
    assert format_sure(ACCURACY, 0.9895, data) == "98.95 % (97.0–99.6)"
    assert format_sure(ACCURACY, 0.9895, data, "test") == "98.95 % (97.3–99.6)"
    assert format_sure(ACCURACY, 0.9895, None) == "98.95 %"
    assert format_sure(Metric("validation loss", minimize=True), 0.31, data) == "0.31"
    assert format_sure(ACCURACY, None, data) == "–"
