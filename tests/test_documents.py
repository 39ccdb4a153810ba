"""What the documents show is run, what they name is there, and they stay readable."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from importlib import import_module
from inspect import signature
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.core import TyperGroup

import ecoml
from ecoml.cli import app
from ecoml.strategies import create_strategy

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "docs"))

import command_line  # noqa: E402 - a script of the site

PAGES = sorted((ROOT / "docs").rglob("*.md"))
NAMES = ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"]
DOCUMENTS = [*(ROOT / name for name in NAMES), *PAGES]
FENCED = re.compile(r"^```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\(([^)\s]+)\)")
CONSTANT = r"^\| `(\w+)\.py` \| `(\w+)` \| ([^|]+) \|"
NUMBER = r"^(_?[A-Z][A-Z_]+)(?:: \S+)? = [\d.(-]"
PRIORS = {("surrogate", "_LENGTHSCALE"), ("surrogate", "_SCALES")}  # a table of their own
COLUMNS, README_LINES, PAGE_WORDS = 120, 120, 900

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
            if target != ROOT / "docs" / command_line.PAGE:  # made with the site
                assert target.exists(), link
                assert not anchor or anchor in anchors(target), link


@each_document
def test_lines_of_prose_are_short(document):
    """All but tables, code, and what a link leads to."""
    lines = [LINK.sub("]", line) for line in prose(document).splitlines() if not line.startswith(("|", "    "))]
    assert [line for line in lines if len(line) > COLUMNS] == []


@each_document
def test_files_that_are_named_are_there(document):
    rooms = r"ecoml|tests|benchmarks|baselines|search_spaces|docs|examples"
    named = re.findall(rf"`((?:{rooms})/[\w./-]*)`", prose(document))
    assert [path for path in named if not (ROOT / path).exists()] == []


@each_document
def test_python_that_is_shown_uses_public_names(document):
    named = {name for code in blocks(document) for name in re.findall(r"\becoml\.(\w+)", code)}
    assert sorted(named - set(ecoml.__all__) - {"integrations", "testing"}) == []  # which have names of their own


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


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_pages_are_short(page):
    """Words outside of code and tables."""
    text = "\n".join(line for line in prose(page).splitlines() if not line.startswith("|"))
    assert len(text.split()) <= PAGE_WORDS


@each_document
def test_python_that_is_shown_is_python(document):
    for code in blocks(document):
        ast.parse(re.sub(r"^--8<--.*$", "", code, flags=re.MULTILINE))


@each_document
def test_programs_that_a_page_holds_are_there(document):
    for path in re.findall(r'^--8<-- "(.+)"$', document.read_text(encoding="utf-8"), re.MULTILINE):
        assert (ROOT / path).is_file(), path


@each_document
def test_toml_that_is_shown_is_understood(document, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if "mine.py" in document.read_text(encoding="utf-8"):  # which a page of strategies shows first
        (tmp_path / "mine.py").write_text(blocks(document)[0], encoding="utf-8")
    for number, code in enumerate(blocks(document, language="toml")):
        path = tmp_path / f"{number}.toml"
        path.write_text(code, encoding="utf-8")
        if "[parameters." in code:
            ecoml.load_space(path)
        elif code.startswith("strategy"):
            create_strategy(str(path), ecoml.load_space("cnn-small"), 0)


def test_every_page_has_its_place_on_the_site():
    site = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    placed = re.findall(r"^ +- (?:[\w ]+: )?([\w/-]+\.md)$", site, re.MULTILINE)
    assert sorted(placed) == sorted([*(str(page.relative_to(ROOT / "docs")) for page in PAGES), command_line.PAGE])


def test_every_public_name_is_in_the_reference():
    text = (ROOT / "docs/reference/api.md").read_text(encoding="utf-8")
    assert sorted(re.findall(r"^::: ecoml\.(\w+)$", text, re.MULTILINE)) == sorted(ecoml.__all__)


def test_every_command_and_option_is_in_the_reference():
    text = command_line.page()
    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)
    for name, command in group.commands.items():
        assert f"## ecoml {name}" in text
        for option in (name for parameter in command.params for name in parameter.opts if name.startswith("--")):
            assert option in text


def test_the_versions_agree():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    cited = re.search(r"^version: (\S+)$", (ROOT / "CITATION.cff").read_text(encoding="utf-8"), re.MULTILINE)
    assert cited is not None
    assert project["version"] == ecoml.__version__ == cited[1]


def test_the_json_of_a_result_is_as_the_reference_says(tmp_path):
    space = ecoml.Space({"width": ecoml.Int(1, 9)})
    searcher = ecoml.Searcher(space, _replayed, budget_j=9, energy="reported", directory=tmp_path / "run", max_trials=2)
    told = searcher.run().to_dict()
    text = (ROOT / "docs/reference/run-folder.md").read_text(encoding="utf-8")
    named = {name for row in re.findall(r"^\| (`.*?`) \|", text, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)}
    assert {*told, *told["trials"][0]} <= named


def test_the_commands_without_json_are_named():
    text = prose(ROOT / "docs/guides/command_line.md")
    (named,) = re.findall(r"All commands but (.*?) accept `--json`", text)
    callbacks = [command.callback for command in app.registered_commands if command.callback is not None]
    without = {callback.__name__ for callback in callbacks if "as_json" not in signature(callback).parameters}
    assert set(re.findall(r"`(\w+)`", named)) == without


def _replayed(config):
    yield ecoml.Measurement(0.5, energy_j=config["width"])


def test_the_readme_is_one_page():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= README_LINES
    assert len(text.split()) <= PAGE_WORDS


@pytest.mark.filterwarnings("ignore:`torch.jit")  # BoTorch's imports
def test_the_constants_of_bayes():
    """Each number at the top of a module of `bayes` stands in the table, with its value, and no other does."""
    text = prose(ROOT / "docs/explanations/bayes-constants.md")
    rows = {(module, name): value for module, name, value in re.findall(CONSTANT, text, re.MULTILINE)}
    for path in (ROOT / "ecoml/strategies/bayes").rglob("*.py"):
        module = import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
        for name in re.findall(NUMBER, path.read_text(encoding="utf-8"), re.MULTILINE):
            if (path.stem, name) not in PRIORS:
                value = rows.pop((path.stem, name), "'not in the table'")
                assert eval(value) == getattr(module, name), (path.stem, name)  # noqa: S307 - our own document
    assert not rows


def test_the_example_of_the_readme(tmp_path, monkeypatch):
    (code,) = blocks("README.md")
    names: dict[str, Any] = {}
    monkeypatch.chdir(tmp_path)
    exec(code.replace("fashion-mnist", "digits").replace("budget_kwh=0.005", "budget_j=900, max_trials=2"), names)  # noqa: S102
    result = names["result"]
    assert result.energy.total_j <= 900
    assert len(result.trials) == 2
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


@pytest.mark.filterwarnings("ignore:`torch.jit")
def test_the_botorch_model_of_the_documentation(space, tmp_path, monkeypatch):
    def train(config):
        for step in range(1, 5):
            yield ecoml.Measurement(0.9 - 0.5 / step - 0.1 * abs(config["learning_rate"] - 0.01), 1.0 * config["width"])

    monkeypatch.chdir(tmp_path)
    code = "\n".join(blocks("docs/guides/botorch.md"))
    searching = "budget_j=3000, energy='reported', max_trials=9"
    names: dict[str, Any] = {"ecoml": ecoml, "space": space, "train": train}
    exec(code.replace("budget_kwh=1", searching), names)  # noqa: S102 - our own document
    assert len(names["result"].trials) == 9


def test_the_training_of_the_documentation(tmp_path, monkeypatch):
    code = next(block for block in blocks("docs/start/own-training.md") if "fit_one_epoch" in block)
    names = {"build": dict, "fit_one_epoch": lambda model: sum(range(20_000)), "evaluate": lambda model: 0.9}
    monkeypatch.chdir(tmp_path)
    exec(code.replace("budget_kwh=2", "budget_j=3"), names)  # noqa: S102 - our own document
    result = names["result"]
    assert isinstance(result, ecoml.Result)
    assert result.energy.total_j == pytest.approx(3, abs=max(3, 2 * result.energy.overshoot_bound_j))
    assert result.recommended is not None
    assert result.recommended.score == 0.9
