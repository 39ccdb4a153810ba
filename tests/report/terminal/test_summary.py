"""The recommendation in a terminal: the commands that it names use the network that it describes."""

from __future__ import annotations

import pytest
from rigs.run_folders import Course, write_run

from ecoml.energy import Energy, Provenance
from ecoml.report.terminal.summary import print_choice
from ecoml.run.result import Result
from ecoml.run.storage.store import Store
from ecoml.trial import Inference, Usage


@pytest.mark.parametrize(
    ("searched", "given", "options"),
    [
        ({}, {}, ""),
        ({"inferences": 1e9}, {}, " --trial 1 --step 1"),
        ({}, {"inferences": 1e9}, ""),
        ({}, {"max_latency_s": 0.01}, " --trial 0 --step 1"),
        ({"max_latency_s": 0.01}, {}, ""),
        ({"max_latency_s": 0.01}, {"max_latency_s": 9.0}, " --trial 1 --step 1"),
    ],
)
def test_predict_is_named_with_the_trial_where_it_would_use_another(tmp_path, capsys, searched, given, options):
    """Trial 1 has the better score, and trial 0 takes less of everything."""
    folder = write_run(tmp_path / "r", [Course([(0.900, 10.0)]), Course([(0.905, 20.0)])], limits=searched)
    store = Store(folder / "ledger.sqlite", create=False)
    for number, latency_s, energy_j in ((0, 0.001, 0.01), (1, 0.1, 1.0)):
        (folder / "models" / f"trial-000{number}-step-01.safetensors").touch()
        one = Inference(1, 10, latency_s, Energy(energy_j, 0.0, Provenance.MEASURED))
        store.add_usage(number, 1, Usage(7, 7, 7, {1: one}))
    store.close()
    print_choice(Result.load(folder, **given))
    assert f"  or use it: ecoml predict {folder}{options} IMAGE…" in capsys.readouterr().out.splitlines()
