"""No energy figure stands anywhere without where it comes from; and what a measurement was asked for is told."""

from __future__ import annotations

import json
import re
import sqlite3
from typing import Any

import pytest
from rigs.meter import FakeMeter

import ecoml
from ecoml.energy import Provenance
from ecoml.errors import MeterError
from ecoml.meter import open_meter
from ecoml.report.page.page import write_report
from ecoml.report.terminal.progress import show
from ecoml.report.terminal.summary import print_result
from ecoml.run.storage.snapshot import read_trace
from ecoml.testing.hosts import SimulatedHost

SOURCES = set(Provenance)
FIGURE = re.compile(r"_(j|kwh|w)(\W|$)")
LIMITS = ("budget_j", "limit_j")
"""What may be spent is the user's own figure: it comes from no meter."""


@pytest.fixture(params=["counters", "estimate", "reported"])
def finished(request, space, quick, tmp_path):
    """A finished run of each kind, with a failed trial, an unfinished one and a trace."""
    host = SimulatedHost(tmp_path / "host")
    host.add_package(power_w=50.0)
    host.add_gpu(power_w=200.0)
    simulated: dict[str, Any] = {"root": host.root, "nvml": host.nvml, "clock": host.clock, "sleep": host.advance}
    meter = open_meter(**simulated) if request.param == "counters" else None
    trials = []

    def steps(config):
        trials.append(config)
        for step in range(3):
            host.advance(0.5)
            if len(trials) == 2 and step == 1:
                raise RuntimeError("boom")
            yield 0.5 + step / 10

    def reporting(config):
        for score in steps(config):
            yield ecoml.Measurement(score, energy_j=3.0)

    train = reporting if request.param == "reported" else steps
    quick["energy"] = "reported" if request.param == "reported" else "metered"
    result = ecoml.Searcher(space, train, budget_j=1e6, meter=meter, max_trials=4, trace=True, **quick).run()
    if meter is not None:
        meter.close()
    return result


def bare_figures(value, where="result"):
    """Energy figures of a JSON value that have no provenance beside them."""
    if isinstance(value, list):
        return [found for index, item in enumerate(value) for found in bare_figures(item, f"{where}[{index}]")]
    if not isinstance(value, dict):
        return []
    found = []
    for key, item in value.items():
        if not FIGURE.search(key):
            found += bare_figures(item, f"{where}.{key}")
        elif isinstance(item, int | float) and key not in LIMITS and value.get("provenance") not in SOURCES:
            found.append(f"{where}.{key}")
    return found


def test_the_walk_finds_what_it_should():
    assert bare_figures({"energy_j": 1.0}) == ["result.energy_j"]
    assert bare_figures([{"a": {"total_kwh": 1.0, "provenance": "guessed"}}]) == ["result[0].a.total_kwh"]
    assert bare_figures({"by_domain": {"cpu": {"energy_j": 1.0}}}) == ["result.by_domain.cpu.energy_j"]
    assert not bare_figures({"power_w": 1.0, "provenance": "measured", "budget_j": 3.0})


def test_no_figure_of_the_json_is_bare(finished):
    told = json.loads(json.dumps(finished.to_dict()))
    assert bare_figures(told) == []
    assert len(told["trials"][0]["curve"]) == 3
    assert {"energy_j", "uncertainty_j", "provenance"} <= set(told["trials"][0]["curve"][0])


def test_no_figure_of_the_database_is_bare(finished):
    connection = sqlite3.connect(finished.directory / "ledger.sqlite")
    try:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        checked = []
        for table in tables:
            columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
            if any(FIGURE.search(column) for column in columns):
                assert "provenance" in columns, f"{table} has joules without their source"
                found = {source for (source,) in connection.execute(f"SELECT DISTINCT provenance FROM {table}")}  # noqa: S608
                assert found <= SOURCES, table
                checked.append(table)
        assert {"entry", "measurement", "host", "power", "in_flight", "idle"} <= set(checked)
        settings = connection.execute("SELECT key, provenance FROM setting").fetchall()
        assert [key for key, source in settings if FIGURE.search(key) and source not in SOURCES] == ["budget_j"]
    finally:
        connection.close()


def test_no_line_of_the_terminal_has_joules_without_their_source(finished, capsys):
    print_result(finished)
    shown = capsys.readouterr().out
    (headed,) = re.findall(r"trial  .* energy \((\w+)\)", shown)
    assert headed in set(map(str, SOURCES))  # the front's column says it once, for all its rows
    _front, rest = shown.split("Recommended:")
    paragraphs = re.split(r"\n(?=\S)", rest)
    for paragraph in paragraphs:
        for line in paragraph.splitlines():
            if re.search(r"\d (k|M)?J\b", line):
                assert any(source in line for source in SOURCES), line


