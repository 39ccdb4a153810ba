"""Strategies by name and by file: what is known, and what is said about mistakes."""

import subprocess
import sys

import pytest

from ecoml.errors import UsageError
from ecoml.space import Float, Space
from ecoml.strategies import Strategy, available_strategies, create_strategy
from ecoml.strategies.grid import GridSearch

SPACE = Space({"x": Float(0.0, 1.0), "y": Float(0.0, 1.0), "z": Float(0.0, 1.0)})


def test_every_available_strategy_can_be_created_and_says_what_it_is():
    known = available_strategies()
    assert {"bayes", "random", "sobol", "grid", "paper-grid"} <= {name for name, _ in known}
    for name, description in known:
        if "not installed" not in description:
            assert isinstance(create_strategy(name, SPACE, 0), Strategy)
        assert description
        assert "\n" not in description


def test_the_papers_grid_is_64_of_125():
    strategy = create_strategy("paper-grid", SPACE, 0)
    assert isinstance(strategy, GridSearch)
    assert strategy.size == 64


def test_a_file_of_ones_own(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('strategy = "grid"\ndescription = "coarse"\n[settings]\nlevels = 2\n')
    strategy = create_strategy(path, SPACE, 0)
    assert isinstance(strategy, GridSearch)
    assert strategy.size == 8
    assert create_strategy(str(path), SPACE, 0).ask() == strategy.ask()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('strategy = "grid"\n[settings]\nlevel = 2\n', ["settings.level", "did you mean 'levels'?"]),
        ('strategy = "grid"\n[settings]\nlevels = "two"\n', ["settings.levels", "'two'", "integer"]),
        ('strategy = "grid"\n[settings]\nlevels = 1\n', ["settings.levels", "greater than or equal to 2"]),
        ('strategy = "grid"\n[settings]\nlevels = 1\nsubset = 0\n', ["settings.levels", "1 more"]),
        ('strategy = "random"\n[settings]\nsampler = "halton"\n', ["settings.sampler", "'uniform' or 'sobol'"]),
        ('strategy = "bayes"\n[settings]\ninitial = 0\n', ["settings.initial", "0"]),
        ('strategy = "grid"\n[setting]\nlevels = 2\n', ["`setting`", "did you mean 'settings'?"]),
        ('strategy = "factorial"\n[settings]\nfactors = []\n', ["settings.factors", "at least 1"]),
        ('strategy = "factorial"\n', ["settings.factors", "required"]),
        ('strategy = "random"\n[repeat]\ntimes = 2\nround = 3\n', ["repeat.round", "mean 'rounds'?"]),
        ('strategy = "optuna"\n[settings]\npruner = "hyper"\n', ["settings.pruner", "'median' or 'hyperband'"]),
        ('strategy = "optima"\n', ["'optima'", "did you mean 'optuna'?"]),
        (
            'strategy = "alchemy"\n',
            [
                "'alchemy'",
                "bayes, factorial, flaml, grid, mo-asha, nehvi, optuna, paper-bo, random, smac, syne-tune, top-k",
            ],
        ),
        (
            "strategy = 3\n",
            ["3", "bayes, factorial, flaml, grid, mo-asha, nehvi, optuna, paper-bo, random, smac, syne-tune, top-k"],
        ),
        (
            'description = "x"\n',
            [
                "`strategy` is missing",
                "bayes, factorial, flaml, grid, mo-asha, nehvi, optuna, paper-bo, random, smac, syne-tune, top-k",
            ],
        ),
        ("strategy = \n", ["not TOML", "line 1"]),
    ],
)
def test_mistakes_in_a_file_are_one_line_that_names_file_key_and_remedy(tmp_path, text, said):
    path = tmp_path / "wrong.toml"
    path.write_text(text)
    with pytest.raises(UsageError) as caught:
        create_strategy(path, SPACE, 0)
    message = str(caught.value)
    assert "\n" not in message
    for part in [str(path), *said]:
        assert part in message


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(UsageError, match=r"nowhere\.toml.*no such file"):
        create_strategy(tmp_path / "nowhere.toml", SPACE, 0)
    with pytest.raises(UsageError, match="is a folder"):
        create_strategy(tmp_path, SPACE, 0)
    (tmp_path / "latin.toml").write_bytes(b'strategy = "gr\xedd"')
    with pytest.raises(UsageError, match="UTF-8"):
        create_strategy(tmp_path / "latin.toml", SPACE, 0)


def test_an_unknown_name_is_answered_with_the_known_ones():
    with pytest.raises(UsageError, match=r"'bayse'; did you mean 'bayes'\?"):
        create_strategy("bayse", SPACE, 0)
    with pytest.raises(UsageError, match=r"'x'.*bayes, botorch, .*grid, mo-asha, .*paper-grid, random, .*smac, sobol"):
        create_strategy("x", SPACE, 0)


def test_a_negative_seed_is_refused():
    with pytest.raises(UsageError, match="seed"):
        create_strategy("random", SPACE, -1)


def test_creating_a_strategy_imports_nothing_heavy():
    code = (
        "import sys\n"
        "from ecoml.space import Float, Space\n"
        "from ecoml.strategies import create_strategy\n"
        "space = Space({'x': Float(0.0, 1.0)})\n"
        "assert 'pydantic' not in sys.modules\n"
        "for name in ('random', 'grid'):\n"
        "    create_strategy(name, space, 0).ask()\n"
        "create_strategy('bayes', space, 0)\n"
        "print([m for m in ('torch', 'botorch', 'scipy') if m in sys.modules])\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
