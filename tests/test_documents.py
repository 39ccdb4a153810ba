"""What the documents show is run, what they name is there, and they stay readable."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.core import TyperGroup

import ecoml
from ecoml.cli import app

ROOT = Path(__file__).parent.parent
DOCUMENTS = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCED = re.compile(r"^```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\(([^)\s]+)\)")
CONSTANT = r"^\| `(\w+)\.py` \| `(\w+)` \| ([^|]+) \|"
PRIORS = {("surrogate", "_LENGTHSCALE"), ("surrogate", "_SCALES")}  # a table of their own
COLUMNS, README_LINES, README_WORDS = 120, 120, 900

each_document = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))


def blocks(document, language="python"):
    return [code for of, code in FENCED.findall((ROOT / document).read_text(encoding="utf-8")) if of == language]


def prose(document):
    return FENCED.sub("", document.read_text(encoding="utf-8"))


def anchors(document):
    """What a link may name after its `#`, as GitHub makes it of headings; the second of a kind ends in `-1`."""
    found: list[str] = []
    for heading in re.findall(r"^#+ (.*)$", prose(document), re.MULTILINE):
        slug = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        count = sum(re.fullmatch(rf"{re.escape(slug)}(-\d+)?", other) is not None for other in found)
        found.append(f"{slug}-{count}" if count else slug)
    return found


@each_document
def test_links_lead_somewhere(document):
    for link in LINK.findall(prose(document)):
        if not link.startswith(("http://", "https://")):
            name, _, anchor = link.partition("#")
            target = (document.parent / name).resolve() if name else document
            assert target.exists(), link
            assert not anchor or anchor in anchors(target), link


@each_document
def test_lines_of_prose_are_short(document):
    """All but tables, code, and what a link leads to."""
    lines = [LINK.sub("]", line) for line in prose(document).splitlines() if not line.startswith(("|", "    "))]
    assert [line for line in lines if len(line) > COLUMNS] == []


@each_document
def test_files_that_are_named_are_there(document):
    rooms = r"ecoml|tests|benchmarks|baselines|search_spaces|docs"
    named = re.findall(rf"`((?:{rooms})/[\w./-]*)`", prose(document))
    assert [path for path in named if not (ROOT / path).exists()] == []


@each_document
def test_python_that_is_shown_uses_public_names(document):
    named = {name for code in blocks(document) for name in re.findall(r"\becoml\.(\w+)", code)}
    assert sorted(named - set(ecoml.__all__) - {"integrations"}) == []  # which has names of its own


@each_document
def test_commands_that_are_shown_are_understood(document):
    """Every line of code that calls ecoml names a command, and options that this command has."""
    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)
    for code in blocks(document, language=""):
        for line in code.replace("\\\n", " ").splitlines():
            words = line.partition(" #")[0].partition(" -- ")[0].split()
            if words[:1] == ["ecoml"]:
                command = group.commands[words[1]]
                if isinstance(command, TyperGroup):
                    command = command.commands[words[2]]
                known = {name for parameter in command.params for name in parameter.opts + parameter.secondary_opts}
                assert {word.partition("=")[0] for word in words if word.startswith("--")} <= known, line


def test_the_readme_is_one_page():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= README_LINES
    assert len(text.split()) <= README_WORDS


def test_the_constants_of_bayes():
    """Each number at the top of a module of `bayes` stands in the table, with its value, and no other does."""
    text = prose(ROOT / "docs/explanations/bayes-constants.md")
    rows = {(module, name): value for module, name, value in re.findall(CONSTANT, text, re.MULTILINE)}
    for path in (ROOT / "ecoml/strategies/bayes").glob("*.py"):
        module = import_module(f"ecoml.strategies.bayes.{path.stem}")
        for name in re.findall(
            r"^(_?[A-Z][A-Z_]+)(?:: \S+)? = [\d.(-]", path.read_text(encoding="utf-8"), re.MULTILINE
        ):
            if (path.stem, name) not in PRIORS:
                value = rows.pop((path.stem, name), "'not in the table'")
                assert eval(value) == getattr(module, name), (path.stem, name)  # noqa: S307 - our own document
    assert not rows


def test_the_example_of_the_readme(tmp_path, monkeypatch):
    (code,) = blocks("README.md")
    names: dict[str, Any] = {}
    monkeypatch.chdir(tmp_path)
    exec(code.replace("fashion-mnist", "digits").replace("budget_kwh=0.005", "budget_j=30"), names)  # noqa: S102
    result = names["result"]
    assert result.energy.total_j <= 30 + result.energy.overshoot_bound_j
    assert len(names["model"].classes) == 10


def test_the_strategy_of_the_documentation(space, tmp_path):
    def train(config):
        for step in range(20):
            yield ecoml.Measurement(score=0.5 + config["width"] / 1000 + step / 100, energy_j=config["width"])

    told = f"seed=0), energy='reported', directory={str(tmp_path / 'run')!r}"
    code = blocks("docs/contributing/extending.md")[0].replace("seed=0)", told)
    exec(code, {"space": space, "train": train})  # noqa: S102 - our own document
    trials = ecoml.Result.load(tmp_path / "run").trials
    assert sorted(trial.step for trial in trials) == [1, 1, 1, 1, 3, 3, 7, 7]


def test_the_training_of_the_documentation(tmp_path, monkeypatch):
    code = next(block for block in blocks("docs/guides/using.md") if "fit_one_epoch" in block)
    names = {"build": dict, "fit_one_epoch": lambda model: sum(range(20_000)), "evaluate": lambda model: 0.9}
    monkeypatch.chdir(tmp_path)
    exec(code.replace("budget_kwh=2", "budget_j=3"), names)  # noqa: S102 - our own document
    result = names["result"]
    assert isinstance(result, ecoml.Result)
    assert result.energy.total_j == pytest.approx(3, abs=max(3, 2 * result.energy.overshoot_bound_j))
    assert result.recommended is not None
    assert result.recommended.score == 0.9
