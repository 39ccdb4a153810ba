"""What the surrogate is given: features of configurations, objectives of trials, candidates."""

import numpy as np
import pytest

from ecoml.energy import Energy, Provenance
from ecoml.space import Choice, Float, Int, Space
from ecoml.strategies.bayes.candidates import Candidates
from ecoml.strategies.bayes.features import Features
from ecoml.strategies.botorch.objectives import most_telling, objectives_of
from ecoml.strategies.enumeration import key
from ecoml.testing.recorder import point
from ecoml.trial import Trial, TrialState


def trial(number, score, energy_j, state=TrialState.FINISHED):
    return Trial(number, {"x": number}, state, [point(1, score, energy_j)])


def known_from(trials, initial):
    known = objectives_of(trials, initial)
    assert known is not None
    return known


def rows(space, configs):
    return Features(space)(configs, np.array([space.encode(config) for config in configs]))


def test_options_are_equally_far_apart():
    space = Space({"a": Choice(["p", "q", "r"]), "b": Choice([1, 2])})
    x = rows(space, [{"a": a, "b": b} for a in "pqr" for b in (1, 2)])
    assert x.shape == (6, 3 + 1)
    distances = {round(float(np.linalg.norm(x[i] - x[j])), 6) for i in (0, 2, 4) for j in (0, 2, 4) if i != j}
    assert len(distances) == 1


def test_a_condition_has_a_column_unless_an_option_already_says_it():
    space = Space(
        {
            "opt": Choice(["sgd", "adam", "adamw"]),
            "depth": Int(1, 3),
            "momentum": Float(0.0, 1.0, when={"opt": "sgd"}),
            "beta": Float(0.0, 1.0, when={"opt": ["adam", "adamw"]}),
            "beta2": Float(0.0, 1.0, when={"opt": ["adam", "adamw"]}),
            "drop": Float(0.0, 1.0, when={"depth": [2, 3]}),
        }
    )
    configs = [
        {"opt": "sgd", "depth": 1, "momentum": 0.5},
        {"opt": "adam", "depth": 3, "beta": 0.5, "beta2": 0.5, "drop": 0.5},
    ]
    x = rows(space, configs)
    assert x.shape == (2, 5 + 3 + 2)  # coordinates, options, and the conditions of beta (shared) and of drop
    assert x[:, -2:].tolist() == [[0.0, 0.0], [1.0, 1.0]]
    assert Features(space).groups.tolist() == [0, 1, 2, 3, 4, 5, 5, 5, 6, 7]  # the options belong together


def test_choices_with_the_same_options_have_their_counts_in_common():
    operations = ["conv", "pool", "skip"]
    cell = {f"edge{i}": Choice(operations) for i in range(4)}
    space = Space({"rate": Float(0.1, 1.0), **cell, "other": Choice(["p", "q", "r"])})
    of = [["conv", "conv", "skip", "pool"], ["pool", "skip", "conv", "conv"], ["skip"] * 4]
    configs = [{"rate": 0.1, **dict(zip(cell, edges, strict=True)), "other": "q"} for edges in of]
    x = rows(space, configs)
    assert x.shape == (3, 1 + 5 * 3 + 3)
    assert x[:, -3:].tolist() == [[1.0, 0.5, 0.5], [1.0, 0.5, 0.5], [0.0, 0.0, 2.0]]  # counts / √4
    assert Features(space).groups.tolist()[-3:] == [6, 6, 6]
    assert [space.decode(Features(space).inverse(row)) for row in x] == configs


def test_an_inactive_choice_has_no_option_and_counts_nothing():
    """Its coordinate is ½, where an odd number of options has one."""
    kernels = {
        f"kernel{i}": Choice([1, 3, 5], when=None if i == 1 else {"depth": list(range(i, 4))}) for i in (1, 2, 3)
    }
    space = Space({"depth": Int(1, 3), **kernels})
    shallow, deep = {"depth": 1, "kernel1": 1}, {"depth": 3, "kernel1": 1, "kernel2": 3, "kernel3": 3}
    x = rows(space, [shallow, deep])
    assert (x[:, -3:] * np.sqrt(3.0)).round(9).tolist() == [[1.0, 0.0, 0.0], [1.0, 2.0, 0.0]]
    assert [space.decode(Features(space).inverse(row)) for row in x] == [shallow, deep]


def test_random_cells_are_as_far_apart_in_their_counts_as_in_a_single_choice():
    space = Space({f"edge{i}": Choice(["a", "b", "c", "d"]) for i in range(5)})
    drawn = np.random.default_rng(0).random((2, 4000, 5))
    one, other = (rows(space, [space.decode(u) for u in points]) for points in drawn)
    squared = (one - other) ** 2
    assert squared[:, -4:].sum(1).mean() == pytest.approx(squared[:, :4].sum(1).mean(), rel=0.05)


def test_the_last_points_become_standardised_objectives():
    known = known_from([trial(0, 0.5, 10.0), trial(1, 0.7, 100.0), trial(2, 0.6, 1000.0)], initial=2)
    assert known.y.mean(axis=0) == pytest.approx([0.0, 0.0])
    assert known.y.std(axis=0) == pytest.approx([1.0, 1.0])
    assert known.y[0, 1] > known.y[1, 1] > known.y[2, 1]  # the cheaper, the better
    assert set(known.incumbents) == {0, 1, 2}


