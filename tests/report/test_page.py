"""The page of a run: complete on its own, true to the ledger, and whole in every degenerate case."""

import json
import re
import struct
import tomllib
from html.parser import HTMLParser
from pathlib import Path

import pytest
import tomli_w
from rigs.run_folders import LEFT, Course, failed

from ecoml.endings import EndReason, SearchEnd, StopReason, TrialEnd
from ecoml.energy import Provenance
from ecoml.errors import RunFolderError, UsageError
from ecoml.format import format_energy
from ecoml.metric import ACCURACY, Metric
from ecoml.report.charts.figures import chart_library
from ecoml.report.page.page import write_report
from ecoml.report.page.sections.progress import targets
from ecoml.run.models import model_path
from ecoml.run.result import Result
from ecoml.trial import TrialState

GOOD = Course([(0.6, 10.0), (0.8, 10.0), (0.9, 10.0)], {"learning_rate": 0.01, "width": 8}, test=0.87)
BETTER = Course([(0.7, 40.0), (0.95, 40.0)], {"learning_rate": 0.02, "width": 32}, test=0.94)
GONE = failed("FloatingPointError: <NaN> & gone")
FAILED = Course([], {"learning_rate": 0.9, "width": 8}, TrialState.FAILED, GONE, 3.0)


class Reader(HTMLParser):
    """Checks nesting, and keeps the text, headings, addresses and charts."""

    VOID = frozenset({"meta", "br", "link", "img", "input", "hr"})

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.open, self.text, self.headings, self.addresses, self.charts, self.inside = [], [], [], [], {}, None

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.addresses += [attributes[name] for name in ("src", "href", "action", "data") if name in attributes]
        if tag in ("h1", "h2", "h3"):
            self.headings.append(tag)
        if tag == "th":
            assert attributes.get("scope") in ("row", "col")
        if tag == "script":
            self.inside = attributes.get("data-chart", "")
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag
        self.inside = None if tag == "script" else self.inside

    def handle_data(self, data):
        if self.inside:
            self.charts[self.inside] = json.loads(data)
        elif self.open and self.open[-1] not in ("script", "style"):
            self.text.append(data)


def read(path: Path) -> Reader:
    reader = Reader()
    reader.feed(path.read_text(encoding="utf-8"))
    reader.close()
    assert not reader.open
    return reader


def words(path: Path) -> str:
    return re.sub(r"\s+", " ", " ".join(read(path).text))


def test_the_headline_says_it_all(make_run):
    path = write_report(make_run([GOOD, BETTER, FAILED], optimiser_j=5.0))
    assert (
        "Trial 1 after 2 steps reaches 95.00 % validation accuracy (94.00 % on the test set) for 80.0 J of training;"
        " the search used 118 J of 1.00 kJ, estimated." in words(path)
    )


def test_the_page_has_the_ledgers_figures(make_run):
    folder = make_run([GOOD, BETTER, FAILED], optimiser_j=5.0, overhead_j=2.0, uncertainty=1.0)
    account = Result.load(folder).energy
    shown = words(write_report(folder))
    parts_j = [part.energy_j for part in account.by_purpose.values()]
    for energy_j in (account.total_j, account.budget_j, account.left_j, *parts_j):
        assert format_energy(energy_j) in shown
    assert format_energy(account.total_j + account.total.uncertainty_j) in shown
    assert "within a factor of two" in shown
    assert "0.25 J, the most spent between two checks" in shown
    assert "learning_rate=0.9" in shown


def test_the_charts_are_drawn_from_the_ledger(make_run):
    charts = read(write_report(make_run([GOOD, BETTER, FAILED]))).charts
    front, progress, curves = charts["front-chart"], charts["progress-chart"], charts["curves-chart"]
    points = [record for rows in front["datasets"].values() for record in rows if "energy_j" in record]
    assert {(p["trial"], p["step"]) for p in points} == {(0, 1), (0, 2), (0, 3), (1, 1), (1, 2)}
    steps = [r for rows in progress["datasets"].values() for r in rows if r.get("trial") is not None]
    assert [(r["trial"], r["spent_j"]) for r in steps if r["step"] == 2][-1] == (1, 110.0)
    assert {r["trial"] for rows in curves["datasets"].values() for r in rows} == {0, 1}


def test_nothing_is_requested_from_anywhere(make_run):
    path = write_report(make_run([GOOD, BETTER]))
    html = path.read_text(encoding="utf-8")
    assert read(path).addresses == []
    assert "default-src 'none'" in html
    assert "@import" not in html
    assert not re.search(r"url\((?!#|\")", html.partition("</style>")[0])
    ours = re.sub(r"<script>.*?</script>", "", html, flags=re.S)
    named = re.findall(r"https?://[^\"'\s<]+", ours)
    assert all(address.startswith("https://vega.github.io/schema/vega-lite/") for address in named)


