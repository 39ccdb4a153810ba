"""A Prometheus server as the meter: on a double that fails in every way, and on a real server where there is one."""

import contextlib
import http.server
import shutil
import socket
import subprocess
import threading
import time

import pytest

from ecoml.energy import Provenance
from ecoml.errors import MeterError, UsageError
from ecoml.meter import open_meter
from ecoml.meter.counters.remote.query import PrometheusQuery
from ecoml.outside.fetch import fetch_json
from ecoml.testing.machines import FakePrometheus
from ecoml.testing.meters import SimulatedHost

JOULES = "prometheus:http://plug:9090?query=plug_joules_total"
WATTS = "prometheus:http://plug:9090?query=plug_watts"


@pytest.fixture
def host(tmp_path):
    return SimulatedHost(tmp_path)


def meter_of(host, server, *sources):
    return open_meter(root=host.root, nvml=host.nvml, clock=host.clock, fetch=server, sources=sources)


def spend(host, meter, seconds, step_s=1.0):
    with meter.window() as window:
        for _ in range(round(seconds / step_s)):
            host.advance(step_s)
            meter.read()
    return window.energy()


@pytest.mark.parametrize(("spec", "power"), [(JOULES, False), (WATTS, True)])
def test_the_truth_lies_within_what_a_scrape_may_miss(host, spec, power):
    truth = host.draw(lambda t: 500.0 if int(t / 37) % 2 else 150.0)
    server = FakePrometheus(host, {"a": truth}, step_s=15.0, power=power)
    with meter_of(host, server, spec) as meter:
        spend(host, meter, 120.0)
        for _ in range(10):
            before_j = truth.true_j
            energy = spend(host, meter, 100.0)
            part = energy.domains["node"]
            assert part.provenance is Provenance.SAMPLED
            assert abs(part.energy_j - (truth.true_j - before_j)) <= part.uncertainty_j
            assert part.uncertainty_j > 150.0 * 15, "the step of the scrape is in it"
        assert not energy.gaps


@pytest.mark.parametrize(
    "data",
    [
        None,
        [],
        {"resultType": "vector", "result": None},
        {"resultType": "vector", "result": ["a"]},
        {"resultType": "vector", "result": [{"metric": [], "value": [1, "2"]}]},
        {"resultType": "vector", "result": [{"metric": {}, "value": []}]},
        {"resultType": "vector", "result": [{"metric": {}, "value": None}]},
        {"resultType": "vector", "result": [{"metric": {}, "histogram": [1, {}]}]},
    ],
)
def test_an_answer_of_another_shape_is_refused_in_one_line(host, data):
    with pytest.raises(MeterError, match="holds no plain numbers"):
        meter_of(host, lambda address, headers: {"status": "success", "data": data}, WATTS)


@pytest.mark.parametrize("nonsense_w", [-50.0, 1e9])
def test_a_power_that_no_machine_draws_is_missing_and_never_taken_off_the_account(host, nonsense_w):
    power_w = 100.0

    def server(address, headers):
        result = [{"metric": {}, "value": [0, str(power_w)]}]
        return {"status": "success", "data": {"resultType": "vector", "result": result}}

    with meter_of(host, server, f"{WATTS}&step=2s") as meter:
        with meter.window() as window:
            for drawn_w in (100.0, nonsense_w, 100.0):
                power_w = drawn_w
                for _ in range(10):
                    host.advance(1.0)
                    meter.read()
        part = window.energy().domains["node"]
        assert part.uncertainty_j > 0.0
        assert part.energy_j == pytest.approx(3000.0, abs=part.uncertainty_j)
        assert any("which no machine draws" in gap for gap in window.energy().gaps)
    power_w = nonsense_w
    with pytest.raises(MeterError, match="which no machine draws"):
        meter_of(host, server, WATTS)


def test_an_address_that_is_none_is_refused():
    with pytest.raises(UsageError, match="Invalid IPv6"):
        PrometheusQuery.of("prometheus:http://[::1?query=plug_watts")


