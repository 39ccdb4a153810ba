"""A search that starts from what another run found out."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from rigs.meter import FakeMeter
from rigs.scripts import CONFIG, Script, curve

import ecoml
from ecoml.energy import Provenance, comparable
from ecoml.errors import RunFolderError, UsageError
from ecoml.metric import ACCURACY
from ecoml.report.terminal.progress import show
from ecoml.report.terminal.summary import print_result
from ecoml.run.result import Result
from ecoml.searcher.setup.warm_start import WarmStart
from ecoml.strategies import Start
from ecoml.testing.strategies import check_earlier_run_is_learnt_from, check_goal_is_pursued


class Learning(Script):
    """Says what it was taught."""

    def __init__(self, decisions=()):
        super().__init__(decisions)
        self.learnt = []

    def learn(self, trials):
        assert not self.told, "what was learnt comes before what is told"
        self.learnt.append(list(trials))


@pytest.fixture
def earlier(space, tmp_path):
    """A finished run with a failed trial."""
    trials = []

    def train(config):
        trials.append(config)
        yield ecoml.Measurement(0.5, energy_j=10.0, uncertainty_j=1.0)
        if len(trials) == 2:
            raise RuntimeError("boom")
        yield ecoml.Measurement(0.7, energy_j=5.0)

    folder = tmp_path / "earlier"
    return ecoml.Searcher(
        space, train, budget_j=1e3, max_trials=4, strategy="random", directory=folder, energy="reported"
    ).run()  # fmt: skip


def test_trials_of_another_run_are_learnt_and_count_for_nothing(space, reported, run_folder, earlier, capsys):
    reported["strategy"] = strategy = Learning([ecoml.Start(CONFIG)])
    result = ecoml.Searcher(space, curve([0.6]), budget_j=100, warm_start=earlier.directory, **reported).run()
    (learnt,) = strategy.learnt
    assert [trial.number for trial in learnt] == [-4, -3, -2, -1]
    assert [(t.config, [(p.score, p.energy) for p in t.curve], t.state, t.end) for t in learnt] == [
        (t.config, [(p.score, p.energy) for p in t.curve], t.state, t.end) for t in earlier.trials
    ]
    assert [trial.number for trial in result.trials] == [0]
    assert [trial.number for trial in result.front] == [0]
    assert result.energy.total_j == 10
    about = result.to_dict()["warm_start"]
    assert (about["trials"], about["left_out"], about["learnt"], about["provenance"]) == (4, 0, True, "reported")
    print_result(result)
    shown = " ".join(capsys.readouterr().out.split())
    assert f"Warm start from 4 trials of {earlier.directory}" in shown
    assert "its energy (reported) is not charged again" in shown

    shutil.rmtree(earlier.directory)  # resuming needs no other folder
    again = Learning([ecoml.Start({**CONFIG, "width": 20})])
    more = ecoml.Searcher.resume(run_folder, curve([0.6]), strategy=again).run()
    assert again.learnt == strategy.learnt
    assert len(more.trials) == 2


def test_resuming_knows_the_host_of_each_point(space, earlier):
    """The energy of a step depends on the class of its host, which `bayes` learns."""
    warm = WarmStart.of_run(earlier.directory, space, ACCURACY)
    for trial in warm.trials:
        trial.curve = [point._replace(host="fast") for point in trial.curve]
    again = WarmStart.from_json(warm.to_json(), ACCURACY)
    assert again == warm
    older = WarmStart.from_json(warm.to_json().replace('"host": "fast",', ""), ACCURACY)
    assert {point.host for trial in older.trials for point in trial.curve} == {""}


@pytest.mark.parametrize("strategy", ["random", "grid"])
def test_a_strategy_that_learns_nothing_says_so_and_does_what_it_would_have_done(
    space, reported, tmp_path, earlier, strategy, capsys, caplog
):
    caplog.set_level("INFO", "ecoml")
    reported = {**reported, "strategy": strategy, "budget_j": 40, "show": show}
    warm = ecoml.Searcher(space, curve([0.6]), warm_start=earlier.directory, **reported).run()
    note = f"the strategy {strategy} learns nothing from them"
    assert note in caplog.text
    print_result(warm)
    assert note in " ".join(capsys.readouterr().out.split())
    cold = ecoml.Searcher(space, curve([0.6]), **{**reported, "directory": tmp_path / "cold"}).run()
    assert [trial.config for trial in warm.trials] == [trial.config for trial in cold.trials]


def test_other_parameters_are_refused_by_name(space, reported, run_folder, earlier):
    other = ecoml.Space({**space.parameters, "depth": ecoml.Int(1, 4)})
    with pytest.raises(UsageError, match="it lacks depth;") as refused:
        ecoml.Searcher(other, curve([0.5]), budget_j=10, warm_start=earlier.directory, **reported)
    assert "\n" not in str(refused.value)
    fewer = ecoml.Space({name: p for name, p in space.parameters.items() if name != "activation"})
    with pytest.raises(UsageError, match="this space lacks activation;"):
        ecoml.Searcher(fewer, curve([0.5]), budget_j=10, warm_start=earlier.directory, **reported)
    assert not run_folder.exists()


def test_trials_outside_the_space_are_left_out_and_counted(space, reported, earlier):
    widths = sorted(trial.config["width"] for trial in earlier.trials)
    narrow = ecoml.Space({**space.parameters, "width": ecoml.Int(widths[1], 64)})
    reported["strategy"] = strategy = Learning([])
    result = ecoml.Searcher(narrow, curve([0.5]), budget_j=10, warm_start=earlier.directory, **reported).run()
    assert [trial.number for trial in strategy.learnt[0]] == [-3, -2, -1]
    assert result.settings["warm_start"]["left_out"] == 1
    none = ecoml.Space({**space.parameters, "width": ecoml.Int(100, 200)})
    with pytest.raises(UsageError, match=r"none of its trials is within this space \(width = "):
        WarmStart.of_run(earlier.directory, none, ACCURACY)


def test_a_folder_that_holds_nothing_to_learn_is_refused(space, reported, tmp_path, run_folder):
    with pytest.raises(RunFolderError, match="no such folder"):
        ecoml.Searcher(space, curve([0.5]), budget_j=10, warm_start=tmp_path / "nowhere", **reported)
    empty = ecoml.Searcher(space, None, budget_j=10, **{**reported, "directory": tmp_path / "empty"})
    empty.ask()
    empty.close()
    with pytest.raises(UsageError, match="it has no measurement"):
        ecoml.Searcher(space, curve([0.5]), budget_j=10, warm_start=tmp_path / "empty", **reported)
    assert not run_folder.exists()


def test_comparable_is_symmetric_and_keeps_models_and_counters_apart():
    m, s, a, r, e, x = Provenance
    assert all(comparable(one, two) == comparable(two, one) for one in Provenance for two in Provenance)
    assert comparable(m, s)
    assert comparable(m, a)
    assert comparable(e, e)
    assert comparable(x, m)
    assert comparable(x, e)
    assert not comparable(m, e)
    assert not any(comparable(r, other) for other in (m, s, e, x))


def metered(meter):
    def train(config):
        meter.spend(10)
        yield 0.5

    return train


@pytest.mark.parametrize(
    ("before", "now", "refused"),
    [
        (Provenance.MEASURED, Provenance.MEASURED, False),
        (Provenance.MEASURED, Provenance.SAMPLED, False),
        (Provenance.MEASURED, Provenance.ESTIMATED, True),
        (Provenance.ESTIMATED, Provenance.MEASURED, True),
        (Provenance.ESTIMATED, Provenance.REPORTED, True),
        (Provenance.REPORTED, Provenance.ESTIMATED, True),
    ],
)
def test_joules_of_different_sources_are_not_mixed(space, quick, tmp_path, before, now, refused):
    def search(source, folder, **more):
        meter = FakeMeter(source) if source is not Provenance.REPORTED else None
        train = curve([0.5]) if meter is None else metered(meter)
        energy = "reported" if meter is None else "metered"
        return ecoml.Searcher(
            space, train, budget_j=100, max_trials=2, meter=meter,
            **{**quick, "directory": folder, "energy": energy}, **more
        ).run()  # fmt: skip

    search(before, tmp_path / "before")
    if not refused:
        assert search(now, tmp_path / "now", warm_start=tmp_path / "before").energy.provenance is now
        return
    with pytest.raises(UsageError, match=f"its energy is {before} and that of this search is {now}") as error:
        search(now, tmp_path / "now", warm_start=tmp_path / "before")
    assert "\n" not in str(error.value)


def test_an_executor_is_refused_before_anything_is_spent(space, quick, run_folder, earlier):
    class Expensive:
        def prepare(self, space):
            pass

        def describe(self):
            return {"kind": "expensive"}

        def start(self, trial, account):
            raise AssertionError("it must not come to this")

    searcher = ecoml.Searcher(
        space, Expensive(), budget_j=100, meter=FakeMeter(), warm_start=earlier.directory, **quick
    )  # fmt: skip
    with pytest.raises(UsageError, match="is reported and that of this search is measured"):
        searcher.run()
    assert not run_folder.exists()


def test_an_unfinished_run_will_do(space, reported, tmp_path):
    one = ecoml.Searcher(space, None, budget_j=100, **{**reported, "directory": tmp_path / "one"})
    trial = one.ask()
    assert trial is not None
    one.tell(trial, 0.5, energy_j=10, done=False)
    try:
        known = WarmStart.of_run(tmp_path / "one", space, ACCURACY)
    finally:
        one.close()
    assert [(t.number, t.state.value, t.step) for t in known.trials] == [(-1, "stopped", 1)]
    assert WarmStart.from_json(known.to_json(), ACCURACY).trials[0].curve[0].energy == known.trials[0].curve[0].energy
    assert Result.load(tmp_path / "one").trials[0].number == 0


# The checks for strategies that learn and pursue


class Knowing:
    """Draws at random from what is feasible, near the best trial it knows; a function of what it was told."""

    def __init__(self, space, seed):
        self.space, self.seed = space, seed
        self.trials, self.earlier, self.feasible = {}, [], lambda config: True

    def pursue(self, goal):
        self.feasible = goal.feasible

    def learn(self, trials):
        self.earlier = list(trials)

    def tell(self, trial):
        self.trials[trial.number] = trial

    def ask(self):
        tried = [trial.config for trial in self.trials.values()]
        known = [*self.earlier, *self.trials.values()]
        best = max(known, key=lambda trial: trial.score or 0.0, default=None)
        rng = np.random.default_rng([self.seed, len(tried)])
        for attempt in range(3_000):
            config = self.space.sample(rng)
            if best is not None and attempt < 20:
                near = self.space.encode(best.config) + rng.normal(size=self.space.dimension) / 10
                config = self.space.decode(near)
            if config not in tried and self.feasible(config):
                return Start(config)
        return ecoml.End("nothing new was found")


def test_the_checks_pass_a_strategy_that_learns_and_pursues():
    check_goal_is_pursued(Knowing)
    check_earlier_run_is_learnt_from(Knowing)


def test_the_checks_fail_those_that_do_it_wrong():
    class Deaf(Knowing):
        def pursue(self, goal):
            pass

    class Forgetful(Knowing):
        """Counts its own questions, which a resumed search cannot know."""

        asked = 0

        def ask(self):
            self.asked += 1
            self.seed = self.asked
            return super().ask()

    class Confused(Knowing):
        """Takes trials of the earlier run for its own."""

        def learn(self, trials):
            self.trials |= {trial.number: trial for trial in trials}

    with pytest.raises(AssertionError, match="feasible"):
        check_goal_is_pursued(Deaf)
    with pytest.raises(AssertionError, match=r"after 6: .* instead of"):
        check_earlier_run_is_learnt_from(Forgetful)
    with pytest.raises(AssertionError, match="no trial of this search exists"):
        check_earlier_run_is_learnt_from(Confused)