def test_the_page_says_the_source_of_every_table_with_joules(finished):
    page = write_report(finished.directory).read_text()
    tables = re.findall(r"<table.*?</table>", page, re.DOTALL)
    with_joules = [table for table in tables if re.search(r"\d (k|M)?J<", table)]
    assert with_joules
    for table in with_joules:
        for row in re.findall(r"<tr>.*?</tr>", table, re.DOTALL):
            if re.search(r"\d (k|M)?J\b", row):
                assert any(f">{source}<" in row for source in SOURCES), row


def test_a_trace_is_kept_and_drawn_and_its_joules_are_the_accounts(finished):
    samples = read_trace(finished.directory / "ledger.sqlite")
    page = write_report(finished.directory).read_text()
    if finished.energy.provenance is Provenance.REPORTED:
        assert not samples
        assert "Power over time" not in page
        return
    traced_j = sum(sample.power_w * sample.seconds for sample in samples)
    assert traced_j == pytest.approx(finished.energy.total_j)
    assert {sample.domain for sample in samples} == set(finished.energy.by_domain)
    assert "Power over time" in page


def test_without_being_asked_for_there_is_no_trace(space, quick, meter):
    result = ecoml.Searcher(space, lambda config: 0.5, budget_j=9, meter=meter, max_trials=1, **quick).run()
    assert read_trace(result.directory / "ledger.sqlite") == []


# What is not measured, and a measurement that was asked for


def denied(host, monkeypatch):
    """Let the host's energy files be there and be closed to everyone, root as well."""

    def refuse(self, *args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("ecoml.meter.counters.cpu.powercap.EnergyFile.__init__", refuse)
    return open_meter(root=host.root, nvml=host.nvml, clock=host.clock)


def test_without_permission_the_search_says_so_and_goes_on(space, quick, tmp_path, monkeypatch, capsys, caplog):
    caplog.set_level("INFO", "ecoml")
    host = SimulatedHost(tmp_path / "host")
    host.add_package(power_w=50.0, dram_w=5.0)
    quick["show"] = show
    with denied(host, monkeypatch) as meter:
        result = ecoml.Searcher(space, lambda config: 0.5, budget_j=1e5, meter=meter, max_trials=2, **quick).run()
    assert result.energy.provenance is Provenance.ESTIMATED
    assert [said.partition(":")[0] for said in result.energy.unmeasured] == ["cpu"]
    assert "chmod" in result.energy.unmeasured[0]
    assert "energy is estimated here: cpu:0 cannot be read" in caplog.text
    print_result(result)
    assert "chmod" in capsys.readouterr().out
    assert "chmod" in write_report(result.directory).read_text()


def test_without_permission_a_required_measurement_is_refused_with_the_remedy(
    space, quick, run_folder, tmp_path, monkeypatch
):
    host = SimulatedHost(tmp_path / "host")
    host.add_package(power_w=50.0)
    with denied(host, monkeypatch) as meter, pytest.raises(MeterError, match="chmod") as refused:
        ecoml.Searcher(space, lambda config: 0.5, budget_j=9, meter=meter, require_measured=True, **quick).run()
    assert "\n" not in str(refused.value)
    assert not run_folder.exists()


def test_a_gpu_that_is_there_and_cannot_be_read_is_refused_although_the_processor_is_measured(
    space, quick, run_folder, tmp_path
):
    host = SimulatedHost(tmp_path / "host")
    host.add_package(power_w=50.0)
    host.add_gpu(power_w=200.0, counts=False, shows_power=False)
    with open_meter(root=host.root, nvml=host.nvml, clock=host.clock) as meter:
        arguments = {**quick, "require_measured": True}
        with pytest.raises(MeterError, match="would be missing: gpu:0 cannot be read"):
            ecoml.Searcher(space, lambda config: 0.5, budget_j=9, meter=meter, **arguments).run()
        assert not run_folder.exists()


def test_all_measured_is_let_through(space, quick):
    meter = FakeMeter(Provenance.MEASURED)
    result = ecoml.Searcher(
        space, lambda config: 0.5, budget_j=9, meter=meter, require_measured=True, max_trials=1, **quick
    ).run()
    assert result.energy.unmeasured == ()