def test_a_plug_contains_all_else_and_is_not_summed_with_it(host):
    host.add_package(100.0)
    host.add_gpu(300.0)
    server = FakePrometheus(host, {"a": host.draw(500.0)})
    with meter_of(host, server, JOULES) as meter:
        assert list(meter.read()) == ["node"]


def test_a_query_may_be_the_source_of_one_domain(host):
    host.add_package(100.0)
    server = FakePrometheus(host, {"a": host.draw(80.0), "b": host.draw(40.0)}, step_s=1.0)
    with meter_of(host, server, JOULES + "&domain=cpu:0&provenance=estimated") as meter:
        energy = spend(host, meter, 60.0)
    assert list(energy.domains) == ["cpu:0"]
    assert energy.energy_j == pytest.approx(120 * 60, rel=0.05), "all series of a query are summed"
    assert energy.provenance is Provenance.ESTIMATED
    assert energy.uncertainty_j >= energy.energy_j


@pytest.mark.parametrize(
    ("domain", "counted"),
    [
        ("node", ["node"]),
        ("psys", ["gpu:0", "psys"]),
        ("cpu", ["gpu:0", "dram:0", "dram:1", "cpu"]),
        ("cpu:1", ["gpu:0", "cpu:0", "dram:0", "dram:1", "cpu:1"]),
        ("gpu:0", ["cpu:0", "dram:0", "cpu:1", "dram:1", "gpu:0"]),
    ],
)
def test_nothing_is_summed_with_what_contains_it(host, domain, counted):
    for package in range(2):
        host.add_package(100.0, package=package, dram_w=10.0)
    host.add_gpu(300.0)
    server = FakePrometheus(host, {"a": host.draw(500.0)})
    with meter_of(host, server, f"{JOULES}&domain={domain}") as meter:
        assert sorted(meter.read()) == sorted(counted)


def test_a_query_for_all_processors_takes_the_place_of_an_estimate(host):
    server = FakePrometheus(host, {"a": host.draw(500.0)}, step_s=1.0)
    with meter_of(host, server, f"{JOULES}&domain=cpu") as meter:
        assert list(meter.read()) == ["cpu"]
        assert meter.provenance is Provenance.SAMPLED


def test_a_restart_and_a_relabelling_are_named_and_doubted(host):
    truth = host.draw(200.0)
    server = FakePrometheus(host, {"a": truth}, step_s=5.0)
    with meter_of(host, server, JOULES) as meter:
        spend(host, meter, 60.0)
        for fault in ("restart", "relabel"):
            before_j = truth.true_j
            if fault == "restart":
                server.restart()
            else:
                server.prefix = "socket"
            energy = spend(host, meter, 60.0)
            missing_j = truth.true_j - before_j - energy.energy_j
            assert 0 <= missing_j <= energy.uncertainty_j, fault
            assert any("reset" in gap for gap in energy.gaps), fault
        assert not spend(host, meter, 60.0).gaps


def test_one_of_several_series_that_restarts_is_seen(host):
    one, other = host.draw(10.0), host.draw(300.0)
    server = FakePrometheus(host, {"a": one, "b": other}, step_s=5.0)
    with meter_of(host, server, JOULES) as meter:
        spend(host, meter, 60.0)
        server._restarted["a"] = one.true_j
        before_j = one.true_j + other.true_j
        energy = spend(host, meter, 60.0)
    assert any("reset" in gap for gap in energy.gaps)
    assert abs(energy.energy_j - (one.true_j + other.true_j - before_j)) <= energy.uncertainty_j


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ({"failure": OSError("no answer within 5 s")}, "no answer within 5 s"),
        ({"failure": OSError("HTTP 503 (Service Unavailable)")}, "503"),
        ({"gone": True}, "no series"),
        ({"value": "NaN"}, "not a number"),
    ],
)
@pytest.mark.parametrize(("spec", "power"), [(JOULES, False), (WATTS, True)])
def test_what_fails_for_a_while_is_missing_and_named(host, fault, told, spec, power):
    truth = host.draw(200.0)
    server = FakePrometheus(host, {"a": truth}, step_s=5.0, power=power)
    with meter_of(host, server, spec) as meter:
        spend(host, meter, 60.0)
        for name, value in fault.items():
            setattr(server, name, value)
        host.advance(6.0)
        meter.read()
        assert spend(host, meter, 30.0).provenance is Provenance.MISSING
        before_j = truth.true_j
        for name in fault:
            setattr(server, name, False if name == "gone" else None)
        energy = spend(host, meter, 60.0)
    assert any(told in gap for gap in energy.gaps)
    assert abs(energy.energy_j - (truth.true_j - before_j)) <= energy.uncertainty_j + 200.0 * 36


