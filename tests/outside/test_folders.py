"""The user's folders, where there are variables, a home folder, or neither."""

import os
import pwd
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

import ecoml
from ecoml.outside.folders import cache_folder, config_folder, expanded, state_folder, whole, write_whole

NOBODY = """
import os, pwd, sys

def nobody(number):
    raise KeyError(number)

pwd.getpwuid = nobody  # a user's number without an entry, as in many containers
from ecoml.cli import main
main()
"""


@pytest.fixture
def homeless(monkeypatch, tmp_path):
    def nobody(number):
        raise KeyError(number)

    for variable in ("HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", nobody)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path / f"ecoml-{os.getuid()}"


def test_variables_come_before_the_home_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    for variable, folder, below in (
        ("XDG_CACHE_HOME", cache_folder, ".cache"),
        ("XDG_CONFIG_HOME", config_folder, ".config"),
        ("XDG_STATE_HOME", state_folder, ".local/state"),
    ):
        monkeypatch.delenv(variable, raising=False)
        assert folder() == tmp_path / below / "ecoml"
        monkeypatch.setenv(variable, "/elsewhere")
        assert folder() == Path("/elsewhere/ecoml")


def test_without_a_home_folder_there_is_one_of_ones_own_for_temporary_files(homeless):
    assert cache_folder() == homeless / ".cache" / "ecoml"
    assert config_folder().is_relative_to(homeless)
    assert stat.S_IMODE(homeless.stat().st_mode) == 0o700
    assert expanded("~/photos") == Path("~/photos")


def test_a_folder_that_somebody_else_made_is_not_used(homeless, monkeypatch):
    homeless.mkdir()
    theirs = homeless.stat().st_uid
    monkeypatch.setattr(os, "getuid", lambda: theirs + 1)
    homeless.rename(homeless.with_name(f"ecoml-{theirs + 1}"))
    with pytest.raises(PermissionError, match="belongs to another user: set HOME"):
        state_folder()


def test_a_search_needs_no_home_folder(tmp_path):
    given = {name: value for name, value in os.environ.items() if name != "HOME" and not name.startswith("XDG_")}
    command = ("search", "--budget-kwh", "0.00003", "--max-trials", "1", "--strategy", "random", "--out", "run")
    done = subprocess.run(
        [sys.executable, "-c", NOBODY, *command],
        cwd=tmp_path,
        env={**given, "TMPDIR": str(tmp_path), "PYTHONPATH": str(Path(ecoml.__file__).parents[1])},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Recommended: trial 0" in done.stdout
    assert "the page was not written: charts need a home folder" in done.stderr


def test_a_file_is_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "new" / "file"
    write_whole(path, "old")
    with pytest.raises(UnicodeEncodeError):
        write_whole(path, "half \udce9")
    assert path.read_text() == "old"
    assert list(path.parent.iterdir()) == [path]
    (tmp_path / "folder").mkdir()
    with pytest.raises(IsADirectoryError) as caught:
        write_whole(tmp_path / "folder", "text")
    assert caught.value.filename == str(tmp_path / "folder")
    assert {entry.name for entry in tmp_path.iterdir()} == {"new", "folder"}


def test_a_folder_is_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "new" / "folder"
    for error in (OSError, KeyboardInterrupt):
        with pytest.raises(error), whole(path) as unfinished:
            unfinished.mkdir()
            (unfinished / "file").write_text("half")
            raise error
        assert not list(path.parent.iterdir())
    with whole(path) as first:
        first.mkdir()
        (first / "file").write_text("one")
    with pytest.raises(OSError, match="not empty"), whole(path) as second:
        second.mkdir()
    assert [entry.name for entry in path.parent.iterdir()] == ["folder"]
    assert (path / "file").read_text() == "one"
