"""The probe behind `ecoml meters --check`, and the calibration, on simulated hosts."""

import json
import threading
import time
from contextlib import contextmanager

import pytest

from ecoml.energy import Provenance
from ecoml.errors import MeterError
from ecoml.meter import open_meter
from ecoml.meter.counters.constants import load_constants, save_constants
from ecoml.meter.probe import check, load
from ecoml.meter.probe.calibrate import calibrate
from ecoml.meter.probe.check import Probe, board_powers
from ecoml.meter.probe.finding import Verdict
from ecoml.report.terminal.meters import print_check
from ecoml.testing.machines import FakePrometheus, add_power_meter
from ecoml.testing.meters import SimulatedHost


@pytest.fixture(autouse=True)
def short_look(monkeypatch):
    monkeypatch.setattr(check, "LOOK_S", 0.5)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


@pytest.fixture
def host(tmp_path):
    return SimulatedHost(tmp_path)


def probe(host, busy):
    """Probe a host on which `busy` maps counters to their power under load."""

    @contextmanager
    def loaded():
        rest = {counter: counter.power_w for counter in busy}
        began_s = host.now_s
        for counter, power_w in busy.items():
            counter.power_w = power_w
        yield lambda: 2.0 * (host.now_s - began_s)
        for counter, power_w in rest.items():
            counter.power_w = power_w

    with open_meter(root=host.root, nvml=host.nvml, clock=host.clock) as meter:
        boards_w = board_powers(meter, host.nvml)
        return Probe(meter, cpus=2, load=loaded, boards_w=boards_w, clock=host.clock, sleep=host.advance).run()


def finding_of(found, domain):
    (finding,) = [finding for finding in found.findings if finding.domain == domain]
    return finding


def test_a_host_where_all_agrees(host):
    package, gpu = host.add_package(50.0, dram_w=5.0, phase_s=3e-4), host.add_gpu(60.0, phase_s=0.0131)
    start_s = host.now_s
    found = probe(host, {package: 200.0, gpu: 500.0})
    assert [finding.domain for finding in found.findings] == ["gpu:0", "cpu:0", "dram:0"]
    assert found.agrees
    cpu, board = finding_of(found, "cpu:0"), finding_of(found, "gpu:0")
    assert cpu.period_s == pytest.approx(1e-3, rel=0.05)
    assert board.period_s == pytest.approx(gpu.period_s, rel=0.05)
    assert not cpu.period_is_bound
    assert 61e-6 <= cpu.step_j <= 50.1e-3
    assert cpu.rest_w == pytest.approx(50.0, rel=0.01)
    assert cpu.rest_noise_w < 0.5
    assert cpu.load_w == pytest.approx(200.0, rel=0.01)
    (linear,) = cpu.comparisons
    assert linear.found == pytest.approx(1200.0, rel=0.01)
    _, power = board.comparisons
    assert (power.found, power.against) == pytest.approx((3000.0, 3000.0), rel=0.03)
    assert "no second source" in cpu.unchecked
    assert found.spent.energy_j == pytest.approx(
        package.true_j + gpu.true_j + host.dram[0].true_j, abs=found.spent.uncertainty_j
    )
    assert found.elapsed_s == pytest.approx(host.now_s - start_s)
    assert found.elapsed_s < 30


def test_a_counter_that_is_off_by_two_does_not_agree_with_its_power(host):
    package, gpu = host.add_package(50.0), host.add_gpu(60.0, phase_s=0.0131)
    told_mj = host.nvml.nvmlDeviceGetTotalEnergyConsumption
    host.nvml.nvmlDeviceGetTotalEnergyConsumption = lambda handle: 2 * told_mj(handle)
    found = probe(host, {package: 200.0, gpu: 500.0})
    assert not found.agrees
    linear, power = finding_of(found, "gpu:0").comparisons
    assert linear.agrees
    assert not power.agrees
    assert power.found == pytest.approx(2 * power.against, rel=0.05)
    assert finding_of(found, "cpu:0").agrees