def test_a_server_that_gives_nothing_is_refused_at_once(host):
    server = FakePrometheus(host, {"a": host.draw(1.0)})
    server.failure = OSError("no answer (Connection refused)")
    with pytest.raises(MeterError, match="Connection refused"):
        meter_of(host, server, JOULES)
    server.failure, server.gone = None, True
    with pytest.raises(MeterError, match="no series"):
        meter_of(host, server, JOULES)


class Exporter(http.server.BaseHTTPRequestHandler):
    """Joules of a constant 100 W, and the watts."""

    began_s = time.monotonic()
    label = "desk"

    def do_GET(self):
        joules = 100.0 * (time.monotonic() - Exporter.began_s)
        text = f'plug_joules_total{{plug="{Exporter.label}"}} {joules}\nplug_watts{{plug="{Exporter.label}"}} 100\n'
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *args):
        pass


@contextlib.contextmanager
def serving(handler):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def until(condition, seconds=7.0):
    end_s = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end_s, "it does not come"
        time.sleep(0.02)


def test_a_real_server(tmp_path):
    prometheus = shutil.which("prometheus")
    if prometheus is None:
        pytest.skip("no prometheus here: apt-get install prometheus")
    with serving(Exporter) as exporter:
        config, port = tmp_path / "prometheus.yml", free_port()
        config.write_text(
            "global: {scrape_interval: 100ms}\n"
            f"scrape_configs: [{{job_name: plug, static_configs: [{{targets: ['127.0.0.1:{exporter}']}}]}}]\n"
        )
        server = subprocess.Popen(
            [prometheus, f"--config.file={config}", f"--storage.tsdb.path={tmp_path / 'data'}",
             f"--web.listen-address=127.0.0.1:{port}", "--log.level=error"]
        )  # fmt: skip
        url = f"http://127.0.0.1:{port}"

        def scraped():
            with contextlib.suppress(OSError, ValueError):
                return fetch_json(f"{url}/api/v1/query?query=plug_joules_total")["data"]["result"]

        try:
            until(scraped)  # a server applies its targets only after five seconds
            spec = f"prometheus:{url}?query=plug_joules_total"
            with open_meter(root=tmp_path, sources=[spec]) as meter:
                assert "every 0.1 s" in next(source.covers for source in meter.sources if source.used)
                for fault in ("none", "restart", "relabel"):
                    if fault == "restart":
                        Exporter.began_s = time.monotonic()
                    if fault == "relabel":
                        Exporter.label = "shelf"
                    began_s = time.monotonic()
                    with meter.window() as window:
                        time.sleep(0.6)
                    truth_j = 100.0 * (time.monotonic() - began_s)
                    energy = window.energy()
                    assert abs(energy.energy_j - truth_j) <= energy.uncertainty_j, fault
                    assert bool([gap for gap in energy.gaps if "reset" in gap]) is (fault != "none"), fault
            with open_meter(root=tmp_path, sources=[f"prometheus:{url}?query=plug_watts&domain=gpu:0"]) as meter:
                assert set(meter.read()) == {"gpu:0", "cpu"}, "the plug covers one device, the estimate the processor"
                with meter.window() as window:
                    time.sleep(0.5)
                assert window.by_domain["gpu:0"] == pytest.approx(50.0, rel=0.25)
                server.terminate()
                server.wait(5.0)
                until(lambda: meter.read() and meter.provenance is Provenance.MISSING)
                assert any("gpu:0 cannot be read" in gap for gap in meter.window().gaps)
            with pytest.raises(MeterError, match="gives nothing"):
                open_meter(root=tmp_path, sources=[spec])
        finally:
            server.kill()
            server.wait()
