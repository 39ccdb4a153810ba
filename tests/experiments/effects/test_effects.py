"""Effects of factors: on trials whose effects are known, and on what the study printed."""

from __future__ import annotations

import json
from contextlib import nullcontext

import numpy as np
import pytest
from rigs.run_folders import Course, write_run
from scipy.stats import kruskal

from ecoml.cli import app
from ecoml.endings import FailureKind, TrialEnd
from ecoml.energy import Energy, Provenance
from ecoml.errors import RunFolderError, UsageError
from ecoml.experiments.effects.effects import effects_of
from ecoml.experiments.effects.files import effects_dict, write_effects
from ecoml.experiments.effects.rank_tests import eta_squared
from ecoml.experiments.effects.run import effects_of_run, kept_factorial, run_factorial
from ecoml.experiments.effects.tables import cells_table, effects_sentences, factors_table, post_hoc_table
from ecoml.metric import Metric
from ecoml.run.folder import RunFolder
from ecoml.space import Choice, Float, Space
from ecoml.training.function import FunctionExecutor
from ecoml.training.images import CnnTraining
from ecoml.trial import Measurement, Point, Trial, TrialState


def trial(number, config, energy_j, score=0.5, state=TrialState.FINISHED):
    return Trial(number, config, state, [Point(1, score, Energy(energy_j, 0.0, Provenance.ESTIMATED), score)])


def factorial(energy_j, draws=12):
    """conv doubles the energy, relu adds nothing, and each draw is as dear as it is."""
    rng = np.random.default_rng(0)
    trials: list[Trial] = []
    for draw in range(draws):
        dear = rng.uniform(0.8, 1.2)
        for conv in (1, 4):
            for relu in ("no", "yes"):
                config = {"conv": conv, "relu": relu, "learning_rate": draw / 100}
                score = 0.8 + 0.01 * (conv == 4)
                trials.append(trial(len(trials), config, dear * energy_j(conv, relu) * rng.uniform(0.99, 1.01), score))
    return trials


def doubled(conv, relu):
    return 10.0 * (2 if conv == 4 else 1)


def test_a_known_effect_is_found_and_no_other():
    effects = effects_of(factorial(doubled), ["conv", "relu"])
    conv, relu = effects.factors
    (change,) = conv.changes
    assert change.energy == pytest.approx(1.0, abs=0.02)
    assert change.interval is not None
    assert change.interval[0] < 1.0 < change.interval[1]
    assert change.interval[1] - change.interval[0] < 0.05, "the same draws in both: their own cost drops out"
    assert change.score == pytest.approx(0.01)
    assert change.p is not None
    assert change.p < 0.01
    assert change.pairs == effects.draws == 12
    assert relu.changes[0].energy == pytest.approx(0.0, abs=0.01)
    assert relu.changes[0].p is not None
    assert relu.changes[0].p > 0.05
    assert conv.energy is not None
    assert relu.energy is not None
    assert conv.energy.eta2 > 0.7 > 0.1 > relu.energy.eta2
    assert conv.score is not None
    assert (effects.extremes[0].name, *effects.extremes[1:]) == ("conv", 1, 4)


def test_h_is_that_of_scipy_and_eta_squared_has_the_factors_own_k():
    trials = factorial(doubled)
    factor = effects_of(trials, ["conv"]).factors[0]
    groups = [[t.energy_j for t in trials if t.config["conv"] == level] for level in (1, 4)]
    assert factor.energy is not None
    assert factor.energy.h == pytest.approx(kruskal(*groups).statistic)
    assert factor.energy.eta2 == pytest.approx((factor.energy.h - 1) / (len(trials) - 2))


@pytest.mark.parametrize(
    ("h", "published"), [(2303.25, 0.749), (481.8, 0.155), (496.8, 0.160), (176.5, 0.055), (106.7, 0.033)]
)
def test_the_studys_eta_squared_has_the_eight_cells_for_k(h, published):
    assert eta_squared(h, n=3072, k=8) == pytest.approx(published, abs=0.0006)
    assert eta_squared(h, n=3072, k=2) > published


