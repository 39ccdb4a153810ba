"""A package never imports one above it."""

import ast
from pathlib import Path

import ecoml

ROOT = Path(ecoml.__file__).parent

LAYERS = [
    {"errors"},
    {"energy", "shipped", "interrupts"},
    {"trial"},
    {"space"},
    {"meter"},
    {"strategy"},
    {"ledger"},
    {"executor"},
    {"result", "plan"},
    {"models"},
    {"front_models"},
    {"search"},
    {"crew"},
    {"terminal"},
    {"searcher"},
    {"report"},
    {"profile", "paper"},
    {"testing"},
    {"cli"},
    {"__main__"},
]
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}


def imported(tree: ast.AST) -> set[str]:
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("ecoml"):
            parts = node.module.split(".")
            names |= {parts[1]} if len(parts) > 1 else {alias.name for alias in node.names}
        elif isinstance(node, ast.Import):
            names |= {alias.name.split(".")[1] for alias in node.names if alias.name.startswith("ecoml.")}
    return names


def test_every_module_stands_in_a_layer():
    found = {path.stem if path.is_file() else path.name for path in ROOT.iterdir() if not path.name.startswith("__py")}
    assert found - {"__init__", "py", "search_spaces", "baselines"} <= set(LEVEL)


def test_no_module_imports_one_above_it():
    upward: list[str] = []
    for path in sorted(ROOT.rglob("*.py")):
        own = path.relative_to(ROOT).parts[0].removesuffix(".py")
        if own == "__init__":
            continue  # the package's face names everything, lazily
        names = imported(ast.parse(path.read_text(encoding="utf-8"))) & set(LEVEL)
        above = sorted(name for name in names if name != own and LEVEL[name] >= LEVEL[own])
        upward.extend(f"{path.relative_to(ROOT)} imports {name}" for name in above)
    assert not upward
