"""Terminals without streams or without Unicode, and names of files that are no text."""

import os
import subprocess
import sys

import pytest

COMMAND = f'"{sys.executable}" -m ecoml'


def shell(line, folder, **environment):
    return subprocess.run(
        ["sh", "-c", line], cwd=folder, env={**os.environ, **environment}, capture_output=True, timeout=600, check=False
    )


def test_a_search_without_standard_streams_ends_and_is_reported(tmp_path, tiny_space):
    search = f"{COMMAND} search --data digits --space {tiny_space} --strategy random --max-trials 1 --budget-kwh 0.001"
    done = shell(f"{search} --out run 0<&- 1>&- 2>&-", tmp_path)
    assert done.returncode == 0
    written = (tmp_path / "run/report.html").read_text(encoding="utf-8")
    assert written.rstrip().endswith("</html>"), "no output went into a file of the search"
    assert shell(f"{COMMAND} report run 1>&- 2>&-", tmp_path).returncode == 0


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_terminal_without_unicode_gets_question_marks(tmp_path, encoding):
    done = shell(f"{COMMAND} meters", tmp_path, PYTHONIOENCODING=encoding)
    assert done.returncode == 0, done.stderr
    assert b"?" in done.stdout
    done.stdout.decode(encoding)


def test_a_folder_that_is_not_utf_8_is_refused_before_anything_is_spent(tmp_path, images):
    named = os.fsencode(tmp_path) + b"/caf\xe9"
    command = [sys.executable, "-m", "ecoml", "search", "--budget-kwh", "0.001"]
    done = subprocess.run([*command, "--data", "digits", "--out", named], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "its name is not UTF-8; choose another --out" in done.stderr
    assert not os.path.exists(named)  # noqa: PTH110 - bytes

    os.rename(images, named)  # noqa: PTH104 - bytes
    done = subprocess.run([*command, "--data", named], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "its name is not UTF-8; rename it" in done.stderr


def test_a_class_that_is_not_utf_8_is_refused_and_other_files_are_named_with_escapes(
    ecoml, tmp_path, images, tiny_space
):
    here = os.fsencode(images)
    os.rename(here + b"/dark", here + b"/d\xe4rk")  # noqa: PTH104 - bytes
    search = (
        "search",
        "--data",
        images,
        "--space",
        tiny_space,
        "--max-trials",
        1,
        "--budget-kwh",
        0.001,
        "--out",
        "run",
    )
    done = ecoml(*search)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "d\\udce4rk': the class's name is not UTF-8; rename the folder" in done.stderr

    os.rename(here + b"/d\xe4rk", here + b"/dark")  # noqa: PTH104 - bytes
    with open(here + b"/dark/note.\xe4x", "wb") as file:  # noqa: PTH123 - bytes
        file.write(b"not an image")
    assert ecoml(*search).returncode == 0
    assert "udce4x" in (tmp_path / "here/run/run.toml").read_text(encoding="utf-8")
    assert ecoml("report", "run").returncode == 0
