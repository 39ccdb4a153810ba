"""The public names, and what importing them costs."""

import subprocess
import sys

import ecoml

PUBLIC = {
    "Bayes",
    "BudgetExhausted",
    "Choice",
    "CnnTraining",
    "Continue",
    "EcomlError",
    "End",
    "EnergyBudget",
    "Executor",
    "Float",
    "Int",
    "Limits",
    "Measurement",
    "Meter",
    "Metric",
    "Model",
    "Prediction",
    "Result",
    "Searcher",
    "Space",
    "Start",
    "Strategy",
    "Trial",
    "UsageError",
    "energy_budget",
    "load_model",
    "load_space",
    "open_meter",
    "search",
}


def test_the_public_names_are_these():
    assert set(ecoml.__all__) == PUBLIC


def test_every_public_name_is_there_and_documented():
    for name in ecoml.__all__:
        assert getattr(ecoml, name).__doc__, name


def in_another_process(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def test_importing_ecoml_imports_nothing_heavy():
    heavy = "{'torch', 'botorch', 'altair', 'pydantic', 'pynvml', 'pyRAPL', 'sklearn', 'rich'}"
    code = f"import sys, ecoml; ecoml.Searcher, ecoml.CnnTraining; print({heavy} & set(sys.modules))"
    assert in_another_process(code) == "set()"


def test_help_takes_less_than_0_3_cpu_seconds():
    code = (
        "import resource, subprocess, sys;"
        "subprocess.run([sys.executable, '-m', 'ecoml', '--help'], check=True, stdout=subprocess.DEVNULL);"
        "used = resource.getrusage(resource.RUSAGE_CHILDREN); print(used.ru_utime + used.ru_stime)"
    )
    assert min(float(in_another_process(code)) for _ in range(3)) < 0.3
