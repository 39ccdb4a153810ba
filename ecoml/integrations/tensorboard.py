"""A search in TensorBoard: a run for each trial, with its curves and its parameters, and one for the entire search,
with the model card as text.

tensorboard --logdir runs/mine/tensorboard
"""

from __future__ import annotations

import json
from pathlib import Path

from torch.utils.tensorboard import SummaryWriter
from torch.utils.tensorboard.summary import hparams

from ecoml.integrations.records import account_figures, best_of, point_figures, settings_of
from ecoml.models.card import write_card
from ecoml.run.result import Result
from ecoml.trial import Trial


class TensorBoardTracker:
    """Writes event files.

    Args:
        directory: The folder; default: `tensorboard/` in the run folder.
    """

    def __init__(self, directory: str | Path | None = None) -> None:
        self._directory = None if directory is None else Path(directory)
        self._metric = ""
        self._whole: SummaryWriter | None = None
        self._open: dict[int, SummaryWriter] = {}

    def on_start(self, result: Result) -> None:
        self._directory = self._directory or result.directory / "tensorboard"
        self._metric = result.metric.name
        self._whole = self._writer("search")
        self._whole.add_text("settings", f"```\n{json.dumps(settings_of(result), indent=2, default=str)}\n```")

    def on_trial(self, trial: Trial) -> None:
        if trial.number not in self._open:
            self._open[trial.number] = writer = self._writer(f"trial-{trial.number:04d}")
            for summary in hparams(dict(trial.config), {self._metric: 0}):  # type: ignore[no-untyped-call]
                writer._get_file_writer().add_summary(summary)  # type: ignore[no-untyped-call]
        if trial.state.ended:
            writer = self._open.pop(trial.number)
            if trial.end is not None:
                writer.add_text("end", json.dumps(trial.end.to_dict()))
            writer.close()

    def on_measurement(self, trial: Trial) -> None:
        point = trial.curve[-1]
        for name, value in point_figures(trial, self._metric).items():
            self._open[trial.number].add_scalar(name, value, point.step)
        if self._whole is not None:
            self._whole.add_scalar(self._metric, point.score, round(point.spent_j))  # against joules of the search

    def on_end(self, result: Result) -> None:
        if self._whole is not None:
            for name, value in {**account_figures(result), **best_of(result)}.items():
                self._whole.add_scalar(name, value)
            if (card := write_card(result)) is not None:
                self._whole.add_text("model card", card.read_text(encoding="utf-8"))
            self._whole.close()
        for writer in self._open.values():
            writer.close()

    def _writer(self, name: str) -> SummaryWriter:
        assert self._directory is not None, "on_start comes first"
        return SummaryWriter(str(self._directory / name))
