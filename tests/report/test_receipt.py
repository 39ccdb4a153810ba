"""A search's receipt: it is a BoAmps report, and a paragraph that says figure, interval, source and hardware."""

import json

import pytest
from jsonschema import Draft4Validator

import ecoml
from ecoml.energy import J_PER_KWH, Provenance, Purpose
from ecoml.report.receipt import boamps, paragraph, write_receipt
from ecoml.testing.meters import SimulatedHost


def thing(required=(), **properties):
    return {"type": "object", "required": list(required), "properties": properties}


def one_of(*words):
    return {"type": "string", "enum": list(words)}


def some(item):
    return {"type": "array", "minItems": 1, "items": item}


TEXT, NUMBER, SHARE = {"type": "string"}, {"type": "number"}, {"type": "number", "minimum": 0, "maximum": 1}
WHEN = {"type": "string", "pattern": r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$"}

BOAMPS = thing(
    ("task", "measures", "infrastructure"),
    header=thing(
        ("reportDatetime",), reportDatetime=WHEN, reportStatus=one_of("draft", "final", "corrective", "other"),
        formatVersion=TEXT, formatVersionSpecificationUri=TEXT, reportId=TEXT,
    ),
    task=thing(
        ("taskStage", "taskFamily", "algorithms", "dataset"),
        taskStage=TEXT, taskFamily=TEXT, taskDescription=TEXT, measuredAccuracy=SHARE,
        algorithms=some(thing((), algorithmType=TEXT, framework=TEXT, frameworkVersion=TEXT, optimizer=TEXT)),
        dataset=some(
            thing(
                ("dataUsage", "dataType"),
                dataUsage=one_of("input", "output"),
                dataType=one_of(
                    "tabular", "audio", "boolean", "image", "video", "object", "text", "token", "word", "other"
                ),
                source=one_of("public", "private", "other"), dataQuantity=NUMBER,
            )
        ),
    ),
    measures=some(
        thing(
            ("measurementMethod", "powerConsumption"),
            measurementMethod=TEXT, version=TEXT, cpuTrackingMode=TEXT, gpuTrackingMode=TEXT, powerConsumption=NUMBER,
            measurementDuration=NUMBER, measurementDateTime=WHEN, powerCalibrationMeasurement=NUMBER,
            durationCalibrationMeasurement=NUMBER,
        )
    ),
    system=thing(("os",), os=TEXT),
    software=thing(("language",), language=TEXT, version=TEXT),
    infrastructure=thing(
        ("infraType", "components"),
        infraType=one_of("publicCloud", "privateCloud", "onPremise", "other"),
        components=some(
            thing(
                ("componentType", "nbComponent"),
                componentType=TEXT, componentName=TEXT, nbComponent={"type": "integer", "minimum": 1},
            )
        ),
    ),
    quality=one_of("high", "medium", "low"),
)  # fmt: skip
"""What the schemas of BoAmps require (its folder `model/`, read 2026-11-27), of the parts a receipt has.

An `environment` needs a country, which no run knows: it must not stand in a receipt.
"""


def check(report):
    Draft4Validator(BOAMPS).validate(report)
    assert set(report) <= set(BOAMPS["properties"])
    for part in ("header", "task", "system", "software", "infrastructure"):
        assert set(report[part]) <= set(BOAMPS["properties"][part]["properties"]), part
    assert set(report["measures"][0]) <= set(BOAMPS["properties"]["measures"]["items"]["properties"])


@pytest.fixture
def metered(space, quick, tmp_path):
    """A search on a simulated host with a package and a GPU."""
    (tmp_path / "host").mkdir()
    host = SimulatedHost(tmp_path / "host")
    host.add_package(100.0)
    host.add_gpu(300.0)

    def train(config):
        for score in (0.8, 0.9):
            host.advance(30.0)
            yield score

    with ecoml.open_meter(root=host.root, nvml=host.nvml, clock=host.clock) as meter:
        return ecoml.Searcher(
            space, train, budget_j=1e6, meter=meter, max_trials=2, grid_intensity=100.0, **quick
        ).run()


def test_a_receipt_is_a_boamps_report(metered):
    report = json.loads(json.dumps(boamps(metered)))
    check(report)
    (measure,) = report["measures"]
    assert measure["powerConsumption"] == pytest.approx(metered.energy.total_j / J_PER_KWH)
    assert "measured" in measure["measurementMethod"]
    assert measure["cpuTrackingMode"] == "RAPL package (measured)"
    assert measure["gpuTrackingMode"] == "NVML energy counter (measured)"
    assert report["task"]["measuredAccuracy"] == 0.9
    assert {"componentType": "gpu", "nbComponent": 1, "componentName": "NVIDIA H200"} in (
        report["infrastructure"]["components"]
    )
    assert report["quality"] == "high"


def test_the_paragraph_says_figure_interval_provenance_and_hardware(metered):
    told = paragraph(metered)
    total = metered.energy.total
    for words in (
        f"{total.energy_j / J_PER_KWH:.3g} kWh",
        "±",
        "measured: read from hardware counters",
        "gpu:0 by NVML energy counter",
        "NVIDIA H200",
        "at 100 g/kWh, as given",
        "90.00 % validation accuracy",
        "2 trials were made",
    ):
        assert words in told, words


@pytest.mark.parametrize("provenance", [one for one in Provenance if one is not Provenance.ATTRIBUTED])
def test_every_kind_of_energy_has_a_receipt(make_run, provenance):
    from rigs.run_folders import Course

    folder = make_run([Course([(0.6, 100.0)])], provenance=provenance, uncertainty=0.5)
    paths = write_receipt(folder, grid_intensity=50.0)
    assert [path.name for path in paths] == ["receipt.json", "receipt.txt"]
    report = json.loads(paths[0].read_text())
    check(report)
    assert provenance.value in paths[1].read_text()
    weak = (Provenance.REPORTED, Provenance.MISSING)
    assert report.get("quality") == (None if provenance in weak else "low")


def test_a_search_that_measured_nothing_has_one_too(make_run):
    folder = make_run([], overhead_j=5.0)
    report = boamps(ecoml.Result.load(folder))
    check(report)
    assert "measuredAccuracy" not in report["task"]
    assert ecoml.Result.load(folder).energy.by_purpose[Purpose.OVERHEAD].energy_j == 5.0