def test_a_counter_that_does_not_rise_in_proportion_is_found(host):
    package = host.add_package(50.0)
    found = probe(host, {package: lambda t: 200.0 if t < host_second_window(host) else 140.0})
    (linear,) = finding_of(found, "cpu:0").comparisons
    assert not linear.agrees


def host_second_window(host, began={}):  # noqa: B006 - the first call's time is what is kept
    return began.setdefault(id(host), host.now_s + check.SETTLE_S + check.LOAD_S)


@pytest.mark.parametrize("trouble", ["stuck", "lost"])
def test_a_counter_that_stands_still_is_named(host, trouble):
    package, gpu = host.add_package(50.0), host.add_gpu(60.0, phase_s=0.0131)
    if trouble == "stuck":
        host.nvml.nvmlDeviceGetTotalEnergyConsumption = lambda handle: 5_000_000
        found = probe(host, {package: 200.0, gpu: 500.0})
    else:
        told_mj = host.nvml.nvmlDeviceGetTotalEnergyConsumption

        def lost_under_load(handle):
            if package.power_w == 200.0:
                raise RuntimeError("GPU is lost")
            return told_mj(handle)

        host.nvml.nvmlDeviceGetTotalEnergyConsumption = lost_under_load
        found = probe(host, {package: 200.0, gpu: 500.0})
    board = finding_of(found, "gpu:0")
    assert not found.agrees
    assert any("does not move or cannot be read" in fault for fault in board.faults)
    assert any("gpu:0" in gap for gap in found.spent.gaps)
    assert finding_of(found, "cpu:0").agrees


def test_what_can_be_checked_of_an_estimate(host, monkeypatch):
    monkeypatch.setattr(check, "LOOK_S", 0.02)  # there are no updates to see
    host.add_process(0.0)
    found = probe(host, {host._busy: 2.0})
    finding = finding_of(found, "cpu")
    assert found.agrees
    assert finding.provenance is Provenance.ESTIMATED
    assert finding.period_s is None
    (per_second,) = finding.comparisons
    assert per_second.found == pytest.approx(3.5 - 0.75, rel=0.05)
    assert "no counter to compare with" in finding.unchecked


def test_an_estimate_that_does_not_see_the_load_is_found(host, monkeypatch):
    monkeypatch.setattr(check, "LOOK_S", 0.02)  # there are no updates to see
    host.add_process(0.0)
    found = probe(host, {})
    assert not found.agrees
    assert "no joules above rest" in finding_of(found, "cpu").faults[0]


def test_findings_are_plain_json_with_their_provenance(host):
    package = host.add_package(50.0)
    told = json.loads(json.dumps(probe(host, {package: 200.0}).to_dict()))
    assert told["spent_provenance"] == "measured"
    assert [finding["provenance"] for finding in told["findings"]] == ["measured"]
    assert told["findings"][0]["comparisons"][0]["agrees"] is True


def test_the_load_counts_its_own_cpu_seconds_and_ends():
    before = threading.active_count()
    started_s = time.process_time()
    with load.busy_cpus(2) as cpu_s:
        time.sleep(0.3)
        used_s = cpu_s()
    assert threading.active_count() == before
    assert 0.02 < used_s <= time.process_time() - started_s + 0.02


def calibrated(host, power_w, cpus=4):
    """Calibrate a host whose package draws `power_w(busy CPUs)`."""
    (package,) = host.packages

    @contextmanager
    def busy(threads):
        package.power_w = power_w(threads)
        began_s = host.now_s
        yield lambda: threads * (host.now_s - began_s)
        package.power_w = power_w(0)

    with open_meter(root=host.root, clock=host.clock) as meter:
        return calibrate(meter, cpus=cpus, threads=cpus, load=busy, clock=host.clock, sleep=host.advance)


