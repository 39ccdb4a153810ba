"""The energy budgets of Lightning, Hugging Face and Keras, with the real libraries; skipped where they are not there.

Each training would take hours. On a meter that shows a joule for each batch it has to end after about 50 of them.
"""

from __future__ import annotations

import importlib.util
import os
import warnings

import pytest
import torch

import ecoml.integrations

BUDGET_J = 50.0
OVERSHOOT_J = 25.0
"""The meter is not read for every batch."""


@pytest.fixture(autouse=True)
def foreign():
    """These libraries warn of what is none of ours."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def batches():
    inputs = torch.rand(64, 4)
    return torch.utils.data.TensorDataset(inputs, (inputs.sum(1) > 2).long())


def check(budget):
    assert BUDGET_J <= budget.spent_j < BUDGET_J + OVERSHOOT_J
    spent_j = budget.spent_j
    assert budget.spent_j == spent_j, "the window is closed"


def check_figures(figures):
    assert 0 < figures["energy_j/measured"] < BUDGET_J + OVERSHOOT_J
    assert figures["energy_uncertainty_j/measured"] == 0


def test_lightning(tmp_path, meter):
    lightning = pytest.importorskip("lightning.pytorch")
    from lightning.pytorch.loggers import CSVLogger

    class Net(lightning.LightningModule):  # type: ignore[misc, name-defined]
        def __init__(self):
            super().__init__()
            self.layer = torch.nn.Linear(4, 2)

        def training_step(self, batch, index):
            meter.spend(1)
            return torch.nn.functional.cross_entropy(self.layer(batch[0]), batch[1])

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), 0.1)

    stops = ecoml.integrations.LightningBudget(j=BUDGET_J, meter=meter)
    logger = CSVLogger(tmp_path)
    trainer = lightning.Trainer(
        max_epochs=10**6,
        accelerator="cpu",
        callbacks=[stops],
        logger=logger,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        log_every_n_steps=2,
    )
    trainer.fit(Net(), torch.utils.data.DataLoader(batches(), 8))
    check(stops.budget)
    logger.save()
    head, *rows = (tmp_path / "lightning_logs/version_0/metrics.csv").read_text().splitlines()
    check_figures(
        {name: float(value) for name, value in zip(head.split(","), rows[-1].split(","), strict=True) if value}
    )


@pytest.fixture
def hugging_face(tmp_path, meter):
    """Makes a Trainer of Hugging Face."""
    transformers = pytest.importorskip("transformers")
    pytest.importorskip("accelerate")

    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = torch.nn.Linear(4, 2)

        def forward(self, inputs, labels):
            meter.spend(1)
            logits = self.layer(inputs)
            return {"loss": torch.nn.functional.cross_entropy(logits, labels), "logits": logits}

    def make(*callbacks, report_to=()):
        options = {"num_train_epochs": 10**6, "logging_steps": 5, "use_cpu": True, "save_strategy": "no"}
        settings = transformers.TrainingArguments(
            str(tmp_path), report_to=list(report_to), disable_tqdm=True, **options
        )
        data = [{"inputs": inputs, "labels": label} for inputs, label in batches()]
        return transformers.Trainer(Net(), settings, train_dataset=data, callbacks=list(callbacks))

    return make


def test_hugging_face(hugging_face, meter):
    stops = ecoml.integrations.TransformersBudget(j=BUDGET_J, meter=meter)
    trainer = hugging_face(stops)
    trainer.train()
    check(stops.budget)
    logged = [entry for entry in trainer.state.log_history if "loss" in entry]
    check_figures(logged[-1])
    check_figures(logged[0])


def test_hugging_face_reports_joules_to_tensorboard(hugging_face, meter, tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    stops = ecoml.integrations.TransformersBudget(j=BUDGET_J, meter=meter)
    trainer = hugging_face(report_to=["tensorboard"])
    trainer.callback_handler.callbacks.insert(0, stops)
    trainer.train()
    check(stops.budget)
    (events,) = tmp_path.glob("runs/*/events*")
    told = EventAccumulator(str(events)).Reload()
    assert told.Scalars("train/energy_j/measured")[-1].value == stops.budget.spent_j


def test_keras(meter):
    os.environ.setdefault("KERAS_BACKEND", "torch")
    keras = pytest.importorskip("keras")
    inputs, labels = (tensor.numpy() for tensor in batches().tensors)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    def spends(true, predicted):
        meter.spend(1)
        return loss(true, predicted)

    model.compile("sgd", spends)
    stops = ecoml.integrations.KerasBudget(j=BUDGET_J, meter=meter)
    history = model.fit(inputs, labels, epochs=10**6, batch_size=8, verbose=0, callbacks=[stops])
    check(stops.budget)
    check_figures({name: values[-1] for name, values in history.history.items()})


@pytest.mark.parametrize(("library", "name"), [("keras", "KerasBudget"), ("lightning", "LightningBudget")])
def test_a_library_that_is_not_there_is_named(library, name):
    if importlib.util.find_spec(library) is not None:
        pytest.skip(f"{library} is there")
    with pytest.raises(ecoml.UsageError, match=f"{name} needs {library}: pip install {library}$"):
        getattr(ecoml.integrations, name)