def test_the_reference_point_stays_while_results_come_in():
    trials = [trial(i, score, 10.0 + i) for i, score in enumerate([0.5, 0.6, 0.4, 0.9, 0.1])]

    def unscaled(known):
        v = np.array([[t.score, -np.log(t.energy_j)] for t in known.measured])
        slope, origin = np.polyfit(known.y[:, 0], v[:, 0], 1), np.polyfit(known.y[:, 1], v[:, 1], 1)
        return [np.polyval(slope, known.reference[0]), np.polyval(origin, known.reference[1])]

    assert unscaled(known_from(trials[:3], 3)) == pytest.approx(unscaled(known_from(trials, 3)))


def test_failures_are_filled_in_with_the_worst_accuracy_and_the_median_energy():
    trials = [trial(0, 0.5, 10.0), trial(1, 0.7, 100.0), trial(2, 0.6, 30.0), trial(3, 0.9, 0.1, TrialState.FAILED)]
    trials.append(trial(4, float("nan"), 5.0))
    known = known_from(trials, 2)
    assert [t.number for t in known.failed] == [3, 4]
    assert known.y[3:].tolist() == [[known.y[:3, 0].min(), np.median(known.y[:3, 1])]] * 2


def test_a_trial_stopped_before_its_first_point_is_no_failure():
    tail = Energy(3.0, 0.0, Provenance.REPORTED)
    known = known_from([trial(0, 0.5, 1.0), Trial(1, {"x": 1}, TrialState.STOPPED, tail=tail)], 2)
    assert (known.failed, known.pending, len(known.y)) == ((), (), 1)


def test_trials_that_may_still_bring_a_result_are_pending():
    known = known_from(
        [trial(0, 0.5, 1.0), trial(1, 0.6, 1.0, TrialState.SUSPENDED), trial(2, 0.7, 1.0, TrialState.STOPPED)], 2
    )
    assert [t.number for t in known.pending] == [1]
    assert [t.number for t in known.measured] == [0, 2]
    assert objectives_of([trial(0, 0.5, 1.0, TrialState.RUNNING)], 2) is None


def test_one_disaster_does_not_squeeze_the_good_ones_together():
    good = [trial(i, 0.80 + 0.01 * i, 10.0 + i) for i in range(10)]
    spread = np.ptp(known_from(good, 2).y[:, 0])
    with_disaster = known_from([*good, trial(10, 0.0, 10.0)], 2).y[:10, 0]
    assert np.ptp(with_disaster) > 0.5 * spread


def test_of_many_trials_the_telling_ones_are_kept():
    rng = np.random.default_rng(0)
    known = known_from([trial(i, a, e) for i, (a, e) in enumerate(rng.uniform(0.1, 1.0, size=(500, 2)))], 5)
    kept = most_telling(known, 100)
    assert set(known.incumbents) <= set(kept)
    assert len(kept) <= 100 + len(known.incumbents)
    assert len(set(kept)) == len(kept)
    assert known.y[kept, 0].min() == known.y[:, 0].min()
    assert most_telling(known, 500).tolist() == list(range(500))


def test_candidates_are_valid_unseen_and_canonical():
    space = Space(
        {
            "opt": Choice(["a", "b"]),
            "m": Float(0.0, 1.0, when={"opt": "a"}),
            "depth": Int(1, 4),
            "lr": Float(1e-4, 1, log=True),
        }
    )
    candidates = Candidates(space, 64)
    centre = candidates.pool([{"opt": "a", "m": 0.5, "depth": 2, "lr": 0.01}])
    seen = {key(config) for config in centre.configs}
    pool = candidates.spread(centre.u, centre.u, seen, 200, 0.0, seed=0)
    near = candidates.near(pool.u[:2], seen | {key(config) for config in pool.configs}, 50, 0.05, seed=0)
    keys = [key(config) for config in (pool + near).configs]
    assert len(set(keys)) == len(keys) > 150
    assert not set(keys) & seen
    assert key(centre.configs[0]) not in keys
    for config, u in zip(pool.configs, pool.u, strict=True):
        space.validate(config)
        assert space.decode(u) == config
        assert (space.encode(config) == u).all()


def test_a_small_space_is_listed_in_full():
    space = Space({"a": Int(1, 5), "b": Choice(["p", "q"])})
    candidates = Candidates(space, 10)
    seen = {key({"a": 1, "b": "p"})}
    left = candidates.spread(np.empty((0, 2)), np.empty((0, 2)), seen, 4, 0.0, seed=0)
    assert len(left.configs) == 9
    seen |= {key(config) for config in left.configs}
    assert not candidates.spread(np.empty((0, 2)), np.empty((0, 2)), seen, 4, 0.0, seed=0).configs


def test_candidates_keep_apart_from_what_is_known():
    space = Space({"a": Float(0.0, 1.0), "b": Float(0.0, 1.0)})
    candidates = Candidates(space, 10)
    known = np.array([[0.5, 0.5]])
    pool = candidates.spread(known, known, set(), 200, 0.3, seed=0)
    assert len(pool.configs) > 20
    assert np.linalg.norm(pool.u - known, axis=1).min() >= 0.3
