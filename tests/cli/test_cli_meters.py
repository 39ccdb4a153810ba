"""`ecoml meters` as a user runs it, on the host the tests run on."""

import json
import signal
import subprocess
import sys

import pytest

from ecoml.meter import open_meter


@pytest.fixture(scope="module")
def measured():
    """Whether this host has a counter of its processor."""
    with open_meter(claims=False) as meter:
        return not any(source.name == "estimate" and source.used for source in meter.sources)


def words(text):
    return " ".join(text.split())


def test_the_table_names_every_source_with_its_whole_remedy(ecoml):
    shown, told = ecoml("meters"), ecoml("meters", "--json")
    assert (shown.returncode, told.returncode) == (0, 0), shown.stderr + told.stderr
    assert shown.stderr == ""
    rows = json.loads(told.stdout)
    assert {"name", "domain", "provenance", "covers", "remedy", "period_s", "readable", "used"} <= set(rows[0])
    assert any(row["used"] for row in rows)
    for row in rows:
        assert row["covers"] in words(shown.stdout)
        assert row["remedy"] in words(shown.stdout)
        assert row["remedy"] or (row["readable"] and row["used"]), f"{row['name']}: a reason is missing"
    assert max(map(len, shown.stdout.splitlines())) <= 80
    assert "\x1b" not in shown.stdout


def test_watching_for_two_seconds(ecoml):
    done = ecoml("meters", "--watch", "--seconds", 2)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) == 2
    assert all(" W (" in line for line in done.stdout.splitlines())


def test_watching_is_ended_by_ctrl_c_without_a_word(tmp_path):
    command = [sys.executable, "-m", "ecoml", "meters", "--watch"]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert " W (" in process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (0, "")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--watch", "--check"), "give one of them"),
        (("--seconds", "3"), "--watch --seconds 10"),
        (("--watch", "--seconds", "0"), "at least 1 s"),
        (("--watch", "--seconds", "nan"), "at least 1 s"),
    ],
)
def test_options_that_do_not_go_together(typed, arguments, said):
    done = typed("meters", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_calibrating_without_a_counter_is_refused_in_one_line(typed, measured):
    if measured:
        pytest.skip("this host has a counter of its processor")
    done = typed("meters", "--calibrate")
    assert (done.returncode, done.stdout) == (2, "")
    assert "--calibrate needs a counter of the processor" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.slow
def test_the_probe_of_this_host(ecoml):
    done = ecoml("meters", "--check", "--json")
    told = json.loads(done.stdout)
    assert done.returncode == (0 if told["agrees"] else 1)
    assert told["elapsed_s"] < 30
    assert told["spent_j"] > 0
    assert all(finding["load_w"] > finding["rest_w"] for finding in told["findings"])
