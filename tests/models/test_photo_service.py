"""The example's web service says what the exported model says, in a process in which ecoml cannot be imported."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

import ecoml
from ecoml.models.export import export_model

PROGRAM = Path(__file__).parents[2] / "examples/photo_service.py"
WITHOUT_ECOML = """
import runpy, sys
sys.modules["ecoml"] = None
sys.argv = sys.argv[1:]
sys.stdout.reconfigure(line_buffering=True)
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def test_photos_to_a_web_service(run, photos, tmp_path):
    model = ecoml.load_model(run)
    export_model(model, "safetensors", tmp_path / "model")
    files = sorted((photos / "test").rglob("*.jpg"))[:8]
    command = [sys.executable, "-c", WITHOUT_ECOML, PROGRAM, tmp_path / "model", "0"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as service:
        watchdog = threading.Timer(120, service.kill)
        watchdog.start()
        try:
            assert service.stdout is not None
            address = service.stdout.readline().split()[0]
            for file, expected in zip(files, model.predict(files), strict=True):
                with urlopen(address, file.read_bytes()) as answer:  # noqa: S310 - our own
                    told = json.load(answer)
                assert told["class"] == expected.label
                assert told["probability"] == pytest.approx(expected.probability, abs=1e-3)
            with pytest.raises(HTTPError, match="400"):
                urlopen(address, b"no photo")  # noqa: S310 - our own
        finally:
            watchdog.cancel()
            service.kill()
