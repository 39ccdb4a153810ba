"""The pages as people see them: in a browser, on a phone, in the dark, on paper, by keyboard, by accessibility tree."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from rigs.run_folders import LEFT, Course, failed, write_run

from ecoml.experiments.compare import gather, write_comparison
from ecoml.report.page.page import write_report
from ecoml.trial import TrialState

FAILED = Course(
    [], {"learning_rate": 0.9, "width": 8, "steps": 8}, TrialState.FAILED, failed("FloatingPointError: gone"), 3.0
)


def many(count, steps=3):
    """Trials that get better with width and learn at different speeds; some fail, some are left."""
    rng = random.Random(7)
    courses = []
    for number in range(count):
        width = rng.randint(4, 64)
        config = {"width": width, "learning_rate": 10 ** rng.uniform(-4, -1), "block": rng.choice("ab"), "steps": 8}
        curve = [
            (min(0.99, 0.4 + 0.004 * width + 0.08 * step + 0.05 * rng.random()), 2.0 + width / 8)
            for step in range(steps)
        ]
        left = number % 5 == 4
        courses.append(
            FAILED
            if number % 11 == 10
            else Course(
                curve,
                config,
                TrialState.STOPPED if left else TrialState.FINISHED,
                LEFT if left else None,
            )
        )
    return courses


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """The page of a run of thirty trials."""
    folder = tmp_path_factory.mktemp("run") / "run"
    write_run(folder, many(30), optimiser_j=20.0, overhead_j=5.0, uncertainty=1.0, budget_j=2000.0)
    return write_report(folder, grid_intensity=300.0)


@pytest.fixture(scope="module")
def comparison(tmp_path_factory):
    """The page of three strategies with five seeds, one of which never reaches the target."""
    folder = tmp_path_factory.mktemp("compare")
    rng = random.Random(3)
    lines = ["problem,strategy,seed,trial,energy_j,accuracy"]
    for strategy, pace in (("random", 1.0), ("bayes", 2.5), ("grid", 0.2)):
        for seed in range(5):
            for trial in range(14):
                score = min(0.97, 0.5 + 0.04 * pace * trial * rng.random())
                lines.append(f"digits,{strategy},{seed},{trial},{rng.uniform(5, 20):.3f},{score:.4f}")
    (folder / "table.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return write_comparison(gather([folder / "table.csv"], targets=[0.8, 0.9]), folder / "out")


def quiet(opened):
    assert opened.complaints == []
    assert opened.requests == []


def drawn(opened):
    """Marks that each chart shows: symbols, lines and areas that have a size."""
    return opened.page.evaluate(
        """() => Object.fromEntries([...document.querySelectorAll('.chart')].map(chart => [chart.id,
            [...chart.querySelectorAll('.mark-symbol path, .mark-line path, .mark-area path')].filter(path => {
                const box = path.getBBox(); return box.width + box.height > 1;
            }).length]))"""
    )


def test_nothing_goes_wrong_nothing_is_asked_for_and_no_chart_is_empty(open_page, report, comparison):
    for path, charts in ((report, 3), (comparison, 3)):
        opened = open_page(path)
        marks = drawn(opened)
        assert len(marks) == charts
        assert all(count > 2 for count in marks.values()), marks
        quiet(opened)


@pytest.mark.parametrize("width", [390, 1200])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_sticks_out_on_a_phone_or_a_desk_and_text_can_be_read(open_page, report, comparison, width, scheme):
    for path in (report, comparison):
        opened = open_page(path, viewport={"width": width, "height": 844}, color_scheme=scheme)
        assert opened.page.evaluate("document.documentElement.scrollWidth") <= width
        assert opened.page.evaluate(CONTRASTS) == []
        assert opened.page.evaluate(CUT) == []
        quiet(opened)


CUT = """() => [...document.querySelectorAll('.scroll')].filter(e => e.scrollWidth > e.clientWidth + 1)
    .map(e => e.getAttribute('aria-label'))"""
"""Tables of which a part is out of sight."""

CONTRASTS = """() => {
  const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
  const rgb = colour => {
    canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1); return canvas.getImageData(0, 0, 1, 1).data;
  };
  const light = colour => [0.2126, 0.7152, 0.0722].reduce((sum, weight, i) => {
    const c = rgb(colour)[i] / 255; return sum + weight * (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
  }, 0);
  const paper = light(getComputedStyle(document.documentElement).backgroundColor);
  const contrast = colour => {
    const ink = light(colour); return (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05);
  };
  const text = [...document.querySelectorAll('p, td, th, dt, dd, h1, h2, figcaption, summary, .config')]
    .filter(e => e.textContent.trim() && !e.querySelector('.none'))
    .map(e => [e.tagName + ' ' + e.textContent.slice(0, 30), contrast(getComputedStyle(e).color)]);
  const labels = [...document.querySelectorAll('.chart text')]
    .map(e => ['chart ' + e.textContent, contrast(getComputedStyle(e).fill)]);
  return [...text, ...labels].filter(([, ratio]) => ratio < 4.5);
}"""
"""Text whose contrast to the page is below 4.5 : 1, what WCAG 2 asks of text (AA)."""


def test_on_paper_everything_is_there_and_nothing_is_cut_off(open_page, report):
    opened = open_page(report)
    opened.page.emulate_media(media="print")
    assert opened.page.evaluate("getComputedStyle(document.documentElement).backgroundColor") == "rgb(255, 255, 255)"
    assert opened.page.evaluate("getComputedStyle(document.querySelector('.tall')).maxHeight") == "none"
    assert opened.page.evaluate("getComputedStyle(document.querySelector('.picker')).display") == "none"
    assert opened.page.pdf(format="A4", prefer_css_page_size=True).startswith(b"%PDF")


def test_a_click_on_a_point_tells_its_configuration(open_page, report):
    opened = open_page(report)
    page = opened.page
    points = page.locator("#front-chart .mark-symbol path")
    assert points.count() > 60
    place = page.evaluate(  # the middle of a point that no other one covers
        """() => { for (const path of document.querySelectorAll('#front-chart .mark-symbol path')) {
            path.scrollIntoView({block: 'center'});
            const box = path.getBoundingClientRect(); const x = box.x + box.width / 2, y = box.y + box.height / 2;
            if (document.elementFromPoint(x, y) === path) return [x, y];
        } }"""
    )
    page.mouse.move(*place)
    tooltip = page.locator("#vg-tooltip-element.visible")
    tooltip.wait_for()
    assert "width" in tooltip.inner_text()
    assert "learning_rate" in tooltip.inner_text()
    page.mouse.click(*place)
    told = page.locator(".picked dl")
    told.wait_for()
    assert "learning_rate" in told.inner_text()
    assert "estimated" in told.inner_text()
    quiet(opened)


def test_the_front_can_be_walked_with_the_keyboard_alone(open_page, report):
    opened = open_page(report)
    page = opened.page
    page.locator(".picker button").last.focus()
    rows = page.locator("#front tbody tr")
    for row in range(2):
        page.keyboard.press("ArrowRight")
        assert page.locator("tr.picked-row").count() == 1
        assert "picked-row" in (rows.nth(row).get_attribute("class") or "")
        chosen = rows.nth(row).inner_text().split()
        told = page.locator(".picked dl").inner_text()
        assert chosen[0] in told
        assert f"{chosen[2]} %" in told
    page.keyboard.press("ArrowLeft")
    assert "picked-row" in (rows.nth(0).get_attribute("class") or "")
    ring = page.locator("#front-chart .mark-symbol path[fill=transparent]")  # around the chosen point
    ring.wait_for()
    assert ring.count() == 1
    reached = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.tagName"))
    assert {"BUTTON", "DIV", "SUMMARY"} <= reached
    quiet(opened)


def test_a_table_sorts_by_figures_both_ways_and_says_so(open_page, report):
    opened = open_page(report)
    page = opened.page
    table = page.locator("#trials table")
    heading = table.locator("thead th").nth(3)
    assert heading.get_attribute("aria-sort") == "none"

    def energies():
        keys = table.evaluate("t => [...t.tBodies[0].rows].map(row => Number(row.cells[3].dataset.value))")
        assert len(keys) == 30
        return keys

    heading.locator("button").focus()
    page.keyboard.press("Enter")
    assert heading.get_attribute("aria-sort") == "ascending"
    assert energies() == sorted(energies())
    page.keyboard.press("Enter")
    assert heading.get_attribute("aria-sort") == "descending"
    assert energies() == sorted(energies(), reverse=True)
    score = table.locator("thead th").nth(2)
    for _ in range(2):  # failed trials have no accuracy: they stay last, both ways
        score.locator("button").click()
        assert table.locator("tbody tr").last.locator("td").nth(1).inner_text() == "–"
    assert heading.get_attribute("aria-sort") == "none"
    quiet(opened)


def test_a_screen_reader_finds_names_for_everything(open_page, report, comparison):
    for path in (report, comparison):
        opened = open_page(path)
        nameless = opened.page.evaluate(
            """() => [...document.querySelectorAll('[role=img], [role=region], [role=group], button, table, section')]
                .filter(e => !e.matches('[aria-label], [aria-labelledby]') && !e.textContent.trim())
                .map(e => e.outerHTML.slice(0, 80))"""
        )
        assert nameless == []
        seen = opened.page.locator("main").aria_snapshot()
        for name in ("heading", "table", "img"):
            assert name in seen
        assert opened.page.evaluate("document.querySelectorAll('table:not(:has(caption))').length") == 0
        assert opened.page.evaluate("document.documentElement.lang") == "en"


@pytest.mark.parametrize(
    ("courses", "charts"),
    [
        ([Course([(0.5, 1.0)])], 2),
        ([FAILED, FAILED], 0),
        (many(5000, steps=2), 3),
    ],
    ids=["one-trial", "all-failed", "5000-trials"],
)
def test_the_page_of_a_run_of_any_size(open_page, tmp_path, courses, charts):
    path = write_report(write_run(tmp_path / "run", courses, budget_j=1e6))
    opened = open_page(path)
    marks = drawn(opened)
    assert len(marks) == charts
    assert all(marks.values()), marks
    quiet(opened)


@pytest.mark.parametrize(
    ("strategies", "target", "said"),
    [
        (["random"], None, "there is only one strategy"),
        (["random", "bayes"], 0.999, "no search reached the target"),
    ],
)
def test_the_page_of_a_comparison_that_says_little(open_page, tmp_path, strategies, target, said):
    for strategy in strategies:
        for seed in range(2):
            write_run(tmp_path / f"{strategy}-{seed}", many(4), strategy=strategy, seed=seed)
    targets = [] if target is None else [target]
    runs: list[Path] = sorted(tmp_path.iterdir())
    path = write_comparison(gather(runs, targets=targets), tmp_path / "out")
    opened = open_page(path)
    assert said in opened.page.inner_text(".warning")
    marks = drawn(opened)
    assert len(marks) == 3
    assert all(marks.values()), marks
    quiet(opened)
