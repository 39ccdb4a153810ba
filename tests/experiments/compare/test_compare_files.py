"""What a comparison leaves on disk and in the terminal."""

import csv
import json
import re
import sys
from datetime import UTC, datetime, timedelta

import pyarrow.parquet
import pytest
from rigs.run_folders import HEAD, Course, rows_of, write_run

from ecoml.errors import UsageError
from ecoml.experiments.compare import gather, write_comparison
from ecoml.experiments.compare.files import comparison_dict, comparison_page
from ecoml.experiments.compare.tables import print_comparison, sweep_table
from ecoml.run.hindsight import past_grid


def test_everything_is_written_and_the_csv_reads_back(table, tmp_path):
    path = table(
        HEAD
        + rows_of("p", "random", 5, 40)
        + rows_of("p", "<i>bayes</i>", 5, 10)
        + rows_of("p", "grid", 5, 9, score=0.1)
    )
    comparison = gather([path])
    page = write_comparison(comparison, tmp_path / "out")
    html = page.read_text(encoding="utf-8")
    assert {file.name for file in page.parent.iterdir()} == {
        "compare.html",
        "compare.json",
        "compare.csv",
        "compare.parquet",
        "figures",
    }
    names = ("energy-to-target", "best-so-far", "hypervolume")
    assert {file.name for file in (page.parent / "figures").iterdir()} == {
        f"{name}.{kind}" for name in names for kind in ("png", "svg", "pdf")
    }
    assert "&lt;i&gt;bayes" in html
    assert "<i>" not in html
    assert "> 11.0 J".replace(">", "&gt;") in html
    assert html.count("window.vegaEmbed=") == 1
    numbers = json.loads((page.parent / "compare.json").read_text(encoding="utf-8"))
    standings = {s["strategy"]: s for s in numbers["problems"][0]["standings"]}
    assert standings["random"]["energy_j"] == 42.0
    assert standings["grid"]["energy_j"] is None
    assert comparison_dict(gather([page.parent / "compare.csv"])) == comparison_dict(comparison)


def test_the_parquet_file_is_the_csv_with_types(table, tmp_path):
    comparison = gather([table(HEAD + rows_of("p", "random", 2, 40) + "p,bayes,0,0,5,nan\n")])
    folder = write_comparison(comparison, tmp_path / "out").parent
    rows = pyarrow.parquet.read_table(folder / "compare.parquet").to_pylist()
    with (folder / "compare.csv").open(encoding="utf-8") as file:
        told = [["" if value is None else str(value) for value in row.values()] for row in rows]
        assert told == [list(row.values()) for row in csv.DictReader(file)]
    assert [type(rows[0][column]) for column in ("seed", "energy_j", "complete")] == [int, float, bool]


def test_without_pyarrow_it_is_left_out_and_said_to_be(table, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "pyarrow", None)  # as if it were not installed
    comparison = gather([table(HEAD + rows_of("p", "random", 1, 40))])
    page = write_comparison(comparison, tmp_path / "out")
    print_comparison(comparison, page)
    assert not (page.parent / "compare.parquet").exists()
    assert "compare.parquet was left out: it needs pyarrow, pip install 'ecoml[parquet]'" in capsys.readouterr().out


def test_further_targets_are_told_beside_the_first(table, tmp_path, capsys):
    text = HEAD + rows_of("p", "random", 2, 40) + rows_of("p", "bayes", 2, 10, score=0.95)
    comparison = gather([table(text)], targets=[0.9, 0.5, 0.95])
    (problem,) = comparison.problems
    assert problem.target == 0.9
    assert sweep_table(problem, comparison.targets).rows == (
        ("50.00 %", "40.5 J (2/2)", "10.5 J (2/2)"),
        ("90.00 %", "40.5 J (2/2)", "10.5 J (2/2)"),
        ("95.00 %", "> 40.5 J (0/2)", "10.5 J (2/2)"),
    )
    numbers = comparison_dict(comparison)["further_targets"]
    assert [further["target"] for further in numbers] == [0.5, 0.95]
    print_comparison(comparison, write_comparison(comparison, tmp_path / "out"))
    assert "> 40.5 J (0/2)" in capsys.readouterr().out


def test_several_problems_have_a_page_and_a_figure_of_ratios(table, tmp_path):
    text = HEAD
    for problem in ("p", "q", "r"):
        text += rows_of(problem, "random", 1, 40) + rows_of(problem, "bayes", 1, 10)
    page = write_comparison(gather([table(text)]), tmp_path / "out")
    html = page.read_text(encoding="utf-8")
    assert "Over 3 problems no strategy needs significantly less energy than another." in html, "one seed says nothing"
    assert "Over all problems" in html
    assert "4.00×" in html


