"""What models cost to use: tried at the end of a search, inside its budget; and which one a long life calls for."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest
from rigs.meter import FakeMeter

import ecoml
from ecoml.energy import Energy, Provenance
from ecoml.errors import UsageError
from ecoml.meter.base import Source
from ecoml.metric import ACCURACY
from ecoml.models.card import card
from ecoml.report.page.sections.usage import usage_context
from ecoml.run.choice.lifetime import flips, lifetime_energy, lifetime_of, used
from ecoml.run.result import Result
from ecoml.training.images.network.plan import plan
from ecoml.training.images.settings import Settings
from ecoml.trial import Inference, Trial, Usage, next_point


def test_the_models_of_the_front_are_tried_in_use(run):
    tried = used(run)
    assert run.recommended.usage is not None, "the recommended one first, then as many as the energy allows"
    for trial in tried:
        model, usage = ecoml.load_model(run, trial), trial.usage
        assert usage is not None
        assert usage.parameters == model.parameters
        assert usage.file_bytes == model.path.stat().st_size
        assert usage.flop == plan(Settings.of(trial.config), model.network.shape, 10).flops(model.network.sides)
        assert list(usage.inferences) == [1, 64]
        for size, one in usage.inferences.items():
            assert one.batch_size == size
            assert one.images >= size
            assert one.images % size == 0
            assert 1e-6 < one.latency_s < 1
            assert 0 < one.energy.energy_j < 1
            assert one.energy.uncertainty_j > 0
            assert one.energy.provenance is run.energy.provenance
        assert usage.inferences[64].energy.energy_j < usage.single.energy.energy_j, "many at once take less each"
    assert Result.load(run.directory) == run
    told = json.loads(json.dumps(run.to_dict()))
    kept = [trial["usage"]["inferences"][0]["batch_size"] for trial in told["front"] if trial["usage"]]
    assert kept == [1] * len(tried)


def test_page_and_card_and_terminal_tell_it(run, told, monkeypatch):
    context = usage_context(run, 1e6)
    assert context is not None
    assert len(context["table"].rows) == len(used(run))
    assert context["sentences"][0].startswith("For 1 million images, one at a time: trial")
    said = told("report", run.directory, "--no-figures", "--inferences", "1e6")
    assert f"{run.directory}/card.md" in said
    assert "For 1 million images" in said
    page = (run.directory / "report.html").read_text()
    assert "What it costs to use" in page
    assert "For 1 million images" in page
    text = card(ecoml.load_model(run))
    assert re.search(r"- one image at a time: [\d.]+ ms and [\d.]+ [mµ]?J .*\(\w+\) an image", text)


def test_a_search_that_spent_little_tries_nothing(tmp_path):
    given = {"budget_j": 1e4, "max_trials": 1, "strategy": "random", "directory": tmp_path / "r", "progress": False}
    space = ecoml.Space({"width": 2, "epochs": 1})
    result = ecoml.search(space, ecoml.CnnTraining("digits", threads=1), **given)
    assert result.front[0].usage is None
    assert usage_context(result) is None
    assert lifetime_of(result, 1e7) is None
    assert result.to_dict()["front"][0]["usage"] is None


class Using:
    """An executor whose models take 3 J to try."""

    test_cost = 0.0

    def __init__(self, meter, wrong=None):
        self.meter, self.wrong, self.tried = meter, wrong, []

    def prepare(self, space):
        pass

    def describe(self):
        return {"kind": "using"}

    def start(self, trial, account):
        def steps():
            for step in range(1, 4):
                self.meter.spend(50)
                yield ecoml.Measurement(trial.number / 100 + step / 10)

        return steps()

    def save(self, run, trial, path):
        path.write_bytes(b"weights")

    def test(self, path):
        return 0.5

    def use(self, path, seconds, window):
        if self.wrong is not None:
            raise self.wrong
        self.tried.append((path.name, seconds))
        with window() as opened:
            self.meter.spend(3)
        energy = Energy(opened.energy_j, 0.0, opened.provenance)
        return Usage(7, 7, 7, {1: Inference(1, 10, 0.001, energy.times(1 / 10))})


@pytest.fixture
def search(space, tmp_path):
    def run(executor, meter, **given):
        return ecoml.Searcher(space, executor, meter=meter, strategy="random", directory=tmp_path / "r", **given).run()

    return run


def test_trying_takes_a_small_share_and_stays_within_the_budget(search):
    meter = FakeMeter(spends_w=12.0)
    executor = Using(meter)
    result = search(executor, meter, budget_j=1000)
    assert result.energy.total_j <= 1000
    most = int(0.02 * 1000 / (12 * (2 * 0.1 + 0.05)))
    assert 1 <= len(executor.tried) <= most
    best = result.recommended
    assert executor.tried[0] == (f"trial-{best.number:04d}-step-{best.step:02d}.safetensors", 0.1)
    energy = best.usage.single.energy
    assert (energy.energy_j, energy.provenance) == (pytest.approx(0.3), Provenance.MEASURED)
    assert sum(part.energy_j for part in result.energy.by_purpose.values()) == pytest.approx(meter.spent_j)
    assert result.energy.by_purpose["evaluation"].energy_j == 3 * len(executor.tried)


def test_a_slow_counter_is_given_time(search):
    executor = Using(meter := FakeMeter(spends_w=12.0))
    meter.sources = (Source("slow", "cpu:0", Provenance.MEASURED, True, True, "a processor", period_s=0.1),)
    search(executor, meter, budget_j=3000, max_trials=15)
    assert {seconds for _, seconds in executor.tried} == {0.5}


def test_a_model_that_cannot_be_tried_is_named_and_loses_nothing(search):
    meter = FakeMeter(spends_w=12.0)
    result = search(Using(meter, MemoryError("no room")), meter, budget_j=1000)
    assert result.recommended.usage is None
    assert "could not be measured in use: MemoryError: no room" in result.energy.gaps[0]


def trial(number, score, training_j, each_j):
    energy = Energy(training_j, training_j / 10, Provenance.MEASURED)
    one = Inference(1, 10, 0.001, Energy(each_j, each_j / 10, Provenance.MEASURED))
    return Trial(number, {}, curve=[next_point([], score, energy, ACCURACY)], usage=Usage(1, 1, 1, {1: one}))


def test_from_how_many_images_on_another_model_is_the_choice():
    trials = [trial(0, 0.5, 1, 0.0001), trial(1, 0.955, 10, 1), trial(2, 0.95, 40, 0.5), trial(3, 0.951, 41, 0.9),
              trial(4, 0.96, 100, 0.1)]  # fmt: skip
    metric = ecoml.Metric(low=0, high=1)
    found = flips(trials, metric)
    assert [(round(count, 6), one.number) for count, one in found] == [(0, 1), (60, 2), (150, 4)]
    for count, chosen in found:
        for more in (count * 1.001 + 0.001, count * 1.01 + 0.01):
            energies = {one.number: lifetime_energy(one, more).energy_j for one in trials[1:]}
            assert min(energies, key=energies.__getitem__) == chosen.number
    assert flips([], metric) == []
    assert flips(trials[:1], metric) == [(0.0, trials[0])]


def test_the_recommended_model_by_the_energy_of_its_life(run, monkeypatch):
    many = lifetime_of(run, 1e9)
    assert many is not None
    good = [one for one in run.front if one.score >= run.front[-1].score - 0.01]
    each_j = {(one.number, one.step): one.usage.single.energy.energy_j for one in good if one.usage is not None}
    assert (many.recommended.number, many.recommended.step) == min(each_j, key=each_j.__getitem__)
    few = lifetime_of(run, 0)
    assert few is not None
    assert few.recommended == run.recommended
    assert [one for one, _ in few.front] == used(run)
    settings = {**run.settings, "limits": {"inferences": 1e9}}
    chosen = ecoml.load_model(replace(run, settings=settings))
    assert (chosen.trial, chosen.path) == (many.recommended.number, ecoml.load_model(run, many.recommended).path)


def test_how_many_images_there_are_is_kept_and_checked(space, reported, run_folder):
    def train(config):
        yield ecoml.Measurement(0.5, energy_j=5)

    result = ecoml.Searcher(space, train, budget_j=20, inferences=1e7, **reported).run()
    assert result.limits.inferences == Result.load(run_folder).limits.inferences == 1e7
    with pytest.raises(UsageError, match="number of inferences is -1; give a number of 0 or more"):
        ecoml.Limits(inferences=-1)