def test_known_watts_are_recovered(host):
    host.packages = [host.add_package(40.0, dram_w=4.0)]
    found = calibrated(host, lambda busy: 40.0 + 15.0 * busy)
    idle_w, busy_w = 44.0 / 4, 44.0 / 4 + 15.0
    assert found.domains == ("cpu:0", "dram:0")
    assert found.constants.idle_w_per_cpu == pytest.approx(idle_w, abs=found.idle_uncertainty_w)
    assert found.constants.busy_w_per_cpu == pytest.approx(busy_w, abs=found.busy_uncertainty_w)
    assert found.constants.idle_w_per_cpu == pytest.approx(idle_w, rel=0.01)
    assert found.constants.busy_w_per_cpu == pytest.approx(busy_w, rel=0.01)
    assert found.idle_uncertainty_w < 0.2 * idle_w
    assert found.busy_uncertainty_w < 0.2 * busy_w
    assert found.residual < 0.01
    assert [point.threads for point in found.points] == [0, 1, 2, 3, 4]
    assert "cpu:0" in found.constants.calibrated


def test_a_bent_line_shows_in_residual_and_uncertainty(host):
    host.packages = [host.add_package(40.0)]
    found = calibrated(host, lambda busy: 40.0 + 30.0 * min(busy, 2))
    assert found.residual > 0.05
    assert found.busy_uncertainty_w > 5.0


def test_power_that_falls_with_load_is_refused(host):
    host.packages = [host.add_package(40.0)]
    with pytest.raises(MeterError, match="cannot be the power of a processor"):
        calibrated(host, lambda busy: 40.0 - 5.0 * busy)


def test_a_counter_that_fails_meanwhile_calibrates_nothing(host):
    host.packages = [package] = [host.add_package(40.0)]

    def power_w(busy):
        package.failing = busy == 2
        return 40.0 + busy

    with pytest.raises(MeterError, match="failed during the measurement"):
        calibrated(host, power_w)


def test_without_a_counter_there_is_nothing_to_calibrate_against(host):
    host.add_process(1.0)
    host.add_gpu(300.0)
    with (
        open_meter(root=host.root, nvml=host.nvml, clock=host.clock) as meter,
        pytest.raises(MeterError, match="needs a counter of the processor"),
    ):
        calibrate(meter, cpus=2, threads=2, clock=host.clock, sleep=host.advance)


def test_what_was_found_is_what_the_estimate_then_uses(host, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "settings"))
    host.packages = [host.add_package(40.0)]
    found = calibrated(host, lambda busy: 40.0 + 15.0 * busy)
    path = save_constants(found.constants)
    assert load_constants() == found.constants
    path.unlink()
    assert load_constants().idle_w_per_cpu == 0.75


def compare(host, busy, **options):
    """As `probe`, with all that stands beside what is counted; `busy` maps counters to their power under load."""

    @contextmanager
    def loaded():
        rest = {counter: counter.power_w for counter in busy}
        began_s = host.now_s
        for counter, power_w in busy.items():
            counter.power_w = power_w
        yield lambda: 2.0 * (host.now_s - began_s)
        for counter, power_w in rest.items():
            counter.power_w = power_w

    with open_meter(root=host.root, nvml=host.nvml, clock=host.clock, compare=True, **options) as meter:

        def sleep(seconds):
            """Both meters are read meanwhile, as their threads read them."""
            while seconds > 0:
                step_s = min(seconds, 0.5)
                host.advance(step_s)
                seconds -= step_s
                for one in (meter, meter.beside) if step_s >= check.SAMPLE_S else ():
                    if one is not None:
                        one.read()

        check.LOOK_S = 0.01  # how the counters tick is looked at in other tests
        return Probe(meter, cpus=2, load=loaded, clock=host.clock, sleep=sleep).run()