def test_the_chart_library_is_there_once(make_run):
    html = write_report(make_run([GOOD, BETTER])).read_text(encoding="utf-8")
    assert html.count("window.vegaEmbed=") == 1
    assert len(html) < 1_100_000


def test_the_chart_library_is_put_together_once_on_a_machine(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    library = chart_library.__wrapped__()
    (kept,) = (tmp_path / "ecoml").iterdir()
    assert kept.read_text(encoding="utf-8") == library
    kept.write_text("from there", encoding="utf-8")
    assert chart_library.__wrapped__() == "from there"


def test_text_is_escaped(make_run):
    evil = '</script><script>alert("1")</script><img src=x onerror=alert(2)>'
    courses = [
        Course([(0.5, 1.0), (0.6, 1.0)], {"activation": evil, evil: 1}),
        Course([(0.4, 2.0)], {"activation": "relu", evil: 2}),
        Course([], {"activation": "a & b", evil: 3}, TrialState.FAILED, failed(evil)),
    ]
    ended = SearchEnd(StopReason.STRATEGY, {"message": evil})
    path = write_report(make_run(courses, problem=evil, strategy="<b>", ended=ended, gaps=[evil]))
    html = path.read_text(encoding="utf-8")
    ours = re.sub(r"<script>const .*?</script>", "", html, count=1, flags=re.S)
    assert len(ours) < len(html) - 800_000
    assert "<img" not in ours
    assert "<script>alert" not in ours
    assert evil in words(path)
    assert read(path).charts.keys() == {"front-chart", "progress-chart", "curves-chart"}


@pytest.mark.parametrize(
    ("courses", "expected", "charts"),
    [
        ([], "no trial was started", 0),
        ([FAILED, FAILED], "no trial was measured (2 of 2 failed)", 0),
        ([GOOD], "Trial 0 after 3 steps", 3),
        ([Course([(0.5, 1.0)])], "Trial 0 after 1 step reaches", 2),
        ([Course([(0.0, 1.0)]), Course([(0.0, 1.0)])], "reaches 0.00 %", 2),
        ([Course([(0.5, 1e-6)]), Course([(0.6, 1e6)])], "Trial 1 after 1 step", 2),
        ([Course([], state=TrialState.RUNNING)], "no trial was measured", 0),
    ],
)
def test_degenerate_runs_have_a_page(make_run, courses, expected, charts):
    path = write_report(make_run(courses))
    reader = read(path)
    assert expected in words(path)
    assert len(reader.charts) == charts
    assert reader.headings == ["h1", *["h2"] * (len(reader.headings) - 1)]
    assert ("window.vegaEmbed=" in path.read_text(encoding="utf-8")) == (charts > 0)


def test_reported_energy_is_called_so(make_run):
    folder = make_run([GOOD], provenance=Provenance.REPORTED, domain="reported", thinking_cpu_s=12.5, kind="function")
    shown = words(write_report(folder))
    assert "after 3 steps" in shown
    assert "30.0 J of 1.00 kJ, reported" in shown
    assert "ecoml metered none of it" in shown
    assert "12.5 CPU seconds, not part of the reported energy" in shown


def test_gaps_are_told_and_counted(make_run):
    shown = words(write_report(make_run([GOOD], gaps=["gpu:0 could not be read"] * 2, provenance=Provenance.MEASURED)))
    assert "gpu:0 could not be read (2 times)" in shown
    assert "Energy that the meter missed" in shown


def test_a_search_that_is_still_going_on_is_called_so(make_run):
    assert "still going on, or was cut off" in words(write_report(make_run([GOOD], ended=None)))


def test_an_overspent_budget_is_said(make_run):
    shown = words(write_report(make_run([GOOD], budget_j=29.0)))
    assert "Over the budget 1.00 J" in shown


def test_how_to_load_the_recommended_model(make_run):
    folder = make_run([GOOD, BETTER])
    assert "This run contains no weights of it" in words(write_report(folder))
    best = Result.load(folder).recommended
    assert best is not None
    model_path(folder, best).write_bytes(b"")
    shown = words(write_report(folder))
    assert f'ecoml.load_model("{folder}", 1)' in shown


def test_thousands_of_trials_are_thinned_and_said_to_be(make_run):
    courses = [Course([(0.5 + 0.0001 * (i % 977), 1.0 + i % 13)], {"i": i}) for i in range(2500)]
    path = write_report(make_run(courses, budget_j=1e6))
    shown = words(path)
    assert "Of 2,500 points 2,000 are drawn" in shown
    assert "The best 500 of 2,500 trials" in shown
    assert path.stat().st_size < 2_500_000


def test_parameters_that_all_trials_share_are_left_out_of_the_tables(make_run):
    courses = [Course([(0.5, 1.0)], {"a": 1, "b": "same"}), Course([(0.6, 2.0)], {"a": 2, "b": "same"})]
    shown = words(write_report(make_run(courses)))
    assert "parameters that all trials share are left out" in shown
    assert "a=2, b=same" not in shown


def test_figures_are_files_of_their_kinds(make_run):
    folder = make_run([GOOD, BETTER])
    write_report(folder, figures=True)
    figures = folder / "figures"
    assert {path.name for path in figures.iterdir()} == {
        f"{name}.{kind}" for name in ("front", "energy") for kind in ("png", "svg", "pdf")
    }
    png = (figures / "front.png").read_bytes()
    width, height = struct.unpack(">II", png[16:24])
    assert png.startswith(b"\x89PNG")
    assert width > 1000
    assert height > 500
    assert (figures / "front.pdf").read_bytes().startswith(b"%PDF")
    svg = (figures / "front.svg").read_text(encoding="utf-8")
    assert "trial 1" in svg
    assert "var(" not in svg


def test_no_figures_without_a_measurement(make_run):
    folder = make_run([FAILED])
    write_report(folder, figures=True)
    assert not (folder / "figures").exists()


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(RunFolderError, match="no such folder"):
        write_report(tmp_path / "nowhere")


def test_a_page_that_cannot_be_written_is_one_line(make_run):
    run = make_run([GOOD])
    (run / "report.html").mkdir()
    with pytest.raises(UsageError, match=r"cannot be written .*make it writable"):
        write_report(run)


def test_the_head_tells_what_was_asked_for(make_run):
    run = make_run([GOOD])
    assert not any(word in words(write_report(run)) for word in ("Target:", "Limits:", "Warm start"))
    path = run / "run.toml"
    settings = tomllib.loads(path.read_text(encoding="utf-8"))
    settings["limits"] = {
        "target": 0.95,
        "max_parameters": 20_000,
        "max_energy_per_training_j": 3.6,
        "spend_all": True,
    }
    settings["warm_start"] = {
        "run": "runs/old",
        "problem": "digits",
        "trials": 7,
        "left_out": 2,
        "provenance": "measured",
        "learnt": True,
    }
    path.write_text(tomli_w.dumps(settings), encoding="utf-8")
    (head,) = re.findall("<header>(.*?)</header>", write_report(run).read_text(encoding="utf-8"), re.DOTALL)
    for told in (
        "Target: 95.00 % validation accuracy; the search ends when it is reached.",
        "Limits: at most 20,000 parameters a network and 3.60 J a training.",
        "Told to spend the entire budget, even for small gains.",
        "Warm start from 7 trials of runs/old on digits (2 more lie outside this space); its energy (measured) is not"
        " charged again.",
    ):
        assert told in head


def test_the_table_of_trials_tells_how_each_went(make_run):
    left = Course([(0.5, 1.0)], state=TrialState.STOPPED, end=LEFT)
    dear = Course([(0.5, 1.0)], state=TrialState.STOPPED, end=TrialEnd(EndReason.BUDGET))
    told = words(write_report(make_run([GOOD, left, dear, FAILED])))
    table = told[told.index("All 4 trials") :]
    for how in ("finished", "suspended, and not taken up again", "stopped: the budget ended", "failed"):
        assert table.count(how) == 1
    assert table.count("<NaN> & gone") == 1


@pytest.mark.parametrize(
    ("metric", "first", "best", "told"),
    [
        (ACCURACY, 0.55, 0.83, [0.5, 0.6, 0.7, 0.8, 0.85]),
        (
            ACCURACY,
            0.2,
            1.0,
            [0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.925, 0.95, 0.96, 0.97, 0.98, 0.985, 0.99, 0.995, 0.999, 1],
        ),
        (Metric("error", minimize=True, low=0.0, high=1.0), 0.4, 0.17, [0.5, 0.4, 0.3, 0.2, 0.15]),
        (Metric("loss", minimize=True), 2.31, 0.31, [2.0, 1.5, 1.0, 0.5, 0.0]),
        (Metric("loss", minimize=True, low=0.0), 2.31, 0.0, [2.0, 1.5, 1.0, 0.5, 0.0]),
        (Metric("R²", high=1.0), -3.0, -3.0, [0.0]),
    ],
)
def test_targets_follow_the_metric(metric, first, best, told):
    assert list(targets(metric, first, best)) == pytest.approx(told)
