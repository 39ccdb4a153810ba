# make demo   set up, then search the embedded digits under a small energy budget
# make test   set up, then run the tests (test-fast: without the slow ones)
# make tutorial   the runs of docs/start/fashion-mnist.md, on FashionMNIST
# make paper  reduced runs of the experiments of arXiv 2303.13972, for docs/results/study.md (about ten minutes; a second call goes on)
# make lint   ruff, format check, strict types
# make docs   prose and spelling, then the site, in build/site/

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# On a GPU getting ready alone may take 1.5 kJ.
DEMO_BUDGET_KWH ?= $(shell nvidia-smi -L 2>/dev/null | grep -q '^GPU ' && echo 0.002 || echo 0.0002)
FASHION_MNIST ?= /usr/share/datasets/fashion-mnist
TUTORIAL := --data fashion-mnist --data-dir $(FASHION_MNIST) --space docs/start/tutorial/space.toml

PAPER := --scale reduced --data fashion-mnist --data-dir /usr/share/datasets/fashion-mnist --device cpu --threads 1

.PHONY: demo tutorial paper test test-fast lint format docs clean

demo: $(VENV)/installed
	rm -rf runs/demo
	$(BIN)/ecoml search --budget-kwh $(DEMO_BUDGET_KWH) --out runs/demo

tutorial: $(VENV)/installed
	rm -rf runs/tutorial runs/tutorial-compare
	$(BIN)/ecoml search $(TUTORIAL) --budget-kwh 0.0003 --grid-intensity 300 --out runs/tutorial
	$(BIN)/ecoml report runs/tutorial --grid-intensity 300
	$(BIN)/ecoml compare baselines/random.toml $(TUTORIAL) --budget-kwh 0.00004 --seeds 5 \
	    --target 0.8 --target 0.85 --out runs/tutorial-compare
	cp runs/tutorial/figures/front.png docs/figures/tutorial-front.png
	cp runs/tutorial-compare/figures/energy-to-target.png docs/figures/tutorial-energy-to-target.png

paper: $(VENV)/installed
	$(BIN)/ecoml paper rq1 $(PAPER) --out runs/paper-rq1
	$(BIN)/ecoml paper rq2 $(PAPER) --out runs/paper-rq2
	$(BIN)/ecoml profile ecoml.experiments.paper.networks:build --batch 512 --device cpu --out runs/paper-profile
	cp runs/paper-rq1/figures/rounds-simplecnn-3hp.png docs/figures/paper-rounds.png
	cp runs/paper-rq2/figures/interaction.png docs/figures/paper-interaction.png
	cp runs/paper-profile/profile.png docs/figures/paper-profile.png

test: $(VENV)/installed
	$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder

test-fast: $(VENV)/installed
	$(BIN)/pytest -m "not slow"

lint: $(VENV)/installed
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy ecoml
	$(BIN)/mypy --allow-untyped-defs --allow-incomplete-defs --allow-untyped-calls tests

format: $(VENV)/installed
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

docs: $(VENV)/installed-docs
	$(BIN)/codespell
	$(BIN)/proselint check --config docs/proselint.json README.md CONTRIBUTING.md SECURITY.md docs/*.md docs/*/*.md
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis

$(VENV)/installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	    { echo "ecoml needs Python 3.11 or newer; name one: make PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || \
	    { rm -rf $(VENV); echo "no virtual environment can be made; on Debian: apt install python3-venv"; exit 1; }
	@echo "installing into $(VENV): PyTorch and the rest, some gigabytes, a few minutes"
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@

$(VENV)/installed-docs: $(VENV)/installed
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[docs]'
	@touch $@