def test_a_plug_says_how_much_of_it_the_counters_explain(host):
    package, gpu = host.add_package(50.0, dram_w=5.0), host.add_gpu(60.0)
    plug = add_power_meter(host, 150.0)
    found = compare(host, {package: 200.0, gpu: 500.0, plug: 850.0})
    (opinion,) = found.opinions
    assert (opinion.domain, opinion.parts) == ("node", ("gpu:0", "cpu:0", "dram:0"))
    assert opinion.parts_rest_w / opinion.rest_w == pytest.approx(115 / 150, rel=0.05)
    assert opinion.parts_load_w / opinion.load_w == pytest.approx(705 / 850, rel=0.05)
    assert opinion.agrees
    assert found.agrees
    assert json.loads(json.dumps(found.to_dict()))["opinions"][0]["agrees"] is True


def test_parts_that_draw_more_than_the_plug_do_not_agree(host):
    """A counter that is off by two, which nothing else on this host would show."""
    package = host.add_package(100.0)
    plug = add_power_meter(host, 80.0)
    found = compare(host, {package: 400.0, plug: 250.0})
    assert [finding.agrees for finding in found.findings] == [True]
    assert not found.opinions[0].agrees
    assert not found.agrees


def test_a_plug_that_is_counted_is_compared_with_what_it_contains(host):
    package = host.add_package(50.0, dram_w=5.0)
    plug = add_power_meter(host, 100.0)
    found = compare(host, {package: 200.0, plug: 280.0}, sources=["node"])
    assert [finding.domain for finding in found.findings] == ["node"]
    (opinion,) = found.opinions
    assert opinion.parts == ("cpu:0", "dram:0")
    assert opinion.agrees


def test_psys_and_its_packages_and_two_sources_of_one_domain(host):
    package = host.add_package(50.0, dram_w=5.0)
    psys = host.add_psys(70.0)
    server = FakePrometheus(host, {"a": package}, step_s=1.0, power=True)
    query = "prometheus:http://h:9090?query=package_watts&domain=cpu:0"
    found = compare(host, {package: 200.0, psys: 230.0}, sources=[query], fetch=server)
    told = {(opinion.domain, opinion.parts): opinion for opinion in found.opinions}
    assert set(told) == {("cpu:0", ("cpu:0",)), ("psys", ("dram:0", "cpu:0"))}
    assert told["cpu:0", ("cpu:0",)].is_same
    assert all(opinion.agrees for opinion in found.opinions)


@pytest.mark.parametrize(
    ("package_w", "plug_w", "verdict"),
    [
        ((50.0, 200.0), (100.0, 280.0), Verdict.AGREES),
        ((1.0, 2.5), (3.0, 3.0), Verdict.DEAF),  # by less than what an ACPI meter states
        ((50.0, 200.0), (300.0, 300.0), Verdict.DEAF),
        ((50.0, 200.0), (300.0, 290.0), Verdict.DEAF),
        ((50.0, 200.0), (3.0, 3.0), Verdict.APART),
        ((50.0, 200.0), (1500.0, 6000.0), Verdict.UNEXPLAINED),  # another unit
        ((50.0, 70.0), (400.0, 900.0), Verdict.UNEXPLAINED),  # another machine, or a device that nothing counts
        ((50.0, 52.0), (400.0, 402.0), Verdict.UNLOADED),
        ((90.0, 160.0), (80.0, 180.0), Verdict.LOOSE),
    ],
)
def test_what_a_plug_is_worth_shows_in_its_rise(host, package_w, plug_w, verdict, capsys):
    package, plug = host.add_package(package_w[0]), add_power_meter(host, plug_w[0])
    found = compare(host, {package: package_w[1], plug: plug_w[1]})
    (opinion,) = found.opinions
    assert opinion.verdict is verdict
    assert found.agrees is not verdict.contradicts
    assert found.to_dict()["opinions"][0]["verdict"] == verdict
    print_check(found)
    shown = " ".join(capsys.readouterr().out.split())
    assert "node, ACPI power meter" in shown
    assert "cpu:0 explain at rest" in shown
    assert ("does NOT agree" in shown) is verdict.contradicts
    assert ("cannot be decided" in shown) is (verdict in (Verdict.UNLOADED, Verdict.LOOSE))
    assert ("does not show the load" in shown) is (verdict is Verdict.DEAF)


