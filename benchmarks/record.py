"""Record real trainings of `cnn-small`, so that strategies can be compared on them without training again.

    nice -n 15 python benchmarks/record.py --data digits,fashion-mnist-2000,FOLDER-5000 [--trainings 2000]
        [--minutes 100] [--out benchmarks/recorded]

Data are named as in `defaults.py`. Trainings 0 to 3 use the space's default; they show the effect of chance. The points
of a Sobol' sequence follow. A record has for every epoch the accuracy on the validation and on the test images, and the
CPU seconds of one thread without the test. The next training is always on the data set with the fewest CPU seconds.

Each training is a row of OUT/DATA.parquet as soon as it is done. After a stop the same command continues; a larger
number of trainings adds points of the same sequence.
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"  # before numpy and torch are imported, so that they use one thread

import argparse
import itertools
import json
import platform
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from strategy_real import data_file

import ecoml
from ecoml.errors import EcomlError, UsageError
from ecoml.space import Space
from ecoml.strategies.random import RandomSearch
from ecoml.training.base import NoAccount
from ecoml.trial import Config

DEFAULTS = 4
"""Number of trainings of the default."""

Row = dict[str, Any]


@dataclass
class Recording:
    """The trainings of one data set that are recorded so far.

    Attributes:
        path: The Parquet file.
        rows: One per training, in the order of their numbers.
        about: The file's metadata.
    """

    path: Path
    rows: list[Row]
    about: dict[str, str]

    @property
    def cpu_s(self) -> float:
        """CPU seconds of all its trainings."""
        return sum(sum(row["cpu_s"]) for row in self.rows)

    def add(self, row: Row) -> None:
        """Append a row. If the process is killed, the file is either as before or as after."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        self.rows.append(row)
        table = pa.Table.from_pylist(self.rows)
        new = self.path.with_suffix(".new")
        pq.write_table(table.replace_schema_metadata({"recorded": json.dumps(self.about)}), new, compression="zstd")
        new.replace(self.path)


def read(path: Path) -> tuple[list[Row], dict[str, str]]:
    """The rows of a recording and its metadata; both are empty if there is no file."""
    if not path.is_file():
        return [], {}
    import pyarrow.parquet as pq

    table = pq.read_table(path)
    rows: list[Row] = table.to_pylist()
    return rows, json.loads(table.schema.metadata[b"recorded"])


def configs(space: Space) -> Iterator[Config]:
    """The default `DEFAULTS` times, then a Sobol' sequence."""
    assert space.default is not None, "a shipped space has a default"
    points = RandomSearch(space, 0, "sobol", default_first=False)
    points.leave_out(space.default)
    yield from itertools.repeat(space.default, DEFAULTS)
    while (config := points.peek()) is not None:
        points.leave_out(config)
        yield config


class Trainer:
    """Trains on one data set, in this process."""

    def __init__(self, data: str, kept_in: Path) -> None:
        from ecoml.training.images.data.loader import load
        from ecoml.training.images.data.resident import Resident
        from ecoml.training.images.worker.device import task_of
        from ecoml.training.images.worker.warm_up import warm_up
        from ecoml.training.images.worker.workload import Workload

        file = str(data_file(data, kept_in))
        dataset = load(file)
        self.digest = dataset.digest
        self._task = task_of(dataset, Workload(file, None, False, "cpu", 0, 1, True, 0.2, False))
        self._test = Resident.of(dataset.test, self._task.device)
        warm_up(self._task)

    def train(self, number: int, config: Config) -> Row:
        """A whole training; one that diverges ends with the epoch before."""
        from ecoml.training.images.worker.evaluation import confusion, logits_of
        from ecoml.training.images.worker.loop import Training

        training = Training(self._task, number, config, NoAccount())
        validation: list[float] = []
        test: list[float] = []
        cpu_s: list[float] = []
        while True:
            start_s = time.process_time()
            try:
                found = training.advance()
            except FloatingPointError:
                break
            if found is None:
                break
            cpu_s.append(time.process_time() - start_s)
            validation.append(found.accuracy)
            test.append(confusion(logits_of(training.network, self._test, self._task), self._test).accuracy)
        training.release()
        return {"validation": validation, "test": test, "cpu_s": cpu_s}


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    options.kept_in.mkdir(parents=True, exist_ok=True)
    space = ecoml.load_space("cnn-small")
    wanted = list(itertools.islice(configs(space), options.trainings))
    try:
        trainers = {Path(data).name: Trainer(data, options.kept_in) for data in options.data}
        recordings = [_opened(name, trainer, options) for name, trainer in trainers.items()]
    except EcomlError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    end_s = time.monotonic() + 60 * options.minutes
    while (left := [of for of in recordings if len(of.rows) < len(wanted)]) and time.monotonic() < end_s:
        recording = min(left, key=lambda of: of.cpu_s)
        number = len(recording.rows)
        config = wanted[number]
        free = {name: config.get(name) for name in space.free}
        now = datetime.now(UTC).isoformat(timespec="seconds")
        trained = trainers[recording.path.stem].train(number, config)
        recording.add({"number": number, **free, **trained, "began": now})
        print(f"{recording.path.stem}: {number + 1} of {len(wanted)}", file=sys.stderr, flush=True)
    for recording in recordings:
        print(f"{recording.path.stem}: {len(recording.rows)} trainings, {recording.cpu_s:.0f} CPU seconds")
    return 0


def _opened(name: str, trainer: Trainer, options: argparse.Namespace) -> Recording:
    path = options.out / f"{name}.parquet"
    rows, before = read(path)
    about = {
        "command": f"python benchmarks/record.py --data {','.join(Path(data).name for data in options.data)}",
        "space": "cnn-small",
        "data": trainer.digest,
        "machine": options.machine,
        "ecoml": ecoml.__version__,
        "torch": _torch_version(),
    }
    if before and any(before[key] != about[key] for key in ("space", "data")):
        raise UsageError(f"{path} was recorded on other data; name another folder by --out")
    return Recording(path, rows, about)


def _torch_version() -> str:
    import torch

    return str(torch.__version__)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=lambda text: text.split(","), default=["digits", "fashion-mnist-2000"])
    parser.add_argument("--trainings", type=int, default=2000, help="of each data set, those already recorded included")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="start no training later than that")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "recorded")
    parser.add_argument("--kept-in", type=Path, default=Path("runs/data"), help="folder of the parts of the data")
    parser.add_argument("--machine", default=f"{os.cpu_count()} virtual cores, {platform.machine()}")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
