"""The probe compares what is counted with what stands beside it: a plug, psys, a second source."""

import json

import pytest
from rigs.load import loaded

from ecoml.meter import open_meter
from ecoml.meter.probe import check
from ecoml.meter.probe.check import Probe
from ecoml.meter.probe.finding import Verdict
from ecoml.report.terminal.meters import print_check
from ecoml.testing.machines import FakePrometheus, add_power_meter


def finding_of(found, domain):
    (finding,) = [finding for finding in found.findings if finding.domain == domain]
    return finding


def compare(host, busy, **options):
    """As `probe`, with all that stands beside what is counted; `busy` maps counters to their power under load."""

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

        # How the counters tick is looked at in other tests.
        return Probe(meter, cpus=2, load=lambda: loaded(host, busy), clock=host.clock, sleep=sleep, look_s=0.01).run()


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