def without_source(value, known=False, where=""):
    """Paths of joules with no provenance beside or above them."""
    if isinstance(value, list):
        return [path for item in value for path in without_source(item, known, where)]
    if not isinstance(value, dict):
        return []
    known = known or "provenance" in value
    own = [f"{where}.{key}" for key in value if key.endswith("_j") and not known]
    return own + [path for key, item in value.items() for path in without_source(item, known, f"{where}.{key}")]


def test_every_joule_has_a_source(table, tmp_path):
    text = HEAD + rows_of("p", "random", 5, 40) + rows_of("p", "bayes", 5, 10, score=0.95)
    comparison = gather([table(text)], targets=[0.9, 0.95])
    numbers = comparison_dict(comparison)
    assert without_source(numbers) == []
    (further,) = numbers["further_targets"]
    assert (further["target"], further["provenance"]) == (0.95, "reported")
    html = comparison_page(comparison)
    told = re.findall(r'"energy": ?"([^"]+)"', html)
    assert told
    assert all(energy.endswith("(reported)") for energy in told)
    assert re.search(r"ideal point \(validation accuracy 100.00 %, [0-9.]+ J; reported\)", html)


@pytest.mark.parametrize("inside", ["file/out", "file"])
def test_a_folder_that_cannot_be_written_is_one_line(table, tmp_path, inside):
    (tmp_path / "file").write_text("", encoding="utf-8")
    comparison = gather([table(HEAD + rows_of("p", "random", 1, 40))])
    with pytest.raises(UsageError, match=r"cannot be written .*choose another --out") as caught:
        write_comparison(comparison, tmp_path / inside)
    assert "\n" not in str(caught.value)


def test_co2e_of_run_folders_is_by_the_hour_and_of_a_table_by_a_number(table, tmp_path):
    folder = write_run(tmp_path / "run", [Course([(0.6, 3.6e6)])], budget_j=1e7)
    hours = [datetime.now(UTC) + timedelta(hours=n) for n in (-1, 1)]
    grid = tmp_path / "grid.csv"
    grid.write_text(f"{hours[0].isoformat()},200\n{hours[1].isoformat()},400\n", encoding="utf-8")
    runs, both = gather([folder]), gather([folder, table(HEAD + "p,random,0,0,3.6e6,0.5\n")])
    assert "200 g at 200 g/kWh on average (table: grid.csv)." in comparison_page(runs, runs.footprint(past_grid(grid)))
    assert (
        "200 g at 200 g/kWh on average (table: grid.csv); for 3.60 MJ the intensity is not known."
        in comparison_page(both, both.footprint(past_grid(grid)))
    )
    assert "600 g at 300 g/kWh, as given." in comparison_page(both, both.footprint(past_grid(300)))


def test_co2e_is_in_page_json_and_terminal(table, tmp_path, capsys):
    comparison = gather([table(HEAD + "p,random,0,0,3.6e6,0.5\n")])
    footprint = comparison.footprint(past_grid(300))
    page = write_comparison(comparison, tmp_path / "out", footprint)
    kept = json.loads((page.parent / "compare.json").read_text())
    assert (kept["co2e"]["co2e_g"], kept["co2e"]["g_per_kwh"], kept["co2e"]["provenance"]) == (300.0, 300.0, "stated")
    assert comparison_dict(comparison, footprint) == kept
    print_comparison(comparison, page, footprint)
    assert "1 search: 1 kWh (reported). CO2e: 300 g at 300 g/kWh, as given." in capsys.readouterr().out
    assert comparison_dict(comparison)["co2e"] is None


@pytest.mark.parametrize("given", ["nowhere.csv", "0", "electricitymaps:DE"])
def test_what_is_no_grid_of_the_past_is_refused_before_anything_is_written(given, table, tmp_path, monkeypatch, typed):
    monkeypatch.setenv("ELECTRICITYMAPS_API_KEY", "secret")
    monkeypatch.chdir(tmp_path)
    done = typed("compare", table(HEAD + "p,random,0,0,1,0.5\n"), "--grid-intensity", given, "--out", "out")
    assert (done.returncode, "grid" in done.stderr) == (2, True)
    assert not (tmp_path / "out").exists()
