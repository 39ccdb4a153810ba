"""The constants of the estimate, which a user may set, and whose CPU seconds it multiplies."""

import pytest

from ecoml.errors import MeterError
from ecoml.meter import open_meter
from ecoml.meter.counters.constants import BUILT_IN, Constants, constants_file, load_constants, save_constants
from ecoml.meter.counters.cpu_time import TreeCpuTime, cpu_seconds, usable_cpus
from ecoml.testing.hosts import SimulatedHost

BUSY_W = BUILT_IN.busy_w_per_cpu - BUILT_IN.idle_w_per_cpu


@pytest.fixture(autouse=True)
def settings(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


def test_without_a_file_the_built_in_ones_are_used():
    assert load_constants() == BUILT_IN
    with open_meter() as meter:
        (source,) = [source for source in meter.sources if source.name == "estimate"]
        assert "3.5 W for a busy CPU, 0.75 W for an idle one" in source.covers


def test_what_is_saved_is_what_is_loaded_and_shown():
    constants = Constants(1.25, 6.0, 1.5, "2026-11-23 on a test")
    assert save_constants(constants) == constants_file()
    assert load_constants() == constants
    with open_meter() as meter:
        (source,) = [source for source in meter.sources if source.name == "estimate"]
        assert "6 W for a busy CPU, 1.25 W for an idle one, calibrated 2026-11-23 on a test" in source.covers
        window = meter.window()
        if source.used:
            energy = window.energy().domains["cpu"]
            assert energy.uncertainty_j == pytest.approx(0.5 * energy.energy_j)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("idle_w_per_cpu = -1", "idle_w_per_cpu must be a number of 0 or more, not -1"),
        ("busy_w_per_cpu = 'much'", "busy_w_per_cpu must be a number"),
        ("busy_w_per_cpu = true", "busy_w_per_cpu must be a number"),
        ("idle_w_per_cpu = nan", "idle_w_per_cpu must be a number"),
        ("idle_w_per_cpu = 4.0", "busy_w_per_cpu must be more than idle_w_per_cpu"),
        ("interval = 1.0", "interval must be more than 1"),
        ("calibrated = 3", "calibrated must be a text"),
        ("idle_w = 3", "unknown key `idle_w`"),
        ("idle_w_per_cpu = ", "remove it to use the built-in constants"),
        ("\0", "remove it to use the built-in constants"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_in_one_line_that_names_it(text, says):
    constants_file().parent.mkdir(parents=True)
    constants_file().write_text(text)
    with pytest.raises(MeterError) as error:
        open_meter()
    assert says in str(error.value)
    assert str(constants_file()) in str(error.value)
    assert "\n" not in str(error.value)


def test_another_root_is_not_asked_for_this_users_constants(tmp_path):
    save_constants(Constants(1.25, 600.0))
    with open_meter(root=tmp_path) as meter:
        assert "3.5 W for a busy CPU" in meter.sources[-1].covers


def test_the_control_group_of_a_container_is_counted(tmp_path):
    host = SimulatedHost(tmp_path)
    host.add_process(0.5)
    host.add_group("/kubepods/burstable/pod1/c2", lambda t: 2.0 if t > 1005 else 0.0)
    with open_meter(root=tmp_path, clock=host.clock) as meter:
        assert "this container or job" in meter.sources[-1].covers
        host.advance(5.0)
        idle_j = meter.read()["cpu"]
        host.advance(5.0)
        assert meter.read()["cpu"] - 2 * idle_j == pytest.approx(10 * BUSY_W, rel=0.02)


def test_a_login_sessions_control_group_is_not_ours_alone(tmp_path):
    host = SimulatedHost(tmp_path)
    host.add_process(1.0)
    host.add_group("/user.slice/user-1000.slice/session-2.scope", 8.0)
    with open_meter(root=tmp_path, clock=host.clock) as meter:
        assert "one process" in meter.sources[-1].covers
        before_j = meter.read()["cpu"]
        host.advance(10.0)
        assert meter.read()["cpu"] - before_j < 10 * (usable_cpus() * BUILT_IN.idle_w_per_cpu + 1.1 * BUSY_W)


def test_a_containers_own_root_is_counted_and_a_quota_bounds_its_idle_cpus(tmp_path):
    host = SimulatedHost(tmp_path)
    host.add_group("/", 1.0)
    (tmp_path / "sys/fs/cgroup/cpu.max").write_text("50000 100000\n")
    assert usable_cpus(tmp_path) == 0.5
    with open_meter(root=tmp_path, clock=host.clock) as meter:
        host.advance(10.0)
        assert meter.read()["cpu"] == pytest.approx(10 * (0.5 * BUILT_IN.idle_w_per_cpu + BUSY_W), rel=0.01)


def test_where_the_group_is_gone_the_last_count_stands(tmp_path):
    host = SimulatedHost(tmp_path)
    host.add_group("/docker/abc", 1.0)
    cpu_s = cpu_seconds(tmp_path)
    host.advance(3.0)
    assert cpu_s() == pytest.approx(3.0, abs=0.01)
    (tmp_path / "sys/fs/cgroup/docker/abc/cpu.stat").unlink()
    assert cpu_s() == pytest.approx(3.0, abs=0.01)


def test_a_root_that_shows_no_process_counts_this_one(tmp_path):
    assert isinstance(cpu_seconds(tmp_path), TreeCpuTime)