def test_a_plug_that_is_lost_meanwhile_is_no_second_opinion(host):
    package, plug = host.add_package(50.0), add_power_meter(host, 100.0)

    def lost_under_load(_now_s):
        plug.failing = package.power_w == 200.0
        return 100.0

    plug.power_w = lost_under_load
    (opinion,) = compare(host, {package: 200.0}).opinions
    assert (opinion.verdict, opinion.unread) == (Verdict.UNREAD, ("node",))


@pytest.mark.parametrize("power", [True, False])
@pytest.mark.parametrize(("step_s", "waits"), [(1.0, False), (5.0, True)])
def test_a_slow_source_is_waited_for(host, step_s, waits, power):
    package, plug = host.add_package(50.0), host.draw(100.0)
    server = FakePrometheus(host, {"a": plug}, step_s=step_s, power=power)
    query = f"prometheus:http://h:9090?query=plug_{'watts' if power else 'joules'}"
    found = compare(host, {package: 200.0, plug: 300.0}, sources=[query], fetch=server)
    (opinion,) = found.opinions
    assert opinion.verdict is Verdict.AGREES
    assert opinion.load_w == pytest.approx(300.0, rel=0.05)
    assert (found.elapsed_s > 20) is waits


@pytest.mark.parametrize(("load_w", "verdict"), [(300.0, Verdict.AGREES), (100.0, Verdict.LATE)])
def test_a_source_that_may_be_too_late_is_not_called_deaf(host, load_w, verdict):
    package, plug = host.add_package(10.0), host.draw(100.0)
    server = FakePrometheus(host, {"a": plug}, step_s=50.0, power=True)
    found = compare(
        host, {package: 100.0, plug: load_w}, sources=["prometheus:http://h:9090?query=plug_watts"], fetch=server
    )
    assert found.opinions[0].verdict is verdict
    assert found.agrees


@pytest.mark.parametrize(("load_w", "shows"), [(3.0, False), (5.0, True)])
def test_a_meter_that_does_not_show_the_load_is_wrong_though_nothing_stands_beside_it(host, load_w, shows):
    host.add_process(0.0)
    plug = add_power_meter(host, 3.0)
    found = compare(host, {plug: load_w}, sources=["node"])
    assert found.agrees is shows
    assert any("does not show the load" in fault for fault in finding_of(found, "node").faults) is not shows


def test_two_windows_of_a_source_that_states_more_than_it_shows_agree_on_nothing(host, capsys):
    host.add_process(0.0)
    plug = add_power_meter(host, 50.0)
    print_check(compare(host, {plug: 150.0}, sources=["node"]))
    shown = capsys.readouterr().out
    assert "cannot be decided: 6 s of load with 3 s, scaled: 900 J and 900 J" in shown
    assert "agrees:" not in shown


def test_of_a_large_machine_with_few_cpus_to_use_it_cannot_be_told(host):
    host.add_process(0.0)
    plug = add_power_meter(host, 400.0)
    found = compare(host, {plug: 402.0}, sources=["node"])
    assert found.agrees
    assert "too little to decide whether it shows the load" in finding_of(found, "node").unchecked


def test_opinions_are_told_within_80_columns(host, capsys):
    package = host.add_package(50.0, dram_w=5.0)
    plug = add_power_meter(host, 100.0)
    print_check(compare(host, {package: 200.0, plug: 280.0}))
    shown = capsys.readouterr().out
    assert "node, ACPI power meter" in shown
    assert "explain" in shown
    assert max(map(len, shown.splitlines())) <= 80
