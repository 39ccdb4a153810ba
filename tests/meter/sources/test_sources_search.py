"""A search that was told where its energy is read from: it says so in `run.toml`, and asks there again."""

import tomllib

import pytest
from rigs.scripts import curve

import ecoml
from ecoml.energy import Provenance
from ecoml.errors import UsageError
from ecoml.testing.machines import FakePrometheus
from ecoml.testing.meters import SimulatedHost

QUERY = "prometheus:http://plug:9090?query=plug_joules_total&step=1s"


def test_a_search_reads_a_plug_and_goes_on_with_it(space, quick, run_folder, tmp_path, monkeypatch):
    host = SimulatedHost(tmp_path / "host")
    server = FakePrometheus(host, {"a": host.draw(100.0)}, step_s=1.0)

    def fetch(address, headers, timeout_s):
        host.advance(0.5)
        return server(address, headers)

    monkeypatch.setattr("ecoml.meter.counters.remote.prometheus.fetch_json", fetch)

    def train(config):
        for _ in range(2):
            host.advance(10.0)
            yield 0.5

    result = ecoml.Searcher(space, train, budget_j=3e3, meter=QUERY, **quick).run()
    kept = tomllib.loads((run_folder / "run.toml").read_text())
    assert kept["run"]["meter"] == [QUERY]
    assert kept["meter"]["node"]["source"] == "Prometheus"
    assert list(result.energy.by_domain) == ["node"]
    assert result.energy.provenance in (Provenance.SAMPLED, Provenance.MISSING)
    searcher = ecoml.Searcher.resume(run_folder, train, budget_j=2e6)
    assert searcher.settings.sources == (QUERY,)
    searcher.close()


def test_a_training_that_reports_its_energy_is_not_metered(space, reported):
    with pytest.raises(UsageError, match="not metered"):
        ecoml.Searcher(space, curve([0.5]), budget_j=100, meter="node", **reported)


def test_a_source_that_makes_no_sense_is_refused_before_anything_is_written(space, quick, run_folder):
    with pytest.raises(UsageError, match="unknown"):
        ecoml.Searcher(space, curve([0.5]), budget_j=100, meter=["nodes"], **quick)
    assert not run_folder.exists()
