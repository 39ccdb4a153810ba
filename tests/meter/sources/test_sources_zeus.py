"""AMD, Apple and Jetson through Zeus: its known faults are mended, or refused and named."""

import logging

import pytest

from ecoml.energy import Provenance
from ecoml.meter import open_meter
from ecoml.testing.machines import FakeAmd, FakeChip, FakeZeus
from ecoml.testing.meters import SimulatedHost


@pytest.fixture
def host(tmp_path):
    return SimulatedHost(tmp_path)


def meter_of(host, zeus, **options):
    return open_meter(root=host.root, clock=host.clock, zeus=zeus, **options)


def sources_of(meter, domain):
    return [source for source in meter.sources if source.domain == domain]


def inside(window, domain, true_j):
    part = window.energy().domains[domain]
    return abs(part.energy_j - true_j) <= part.uncertainty_j


def test_a_counter_is_measured_and_its_wraps_are_mended(host):
    counter = host.draw(560.0, period_s=0.01, start_j=60_000.0, modulus_j=2.0**16)
    with meter_of(host, FakeZeus([FakeAmd(counter, limit_w=560.0)])) as meter, meter.window() as window:
        for _ in range(60):
            host.advance(5.0)
            meter.read()
        assert counter.true_j > 2 * 65_536
        part = window.energy().domains["gpu:0"]
    assert part.provenance is Provenance.MEASURED
    assert part.energy_j == pytest.approx(counter.true_j, rel=1e-3)
    assert not window.gaps
    (source,) = [source for source in sources_of(meter, "gpu:0") if source.used]
    assert (source.hardware.name, source.hardware.limit_w) == ("AMD Instinct MI210", 560.0)


def test_where_zeus_trusts_no_counter_power_is_sampled(host):
    """MI300X tells no average power, MI210 no instantaneous one, and some counters are off (ROCm/amdsmi#38)."""
    gpus = [FakeAmd(host.draw(300.0), counts=False, tells=tells) for tells in (["average"], ["instant"])]
    with meter_of(host, FakeZeus(gpus)) as meter, meter.window() as window:
        for _ in range(100):
            host.advance(0.1)
            meter.read()
        assert meter.observe()["gpu:0"].temperature_c == 60.0
    for number in (0, 1):
        part = window.energy().domains[f"gpu:{number}"]
        assert part.provenance is Provenance.SAMPLED
        assert part.energy_j == pytest.approx(3000.0, rel=0.02)


def mi250(host, powers_w, first=0):
    """Cards of two dies each: the first tells the card's power, the second nothing."""
    name = "AMD Instinct MI250X"
    return [FakeAmd(host.draw(w or 0.0), name=name, silent=not w, hip_index=first + n) for n, w in enumerate(powers_w)]


def test_the_two_dies_of_a_card_are_one_domain(host):
    gpus = mi250(host, [400.0, None, 380.0, None])
    with meter_of(host, FakeZeus(gpus)) as meter, meter.window() as window:
        host.advance(10.0)
        assert [domain for domain in meter.read() if domain.startswith("gpu")] == ["gpu:0", "gpu:2"]
    assert window.by_domain["gpu:0"] == pytest.approx(4000.0, rel=0.01)
    assert not window.gaps
    (second,) = sources_of(meter, "gpu:1")
    assert not second.readable
    assert "gpu:0" in second.remedy
    assert "both dies" in next(source.covers for source in sources_of(meter, "gpu:0") if source.used)


def test_training_on_the_second_die_counts_its_card(host):
    with meter_of(host, FakeZeus(mi250(host, [400.0, None])), gpus=[1]) as meter:
        assert "gpu:0" in meter.read()


def test_a_second_die_alone_is_missing_and_says_what_to_do(host):
    """What Zeus gives with HIP_VISIBLE_DEVICES=1."""
    with meter_of(host, FakeZeus(mi250(host, [None], first=1))) as meter, meter.window() as window:
        host.advance(1.0)
    assert window.provenance is Provenance.MISSING
    assert any("HIP_VISIBLE_DEVICES" in gap for gap in window.gaps)


def test_a_gpu_that_reads_nothing_is_refused(host):
    """Not every version of Zeus and ROCm knows which die is silent."""
    gpus = [FakeAmd(host.draw(300.0), name="AMD Instinct MI60"), FakeAmd(host.draw(0.0), name="?", silent=True)]
    with meter_of(host, FakeZeus(gpus)) as meter, meter.window() as window:
        host.advance(1.0)
    assert window.energy().domains["gpu:1"].provenance is Provenance.MISSING
    assert any("0 W" in gap for gap in window.gaps)


def test_a_gpu_that_is_lost_is_missing_until_it_returns(host):
    counter = host.draw(300.0, period_s=0.01)
    with meter_of(host, FakeZeus([FakeAmd(counter)])) as meter, meter.window() as window:
        host.advance(2.0)
        meter.read()
        counter.failing = True
        host.advance(2.0)
        meter.read()
        assert meter.provenance is Provenance.MISSING
        counter.failing = False
        host.advance(2.0)
        meter.read()
    assert window.by_domain["gpu:0"] == pytest.approx(counter.true_j, rel=0.01)
    assert any("AMDSMI_STATUS_NOT_FOUND" in gap for gap in window.gaps)


def test_a_socket_with_a_processor_in_it_is_a_module(host):
    host.add_package(100.0)
    with meter_of(host, FakeZeus([FakeAmd(host.draw(550.0), name="AMD Instinct MI300A")])) as meter:
        assert list(meter.read()) == ["module:0"]
    (package,) = [source for source in sources_of(meter, "cpu:0") if source.readable]
    assert "module:0 contains it" in package.remedy


