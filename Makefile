# Every target sets up what it needs in .venv; nothing outside this folder is touched.
# TORCH=ADDRESS takes PyTorch's build without CUDA (0.2 GB to fetch instead of 3 GB) from the address that
# pytorch.org shows behind --index-url, for CPU.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --disable-pip-version-check --constraint constraints.txt
TORCH ?=

.PHONY: demo test soak fuzz lint audit bench pictures readme words docs notebooks lessons clean

$(VENV)/light: pyproject.toml constraints.txt
	@echo 'Setting up linnet in $(VENV): PyTorch, polars, scikit-learn and about 40 smaller packages.'
	@echo 'PyTorch for Linux comes with CUDA: about 3 GB to fetch, 6 GB on disk. Without an NVIDIA GPU,'
	@echo 'stop this (Ctrl-C) and give: make $(or $(MAKECMDGOALS),demo) TORCH=ADDRESS   (0.4 GB to fetch, 1.2 GB'
	@echo 'on disk), with the address that pytorch.org shows behind --index-url, for CPU.'
	$(PYTHON) -m venv $(VENV)
	$(if $(TORCH),$(PIP) torch --index-url $(TORCH))
	$(PIP) --no-compile --editable .
	@touch $@

$(VENV)/ready: $(VENV)/light
	@echo 'Adding what tests, checks and benchmarks need: about 0.5 GB to fetch, 1.3 GB on disk.'
	$(PIP) --quiet --editable '.[dev]'
	@touch $@

demo: $(VENV)/light  ## the main job, end to end, on data that ships with scikit-learn
	rm -rf runs/demo
	$(BIN)/linnet train digits --out runs/demo
	$(BIN)/linnet inspect runs/demo
	$(BIN)/linnet predict runs/demo digits --rows 0,10,193

test: $(VENV)/ready  ## the quick tests; PYTEST_FLAGS="-m 'not soak'" runs the slow ones too
	$(BIN)/python -m pytest --numprocesses auto --dist loadfile --no-loadscope-reorder $(PYTEST_FLAGS)

soak: $(VENV)/ready  ## the long forms: every touch of the disk, many kills, many damaged files, whole lessons
	$(BIN)/python -m pytest --numprocesses auto --dist loadfile --no-loadscope-reorder -m soak $(PYTEST_FLAGS)

fuzz: $(VENV)/ready  ## 50,000 files changed at random for every reader; FUZZ_FLAGS="--inputs 1000 idx npz" for less
	$(BIN)/python tests/hostile/fuzzing.py --keep tests/hostile/crashers $(FUZZ_FLAGS)

lint: $(VENV)/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

audit: $(VENV)/ready  ## whether an advisory concerns a pinned version; without a network it is skipped, and says so
	$(PIP) --quiet 'pip-audit>=2.9'
	$(BIN)/python -m pytest -m '' -k known_to_be_vulnerable tests/test_environment.py

bench: $(VENV)/ready  ## the quick form of every benchmark
	$(BIN)/python benchmarks/train.py
	$(BIN)/python benchmarks/record.py --quick
	$(BIN)/python benchmarks/convex/run.py --quick --limit 5
	$(BIN)/python benchmarks/training/epochs.py --quick
	$(BIN)/python benchmarks/tables/run.py --quick

pictures: $(VENV)/ready  ## the live page, the report and the page on data, to look at: pictures/index.html
	$(BIN)/python benchmarks/pictures.py

readme: $(VENV)/ready  ## the pictures in the README, from a run on MNIST: docs/pictures
	$(BIN)/python benchmarks/readme.py

words: $(VENV)/ready  ## the catalogues of strings from the code: src/linnet/core/words/*/LC_MESSAGES/linnet.po
	$(BIN)/python docs/words.py

docs: $(VENV)/ready  ## the site, the lessons run: docs/_build/html/index.html; DOCS_FLAGS="-D nb_execution_mode=off" runs none
	$(PIP) --quiet --editable '.[docs]'
	$(BIN)/python docs/commands.py
	$(BIN)/python -m sphinx -b html -W --keep-going -d docs/_build/doctrees $(DOCS_FLAGS) docs docs/_build/html

$(VENV)/lessons: $(VENV)/ready
	$(PIP) --quiet --editable '.[lessons]'
	touch $@

notebooks: $(VENV)/ready  ## docs/lessons as .ipynb for any Jupyter or Colab: notebooks/
	$(BIN)/python docs/notebooks.py

lessons: $(VENV)/lessons notebooks  ## the same in JupyterLab; LESSONS_FLAGS=--no-browser starts the server alone
	PATH="$(abspath $(BIN)):$$PATH" $(BIN)/jupyter lab --ServerApp.root_dir=notebooks $(LESSONS_FLAGS)

clean:
	rm -rf $(VENV) runs pictures docs/_build .mypy_cache .pytest_cache .ruff_cache
