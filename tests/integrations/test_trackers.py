"""What MLflow, Weights & Biases (offline) and TensorBoard wrote is read back. Skipped where they are not there."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
from rigs.scripts import curve

import ecoml
import ecoml.integrations
from ecoml.format import format_score
from ecoml.models.card import card

SCORES = [0.5, 0.625]


@pytest.fixture(autouse=True)
def foreign(monkeypatch, tmp_path):
    """These libraries warn of what is none of ours, and write where they are."""
    monkeypatch.chdir(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@pytest.fixture
def search(space, reported, run_folder):
    """Searches with a tracker: 2 trials of 2 steps of 10 J each, and a model that lies in the run folder."""

    def keep_model(config):
        for score in SCORES:
            (run_folder / "models").mkdir(exist_ok=True)
            (run_folder / "models" / "trial-0.safetensors").write_bytes(b"weights")
            yield ecoml.Measurement(score, energy_j=10.0)

    def run(tracker):
        return ecoml.Searcher(space, keep_model, budget_j=40, listeners=[tracker], **reported).run()

    return run


@pytest.fixture
def card_of(run_folder):
    """The model card after a search of one training by ecoml, with a tracker."""

    def run(tracker):
        space, training = ecoml.Space({"width": 2, "epochs": 1}), ecoml.CnnTraining("digits", threads=1)
        given = {"budget_j": 1e4, "max_trials": 1, "strategy": "random", "directory": run_folder, "progress": False}
        result = ecoml.search(space, training, listeners=[tracker], **given)
        text = (run_folder / "card.md").read_text(encoding="utf-8")
        assert result.recommended is not None
        assert format_score(result.metric, result.recommended.test_score) in text
        assert text == card(ecoml.load_model(result)), "the account was complete"
        return text

    return run


def test_tensorboard(search, run_folder, monkeypatch):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    result = search(ecoml.integrations.TensorBoardTracker())

    def read(name):
        return EventAccumulator(str(run_folder / "tensorboard" / name)).Reload()

    trial = read("trial-0001")
    assert [(event.step, event.value) for event in trial.Scalars("validation accuracy")] == [(1, 0.5), (2, 0.625)]
    assert [event.value for event in trial.Scalars("energy_j/reported")] == [10, 20]
    told = trial.summary_metadata["_hparams_/session_start_info"].plugin_data.content
    assert result.trials[1].config["activation"].encode() in told
    whole = read("search")
    assert [event.step for event in whole.Scalars("validation accuracy")] == [10, 20, 30, 40]
    assert whole.Scalars("search_energy_j/reported")[0].value == 40
    assert result.recommended is not None
    assert whole.Scalars("recommended energy_j/reported")[0].value == result.recommended.energy_j


def test_tensorboard_has_the_card(card_of, run_folder):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    text = card_of(ecoml.integrations.TensorBoardTracker())
    whole = EventAccumulator(str(run_folder / "tensorboard" / "search")).Reload()
    (event,) = whole.Tensors("model card/text_summary")
    assert event.tensor_proto.string_val[0].decode() == text


def test_mlflow(search, tmp_path, run_folder):
    pytest.importorskip("mlflow")
    from mlflow.tracking import MlflowClient

    where = f"sqlite:///{tmp_path / 'mlflow.db'}"
    result = search(ecoml.integrations.MLflowTracker(where, experiment="ours"))
    client = MlflowClient(where)
    experiment = client.get_experiment_by_name("ours")
    assert experiment is not None
    runs = {run.info.run_name: run for run in client.search_runs([experiment.experiment_id])}
    assert sorted(runs) == ["run", "trial 0", "trial 1"]
    whole, trial = runs["run"], runs["trial 1"]
    assert trial.data.params == {name: str(value) for name, value in result.trials[1].config.items()}
    assert trial.data.tags["mlflow.parentRunId"] == whole.info.run_id
    assert trial.data.tags["provenance"] == "reported"
    history = client.get_metric_history(trial.info.run_id, "energy_j/reported")
    assert sorted((entry.step, entry.value) for entry in history) == [(1, 10), (2, 20)]
    assert whole.data.metrics["search_energy_j/reported"] == 40
    assert (whole.data.params["strategy"], whole.info.status) == ("random", "FINISHED")
    assert {entry.path for entry in client.list_artifacts(whole.info.run_id)} == {"run.toml", "report.html", "models"}
    kept = client.download_artifacts(whole.info.run_id, "models/trial-0.safetensors", str(tmp_path))
    assert Path(kept).read_bytes() == b"weights"


def test_mlflow_has_the_card(card_of, tmp_path):
    pytest.importorskip("mlflow")
    from mlflow.tracking import MlflowClient

    where = f"sqlite:///{tmp_path / 'mlflow.db'}"
    text = card_of(ecoml.integrations.MLflowTracker(where, experiment="ours"))
    client = MlflowClient(where)
    experiment = client.get_experiment_by_name("ours")
    assert experiment is not None
    (whole,) = client.search_runs([experiment.experiment_id], "tags.ecoml = 'search'")
    kept = client.download_artifacts(whole.info.run_id, "card.md", str(tmp_path))
    assert Path(kept).read_text(encoding="utf-8") == text


def logged(file: bytes):
    """The records of a wandb file: LevelDB's log format behind seven bytes, in blocks of 32 KiB."""
    parts, at = [], 7
    while at + 7 <= len(file):
        if (left := 32768 - at % 32768) < 7:  # too little for a head
            at += left
            continue
        length, kind = int.from_bytes(file[at + 4 : at + 6], "little"), file[at + 6]
        parts.append(file[at + 7 : at + 7 + length])
        at += 7 + length
        if kind in (1, 4):  # whole, or the last part
            yield b"".join(parts)
            parts = []