def test_gpus_that_a_search_does_not_use_are_listed_and_not_counted(host):
    gpus = [FakeAmd(host.draw(100.0)), FakeAmd(host.draw(300.0))]
    with meter_of(host, FakeZeus(gpus), gpus=[1]) as meter:
        assert [domain for domain in meter.read() if domain.startswith("gpu")] == ["gpu:1"]
    assert "not used by this search" in sources_of(meter, "gpu:0")[0].remedy


def test_the_input_of_a_jetson_contains_its_parts(host):
    host.add_gpu(9.0, counts=False, shows_power=False)  # NVML knows the GPU of some, and tells nothing of it
    whole, cpu, gpu = host.draw(25.0), host.draw(6.0), host.draw(11.0)
    chip = FakeChip({"total_energy_mj": whole, "cpu_energy_mj": cpu, "gpu_energy_mj": gpu})
    with open_meter(root=host.root, nvml=host.nvml, clock=host.clock, zeus=FakeZeus(chip=chip)) as meter:
        with meter.window() as window:
            for _ in range(100):
                host.advance(0.2)
                meter.read()
        assert list(window.by_domain) == ["module:0"]
        part = window.energy().domains["module:0"]
    assert part.provenance is Provenance.SAMPLED
    assert inside(window, "module:0", whole.true_j)
    assert not window.gaps


def test_a_rail_of_the_gpu_alone_is_no_total(host):
    host.add_process(1.0)
    chip = FakeChip({"total_energy_mj": None, "cpu_energy_mj": None, "gpu_energy_mj": host.draw(11.0)})
    with meter_of(host, FakeZeus(chip=chip)) as meter, meter.window() as window:
        host.advance(5.0)
        meter.read()
        assert list(meter.read()) == ["gpu:0", "cpu"]
    assert window.provenance is Provenance.ESTIMATED
    assert "without memory" in next(source.covers for source in sources_of(meter, "gpu:0") if source.used)


def test_a_jetson_whose_sampling_process_died_is_missing(host):
    chip = FakeChip({"total_energy_mj": host.draw(25.0), "cpu_energy_mj": None, "gpu_energy_mj": None})
    with meter_of(host, FakeZeus(chip=chip)) as meter:
        host.advance(2.0)
        meter.read()
        chip.dead = True
        with meter.window() as window:
            host.advance(2.0)
        assert window.provenance is Provenance.MISSING
        assert any("15 s" in gap for gap in window.gaps)


def test_apple_silicon_sums_what_does_not_overlap(host):
    truth = {name: host.draw(w) for name, w in (("cpu_total_mj", 12.0), ("gpu_mj", 8.0), ("gpu_sram_mj", 0.5))}
    chip = FakeChip({**truth, "dram_mj": host.draw(2.0), "ane_mj": None})
    with meter_of(host, FakeZeus(chip=chip)) as meter, meter.window() as window:
        for _ in range(50):
            host.advance(0.2)
            meter.read()
    assert set(window.by_domain) == {"cpu:0", "gpu:0", "dram:0"}
    assert inside(window, "gpu:0", truth["gpu_mj"].true_j + truth["gpu_sram_mj"].true_j)


def test_gpus_of_nvidia_are_read_without_zeus(host):
    host.add_gpu(300.0)
    with open_meter(root=host.root, nvml=host.nvml, clock=host.clock, zeus=FakeZeus(nvidia=True)) as meter:
        assert [source.name for source in meter.sources if source.domain == "gpu:0"] == ["NVML energy counter"]


def amd_card(root, number, gib):
    device = root / f"sys/class/drm/card{number}/device"
    device.mkdir(parents=True)
    (device / "vendor").write_text("0x1002\n")
    (device / "mem_info_vram_total").write_text(f"{gib * 2**30}\n")


def test_an_amd_gpu_without_zeus_is_missing_and_one_within_a_processor_is_not(host, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "zeus.device", None)
    amd_card(host.root, 0, 64)
    amd_card(host.root, 1, 1)
    with open_meter(root=host.root, clock=host.clock) as meter:
        with meter.window() as window:
            host.advance(1.0)
        assert [domain for domain in window.energy().domains if domain.startswith("gpu")] == ["gpu:0"]
    assert any("ecoml[zeus]" in gap for gap in window.gaps)


def test_the_real_zeus_says_what_it_finds_here(tmp_path, caplog):
    """On a host without AMD, Apple and Jetson: its functions are there, and raise what the adapter takes for none."""
    zeus = pytest.importorskip("zeus.device", reason="pip install 'ecoml[zeus]'")
    with pytest.raises(Exception, match="No observable SoC"):
        zeus.get_soc()
    amd_card(tmp_path, 0, 64)
    with caplog.at_level(logging.WARNING), open_meter(root=tmp_path) as meter:
        (source,) = [source for source in meter.sources if source.name == "Zeus"]
    assert not source.readable
    from zeus.device.gpu import AMDGPUs

    for name in ("gpus", "get_name", "supports_get_total_energy_consumption", "get_total_energy_consumption",
                 "get_average_power_usage", "get_instant_power_usage", "get_power_management_limit",
                 "get_gpu_temperature"):  # fmt: skip
        assert hasattr(AMDGPUs, name), f"the adapter asks Zeus for {name}"
    from zeus.device.soc.apple import AppleSiliconMeasurement
    from zeus.device.soc.jetson import JetsonMeasurement

    assert {"cpu_total_mj", "gpu_mj", "gpu_sram_mj", "dram_mj", "ane_mj"} <= set(vars(AppleSiliconMeasurement()))
    assert {"total_energy_mj", "cpu_energy_mj", "gpu_energy_mj"} <= set(vars(JetsonMeasurement()))
