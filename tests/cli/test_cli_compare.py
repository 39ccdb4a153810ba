"""`ecoml compare` as people type it."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import signal
import struct
import subprocess
import sys
import termios
import tomllib

import pytest
from rigs.run_folders import courses, write_run

FILES = {"random": 'strategy = "random"\n', "half": 'strategy = "mo-asha"\n', "grid": 'strategy = "grid"\n'}


@pytest.fixture
def folder(tmp_path):
    """A folder of strategies that think for nothing; `bayes` is one of them, so that it is not added."""
    strategies = tmp_path / "strategies"
    strategies.mkdir()
    for name in ("random", "half"):
        (strategies / f"{name}.toml").write_text(FILES[name])
    (strategies / "bayes.toml").write_text('strategy = "bayes"\n[settings]\ninitial = 64\n')
    return strategies


@pytest.mark.slow
def test_a_folder_of_strategies_as_typed(typed, folder, tiny_space, here):
    """No budget, no folder: it says what it takes, can be interrupted, and the same command goes on to the end."""
    tiny_space.write_text(tiny_space.read_text().replace("epochs = 3", "epochs = 1"))
    arguments = ["compare", folder, "--space", tiny_space, "--seeds", 2]
    command = [sys.executable, "-m", "ecoml", *map(str, arguments)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=os.environ) as begun:
        assert begun.stderr is not None
        said = []
        for line in begun.stderr:
            said.append(line)
            if line.startswith("2 of 6"):
                begun.send_signal(signal.SIGINT)
    assert begun.returncode == 130, said
    assert said[0].startswith("a default training takes ")
    assert "each search may take about 40 times that" in said[1]
    assert "3 strategies (bayes, half, random) × 2 seeds on digits: 6 searches of" in said[2]
    assert " in all, about " in said[2]
    assert "the same command continues" in said[-1]
    out = here / "runs" / "compare-digits-tiny"
    budget_j = tomllib.loads((out / "compare.toml").read_text())["budget_j"]
    done = typed(*arguments)
    assert done.returncode == 0, done.stderr
    assert "1 of 6: bayes, seed 0: done before" in done.stderr
    assert "are still to be spent" in done.stderr
    assert "Energy until" in done.stdout
    assert all((out / name).is_file() for name in ("compare.html", "compare.json", "figures/best-so-far.svg"))
    again = typed(*arguments, "--json")
    assert again.returncode == 0, again.stderr
    assert again.stderr.count("done before") == 6
    assert "a default training takes" not in again.stderr, "nothing is left to be told"
    (problem,) = json.loads(again.stdout)["problems"]
    assert problem["budget_j"] == pytest.approx(budget_j, rel=0.2)
    assert {s["strategy"]: len(s["seeds"]) for s in problem["standings"]} == {"random": 2, "half": 2, "bayes": 2}


@pytest.mark.slow
def test_several_strategy_files(typed, folder, tiny_space, tmp_path):
    (tmp_path / "grid.toml").write_text(FILES["grid"])
    files = (folder / "random.toml", folder / "bayes.toml", tmp_path / "grid.toml")
    budget = ("--budget-kwh", 5e-6, "--seeds", 1, "--space", tiny_space)
    done = typed("compare", *files, *budget, "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert "3 strategies (random, bayes, grid) × 1 seed" in done.stderr
    assert (tmp_path / "out" / "compare.html").is_file()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("strategies/random.toml", "table.csv"), "name either strategies to run or finished runs, not both"),
        (("strategies", "strategies/random.toml", "other/random.toml"), "another strategy is called random too"),
        (("strategies", "--target", "91"), "give a validation accuracy between 0 and 1, such as 0.95"),
        (("strategies", "--reference", "nope"), "'nope' is not among the strategies; use one of bayes, half, random"),
        (("strategies", "--budget-kwh", "-1"), "give a positive, finite number"),
        (("nowhere.toml",), "there is no such file"),
        (("strategies", "--out", "other"), "other: already there, and not a comparison; choose another --out"),
    ],
)
def test_what_cannot_be_run_is_refused_in_one_line_before_anything_is_trained(typed, folder, here, arguments, said):
    folder.rename(here / "strategies")
    (here / "table.csv").write_text("problem,strategy,seed,trial,energy_j,accuracy\np,random,0,0,10,0.5\n")
    (here / "other").mkdir()
    (here / "other" / "random.toml").write_text('strategy = "grid"\n')
    done = typed("compare", *arguments)
    assert done.returncode == 2, done.stderr
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (here / "runs").exists()


@pytest.mark.parametrize("strategies_beside", [False, True])
def test_a_folder_of_comparisons_is_compared_and_a_folder_of_strategies_is_run(typed, here, strategies_beside):
    plan = here / "all" / "one" / "compare.toml"
    write_run(plan.parent / "random" / "seed-0", courses(10.0, 0.5, 0.8))
    plan.write_text("seeds = 1\n[strategies.random]\n")
    if strategies_beside:
        (here / "all" / "random.toml").write_text(FILES["random"])
    done = typed("compare", "all", "--budget-kwh", "-1" if strategies_beside else 1)
    said = "positive, finite" if strategies_beside else "nothing is to be run; leave out --budget-kwh"
    assert said in done.stderr
    if not strategies_beside:
        done = typed("compare", "all", "--json")
        assert [len(problem["standings"]) for problem in json.loads(done.stdout)["problems"]] == [1]


@pytest.mark.parametrize("width", [60, 80, 200])
def test_no_value_is_cut_in_a_narrow_terminal(tmp_path, width):
    """Tables of a dozen columns lost the ends of their values at 80 columns."""
    rows = [f"p,{s},{n},0,{e + n},0.9" for s, e in (("random", 1234), ("one-epoch-top-k", 77)) for n in range(5)]
    table = tmp_path / "table.csv"
    table.write_text("\n".join(["problem,strategy,seed,trial,energy_j,accuracy", *rows]) + "\n")
    terminal, end = pty.openpty()
    fcntl.ioctl(end, termios.TIOCSWINSZ, struct.pack("HHHH", 40, width, 0, 0))
    command = [sys.executable, "-m", "ecoml", "compare", str(table), "--out", str(tmp_path / "out")]
    with subprocess.Popen(command, stdout=end, env={**os.environ, "TERM": "dumb"}):
        os.close(end)
        shown = b""
        with contextlib.suppress(OSError):  # the terminal is gone when the process is
            while part := os.read(terminal, 65536):
                shown += part
    os.close(terminal)
    lines = shown.decode().splitlines()
    assert "…" not in shown.decode()
    for value in ("one-epoch-top-k", "1.24 kJ", "79.0 J", "77.0 J – 81.0 J", "15.6× (15.3–16.0)", "reported"):
        assert any(value in line for line in lines), value
