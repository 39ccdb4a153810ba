"""The house: a room never imports one above it, and no two files import each other."""

import ast
from collections import Counter
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import ecoml

ROOT = Path(ecoml.__file__).parent

A_DOZEN = 12

FLOORS = [
    {"errors", "metric", "energy", "endings", "outside", "pareto", "version", "views"},
    {"limits", "trial", "space", "meter", "carbon"},
    {"format", "run", "strategies"},
    {"training", "ledger", "budget"},
    {"models", "searcher"},
    {"report", "testing"},
    {"api", "experiments", "integrations", "notebook"},
    {"cli"},
    {"__main__"},
]
"""Rooms from the ground up; those of one floor do not import each other."""

FLOOR = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}

FACES = {path for path in ROOT.rglob("__init__.py") if "__getattr__" in path.read_text(encoding="utf-8")}
"""Packages whose face names everything lazily, and so imports nothing."""


def module_of(path: Path) -> str:
    return ".".join(("ecoml", *path.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__")


MODULES = {module_of(path): path for path in sorted(ROOT.rglob("*.py"))}


def imported(path: Path) -> set[str]:
    """Modules of ecoml that a file imports, inside functions and for types too."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "ecoml":
            submodules = {f"{node.module}.{alias.name}" for alias in node.names} & MODULES.keys()
            names |= submodules or {node.module}
            if len(submodules) < len(node.names):
                names.add(node.module)
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names if alias.name.startswith("ecoml.")}
    return names & MODULES.keys()


def test_every_room_stands_on_a_floor():
    found = {path.stem if path.is_file() else path.name for path in ROOT.iterdir() if not path.name.startswith("__py")}
    assert found - {"__init__", "py", "search_spaces", "baselines"} == set(FLOOR)


def test_no_room_imports_one_above_it():
    upward: list[str] = []
    for module, path in MODULES.items():
        own = [*module.split("."), ""][1]
        if not own:
            continue  # the package's face names everything, lazily
        rooms = {other.split(".")[1] for other in imported(path) if "." in other}
        upward.extend(f"{module} imports {room}" for room in sorted(rooms) if room != own and FLOOR[room] >= FLOOR[own])
    assert not upward


def test_no_two_files_import_each_other():
    graph = {module: imported(path) - {module} for module, path in MODULES.items() if path not in FACES}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        raise AssertionError(" -> ".join(error.args[1])) from None


def test_no_folder_holds_more_than_a_dozen_files():
    held = Counter(path.parent.relative_to(ROOT).as_posix() for path in MODULES.values())
    assert not {folder: files for folder, files in held.items() if files > A_DOZEN}


def test_there_are_nine_floors_at_most():
    assert len(FLOORS) <= 9