def records(folder: Path):
    """The records of the one run that wandb stored below a folder."""
    from wandb.proto.wandb_internal_pb2 import Record

    (path,) = folder.glob("wandb/offline-run-*/*.wandb")
    for data in logged(path.read_bytes()):
        record = Record()
        record.ParseFromString(data)
        yield record.WhichOneof("record_type"), record


def test_wandb_offline(search, run_folder, monkeypatch):
    wandb = pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    search(ecoml.integrations.WandbTracker(project="ours"))
    wandb.teardown()
    history: list[dict[str, str]] = []
    summary: dict[str, str] = {}
    files: list[str] = []
    run = None
    for kind, record in records(run_folder):
        if kind == "history":
            history.append({item.key or item.nested_key[0]: item.value_json for item in record.history.item})
        elif kind == "summary":
            summary |= {item.key or item.nested_key[0]: item.value_json for item in record.summary.update}
        elif kind == "artifact":
            files += [entry.path for entry in record.artifact.manifest.contents]
        elif kind == "run":
            run = record.run
    assert run is not None
    assert run.project == "ours"
    assert "strategy" in {item.key for item in run.config.update}
    curve = [entry for entry in history if "trial" in entry]
    assert [float(entry["spent_j"]) for entry in curve] == [10, 20, 30, 40]
    assert [float(entry["energy_j/reported"]) for entry in curve] == [10, 20, 10, 20]
    assert float(summary["search_energy_j/reported"]) == 40
    assert {"run.toml", "report.html", "models/trial-0.safetensors"} <= set(files)


def test_wandb_has_the_card(card_of, run_folder, monkeypatch):
    wandb = pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    text = card_of(ecoml.integrations.WandbTracker())
    wandb.teardown()
    kept = [
        Path(entry.local_path)
        for kind, record in records(run_folder)
        if kind == "artifact"
        for entry in record.artifact.manifest.contents
        if entry.path == "card.md"
    ]
    assert [path.read_text(encoding="utf-8") for path in kept] == [text]


def test_a_tracker_whose_server_is_not_there_ends_no_search(space, reported, monkeypatch, caplog):
    pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    tracker = ecoml.integrations.MLflowTracker("http://127.0.0.1:9")
    result = ecoml.Searcher(space, curve(SCORES), budget_j=40, listeners=[tracker], **reported).run()
    assert result.complete
    assert sum("MLflowTracker failed" in record.getMessage() for record in caplog.records) == 1