def test_more_than_two_levels_are_compared_pair_by_pair():
    trials = [
        trial(n, {"depth": depth, "rate": n // 3 / 10}, 10.0 * depth + 0.01 * n)
        for n, depth in enumerate([1, 2, 3] * 10)
    ]
    (factor,) = effects_of(trials, ["depth"]).factors
    assert [(c.before, c.after) for c in factor.changes] == [(1, 2), (1, 3), (2, 3)]
    assert all(change.p == pytest.approx(3 * 2 / 2**10) for change in factor.changes), "three p-values after Holm"


def test_without_shared_draws_levels_are_compared_unpaired():
    trials = [trial(n, {"depth": 1 + n % 2, "rate": n / 100}, 10.0 + 5 * (n % 2) + n / 100) for n in range(20)]
    effects = effects_of(trials)
    (factor,) = effects.factors
    assert factor.name == "depth", "a parameter with twenty values is no factor"
    assert effects.draws == factor.changes[0].pairs == 0
    assert factor.changes[0].interval is None
    assert factor.changes[0].p is not None
    assert factor.changes[0].p < 0.001


def test_what_failed_or_was_cut_off_is_left_out_and_counted():
    trials = factorial(doubled)
    trials.append(trial(99, {"conv": 4, "relu": "no", "learning_rate": 0.0}, 1e6, state=TrialState.STOPPED))
    gone, end = Energy(1e6, 0.0, Provenance.ESTIMATED), TrialEnd(FailureKind.OUT_OF_MEMORY)
    trials.append(Trial(100, {"conv": 4, "relu": "no", "learning_rate": 0.1}, TrialState.FAILED, tail=gone, end=end))
    effects = effects_of(trials, ["conv", "relu"])
    assert effects.failed == 2
    assert effects.factors[0].changes[0].energy == pytest.approx(1.0, abs=0.02)
    assert any("2 trainings left out" in line for line in effects_sentences(effects))


def test_a_draw_that_some_cell_lacks_is_left_out_everywhere():
    whole = factorial(doubled, draws=6)
    cut = [*whole, trial(len(whole), {"conv": 4, "relu": "no", "learning_rate": 0.5}, 3000.0)]
    effects, expected = effects_of(cut, ["conv", "relu"]), effects_of(whole, ["conv", "relu"])
    assert effects.factors == expected.factors
    assert effects.cells == expected.cells
    assert (effects.failed, len(effects.trainings)) == (1, len(whole))


def test_normality_is_rejected_where_energies_are_not_normal():
    even = [trial(n, {"conv": 1}, float(e)) for n, e in enumerate(np.random.default_rng(1).normal(100, 5, 40))]
    skewed = [trial(n, {"conv": 4}, float(e)) for n, e in enumerate(np.random.default_rng(1).pareto(1.5, 40) + 1)]
    one, four = effects_of(even + skewed, ["conv"]).cells
    assert one.shapiro_p is not None
    assert four.shapiro_p is not None
    assert one.shapiro_p > 0.05 > four.shapiro_p
    assert one.energy_cv == pytest.approx(0.05, abs=0.015)


@pytest.mark.parametrize(
    ("factors", "wanted"),
    [(["kernel"], "no parameter 'kernel'; use some of batch_size, conv"), (["batch_size"], "not a factor with levels")],
)
def test_what_is_no_factor_is_refused(factors, wanted):
    trials = [trial(n, {"conv": 1 + n % 2, "batch_size": 128}, 1.0 + n) for n in range(8)]
    with pytest.raises(UsageError, match=wanted):
        effects_of(trials, factors)


def test_tables_and_files_of_a_run_folder(tmp_path):
    courses = [Course([(t.score, t.energy_j)], t.config) for t in factorial(doubled, draws=6)]
    run = write_run(tmp_path / "run", courses, budget_j=1e6)
    effects = effects_of_run(run, ["conv", "relu"])
    assert write_effects(effects, run).is_file()
    assert (run / "figures" / "interaction.svg").stat().st_size > 1000
    assert [row[:2] for row in factors_table(effects).rows] == [("conv", "1 → 4"), ("relu", "no → yes")]
    assert len(cells_table(effects).rows) == 4
    assert len(post_hoc_table(effects).rows) == 6
    assert effects_dict(effects)["extremes"]["dearest"]["level"] == 4
    assert all("estimated" in table(effects).caption for table in (factors_table, cells_table, post_hoc_table))


@pytest.mark.parametrize("file", ["", "figures"])
def test_a_folder_that_cannot_be_written_is_refused_in_a_line(tmp_path, file):
    if file:
        (tmp_path / "out").mkdir()
    (tmp_path / "out" / file).write_text("a file")
    with pytest.raises(UsageError, match=r"cannot be written .*; choose another --out"):
        write_effects(effects_of(factorial(doubled), ["conv"]), tmp_path / "out")


def test_a_factorial_is_run_told_and_gone_on_with(tmp_path):
    space = Space({"conv": Choice([1, 4]), "relu": Choice(["no", "yes"]), "rate": Float(0.0, 1.0)})
    made = []

    def train(config):
        made.append(config)
        return Measurement(score=0.5, energy_j=(1 + config["rate"]) * doubled(config["conv"], config["relu"]))

    def other(config):
        return train(config)

    def run(draws=5, budget_j=1e6, seed=0, train=train):
        arguments = {"out": tmp_path / "run", "draws": draws, "times": 2, "energy": "reported"}
        factors = ["conv", "relu"]
        return run_factorial(space, FunctionExecutor(train), factors, **arguments, budget_j=budget_j, seed=seed)

    cut = run(budget_j=600)
    assert 8 <= len(made) < 40, "the budget was spent"
    assert cut.unfinished is not None
    assert cut.unfinished.startswith(f"{len(made) // 8} of 5 draws: the energy budget is spent")
    assert f"{cut.unfinished}." in effects_sentences(cut)
    assert "with a larger --budget-kwh" in effects_dict(cut)["unfinished"]
    effects = run()
    assert len(made) == 4 * 5 * 2
    assert effects.unfinished is None
    assert effects.draws == 5
    assert effects.factors[0].changes[0].energy == pytest.approx(1.0)
    assert run().factors[0] == effects.factors[0]
    assert [factor.name for factor in effects_of_run(tmp_path / "run").factors] == ["conv", "relu"]
    assert len(made) == 40, "what is done is not done again"
    with pytest.raises(RunFolderError, match="holds another run"):
        run(draws=6)
    with pytest.raises(RunFolderError, match="holds another run"):
        run(seed=1)
    with pytest.raises(RunFolderError, match="its training is different"):
        run(train=other)
    assert len(made) == 40


def test_a_factorial_cut_off_before_there_are_effects_says_so(tmp_path):
    space = Space({"conv": Choice([1, 4]), "rate": Float(0.0, 1.0)})

    def train(_config):
        return Measurement(score=0.5, energy_j=1.0)

    with pytest.raises(UsageError, match=r"were completed; effects need at least 3 \(1 of 5 draws: the energy budget"):
        arguments = {"out": tmp_path / "run", "draws": 5, "energy": "reported"}
        run_factorial(space, FunctionExecutor(train), ["conv"], **arguments, budget_j=2.5)


@pytest.mark.parametrize(
    ("changed", "alike"),
    [
        ({"data": "fashion-mnist"}, False),
        ({"validation_share": 0.5}, False),
        ({"metric": "macro-f1"}, False),
        ({"device": "cuda", "threads": 2, "data_dir": "/elsewhere"}, True),
    ],
)
def test_a_folder_of_other_data_is_refused_before_anything_is_trained(tmp_path, changed, alike):
    space, out = Space({"conv": Choice([1, 4]), "rate": Float(0.0, 1.0)}), tmp_path / "run"
    write_run(out, [], strategy="factorial", space=space.to_dict())
    (out / "strategy.toml").write_text(
        'strategy = "factorial"\n\n[settings]\nfactors = [\n    "conv",\n]\ndraws = 5\ntimes = 1\n', encoding="utf-8"
    )
    folder = RunFolder.open(out)
    folder.change({}, executor=CnnTraining("digits").describe())
    folder.close()
    training = CnnTraining(**{"data": "digits", **changed})
    refused = nullcontext() if alike else pytest.raises(RunFolderError, match="its training is different")
    with refused:
        assert kept_factorial(space, training, ["conv"], out=out, draws=5) is not None


@pytest.mark.parametrize(
    ("strategy", "file", "tested"),
    [
        ("bayes", None, False),
        ("optuna-tpe", None, False),
        ("one-epoch-top-k", None, False),
        ("mine", 'strategy = "optuna"\n', False),
        ("mine", 'strategy = "grid"\n', True),
        ("random", None, True),
        ("sobol", None, True),
        ("paper-grid", None, True),
    ],
)
def test_what_an_optimiser_chose_is_not_tested_and_said_not_to_be(tmp_path, strategy, file, tested):
    courses = [Course([(t.score, t.energy_j)], t.config) for t in factorial(doubled, draws=6)]
    run = write_run(tmp_path / "run", courses, strategy=strategy)
    if file is not None:
        (run / "strategy.toml").write_text(file, encoding="utf-8")
    effects = effects_of_run(run, ["conv", "relu"])
    tables = [table(effects) for table in (factors_table, cells_table, post_hoc_table)]
    p_values = [
        row[t.header.index(name)] for t in tables for name in t.header if name.startswith("p") for row in t.rows
    ]
    sentences = " ".join(effects_sentences(effects))
    said = f"Nothing here is tested: {strategy} chose these configurations" in sentences
    assert (effects.chosen_by is None, any(p not in ("–", "") for p in p_values), said) == (tested, tested, not tested)
    assert ("run a factorial (ecoml effects SPACE --factor conv)" in sentences) is not tested
    numbers = effects_dict(effects)
    assert (numbers["factors"][0]["changes"][0]["p"] is not None) is tested
    assert numbers["factors"][0]["changes"][0]["energy"] == pytest.approx(1.0, abs=0.05), "what was seen stands"


def test_many_cells_are_left_to_the_file(tmp_path, capsys):
    configs = [{"width": width, "depth": depth} for width in range(5) for depth in range(4)]
    folder = write_run(tmp_path / "run", [Course([(0.5, 1.0 + c["width"])], c) for c in configs for _ in range(2)])
    app(["effects", str(folder)], standalone_mode=False)
    told = capsys.readouterr().out
    assert "The 20 cells and their pairs are in" in told
    assert "Pairs of cells" not in told
    app(["effects", str(folder), "--factor", "depth"], standalone_mode=False)
    assert "Pairs of cells" in capsys.readouterr().out
    assert len(json.loads((folder / "effects.json").read_text())["cells"]) == 4


def test_effects_on_a_loss_speak_of_the_loss(tmp_path):
    loss = Metric("validation loss", minimize=True)
    courses = [Course([(3.0 - t.score, t.energy_j)], t.config) for t in factorial(doubled, draws=6)]
    effects = effects_of_run(write_run(tmp_path / "run", courses, metric=loss), ["conv", "relu"])
    told = next(effects_sentences(effects))
    assert "at a mean validation loss of 2.19, E− (conv = 1)" in told
    assert "a validation loss that is 0.01 higher." in told
    factors = factors_table(effects)
    assert factors.rows[0][factors.header.index("Validation loss")] == "−0.01"
    assert not any("accuracy" in text.lower() for text in (factors.caption, *factors.header, told))
    assert effects_dict(effects)["metric"]["minimize"] is True
