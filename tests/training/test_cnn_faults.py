"""What users' programs do to the built-in training: each of these has ended a search, or spoilt another one."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import ecoml

SPACE = ecoml.Space({"learning_rate": ecoml.Float(0.01, 0.4, log=True), "width": 4, "depth": 1, "epochs": 3})


def curves(folder, training, seed=0, **options):
    """What a search of two trials found."""
    given = {"budget_j": 1e6, "strategy": "random", "max_trials": 2, "seed": seed, "directory": folder, **options}
    result = ecoml.Searcher(SPACE, training, **given).run()
    assert result.recommended.test_score is not None, "its model was kept, and tested"
    return [[point.score for point in trial.curve] for trial in result.trials]


def test_searches_in_threads_find_what_they_find_one_after_the_other(tmp_path):
    seeds = 0, 1, 2
    alone = [curves(tmp_path / f"alone-{seed}", ecoml.CnnTraining(threads=1), seed) for seed in seeds]
    with ThreadPoolExecutor(3) as pool:
        found = [
            pool.submit(curves, tmp_path / f"together-{seed}", ecoml.CnnTraining(threads=1), seed) for seed in seeds
        ]
    assert [future.result() for future in found] == alone
    assert alone[0] != alone[1]


def test_one_training_serves_searches_of_different_seeds_at_once(tmp_path):
    training = ecoml.CnnTraining(threads=1)
    alone = [curves(tmp_path / f"alone-{seed}", ecoml.CnnTraining(threads=1), seed) for seed in (0, 5)]
    searchers = [
        ecoml.Searcher(
            SPACE, training, budget_j=1e6, strategy="random", max_trials=2, seed=seed, directory=tmp_path / f"{seed}"
        )
        for seed in (0, 5)
    ]
    with ThreadPoolExecutor(2) as pool:
        results = [future.result() for future in [pool.submit(searcher.run) for searcher in searchers]]
    assert [[[p.score for p in trial.curve] for trial in result.trials] for result in results] == alone
    assert training.seed == 0
    assert results[1].settings["executor"]["seed"] == 5
