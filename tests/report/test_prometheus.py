"""A running search for Prometheus: the text format, counters that never fall, and HTTP."""

import re
import shutil
import subprocess
import threading
import time
import urllib.error
import urllib.request

import pytest
from rigs.run_folders import Course

import ecoml
from ecoml.energy import Purpose
from ecoml.errors import UsageError
from ecoml.report import prometheus
from ecoml.report.prometheus import Exposition, serve

LINE = re.compile(r'([a-z_][a-z0-9_]*)(\{[a-z_]+="(?:[^"\\]|\\.)*"(?:,[a-z_]+="(?:[^"\\]|\\.)*")*\})? (\S+)')


def parse(text):
    """Metric and labels → value; each metric has its HELP and TYPE before it, and its lines stand together."""
    values, kinds, order = {}, {}, []
    for line in text.splitlines():
        if line.startswith("# TYPE"):
            _, _, name, kind = line.split()
            assert name not in kinds
            kinds[name] = kind
        elif not line.startswith("# HELP"):
            match = LINE.fullmatch(line)
            assert match is not None, line
            values[match[1] + (match[2] or "")] = float(match[3])
            order.append(match[1])
    assert set(order) == set(kinds)
    assert order == sorted(order, key=order.index)
    assert all((kind == "counter") == name.endswith("_total") for name, kind in kinds.items())
    assert text.endswith("\n")
    return values


def joules(values):
    return {
        purpose: value
        for key, value in values.items()
        for purpose in Purpose
        if key.startswith("ecoml_energy_joules_total") and f'"{purpose.value}"' in key
    }


def test_a_finished_run_in_the_text_format(make_run):
    folder = make_run([Course([(0.6, 100.0), (0.8, 50.0)])], overhead_j=7.0, budget_j=1000.0)
    exposition = Exposition(folder)
    values = parse(exposition.text())
    assert joules(values) == {
        Purpose.TRAINING: 150.0, Purpose.EVALUATION: 0.0, Purpose.OPTIMISER: 0.0, Purpose.OVERHEAD: 7.0,
    }  # fmt: skip
    assert values["ecoml_budget_joules"] == 1000.0
    assert values["ecoml_budget_left_joules"] == 1000.0 - 157.0
    assert values['ecoml_best_score{metric="validation accuracy",direction="maximize"}'] == 0.8
    assert values["ecoml_search_running"] == 0.0
    assert values['ecoml_trials{state="finished"}'] == 1.0
    assert exposition.over


def test_promtool_takes_it(make_run):
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("no promtool here: apt-get install prometheus")
    text = Exposition(make_run([Course([(0.6, 100.0)])])).text()
    done = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_running_search_is_served_and_its_counters_never_fall(space, quick, run_folder, meter):
    seen = []

    def train(config):
        for step in range(3):
            meter.spend(10.0)
            if run_folder.exists():
                seen.append(parse(exposition.text()))
            yield 0.5 + 0.1 * step

    exposition = Exposition(run_folder, look_s=0.0)
    result = ecoml.Searcher(space, train, budget_j=1e4, meter=meter, max_trials=3, grid_intensity=500, **quick).run()
    last = parse(exposition.text())
    for before, after in zip(seen, [*seen[1:], last], strict=True):
        for key in before:
            if "_total" in key:
                assert before[key] <= after.get(key, before[key]), key
    assert seen[0]["ecoml_search_running"] == 1.0
    assert sum(joules(last).values()) == pytest.approx(result.energy.total_j)
    grams = sum(value for key, value in last.items() if key.startswith("ecoml_co2e_grams_total"))
    assert grams == pytest.approx(result.energy.co2e.co2e_g)


def test_labels_are_escaped(make_run):
    name = 'loss of "x"\\y'
    metric = ecoml.Metric(name, minimize=True)
    values = parse(Exposition(make_run([Course([(0.6, 1.0)])], metric=metric)).text())
    assert any('metric="loss of \\"x\\"\\\\y"' in key for key in values)


def test_it_is_served_over_http_until_a_while_after_the_search(make_run):
    told, soon = list[str](), {"look_s": 0.05, "linger_s": 0.6}
    thread = threading.Thread(target=serve, args=(make_run([Course([(0.6, 1.0)])]), "0", told.append), kwargs=soon)
    thread.start()
    while not told:
        time.sleep(0.01)
    address = re.search(r"http://127\.0\.0\.1:\d+/metrics", told[0])
    assert address is not None
    with urllib.request.urlopen(address[0], timeout=2) as answer:  # noqa: S310 - on loopback
        assert answer.headers["Content-Type"] == prometheus.CONTENT_TYPE
        assert parse(answer.read().decode())
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(address[0].replace("metrics", "secrets"), timeout=2)  # noqa: S310 - on loopback
    thread.join(5.0)
    assert not thread.is_alive()


@pytest.mark.parametrize("where", ["", "http", "localhost:", "99999", "-1"])
def test_a_port_that_is_none_is_refused(make_run, where):
    with pytest.raises(UsageError, match="--prometheus"):
        serve(make_run([Course([(0.6, 1.0)])]), where, print)
