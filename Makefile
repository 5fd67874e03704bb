# make demo    install the base into .venv and segment the built-in sample
# make test    install everything, check style, types and imports, run all tests
# make bench   measure speed and memory against named peers (DATA=folder of labelled scenes, if you have one)
# make soak    an atlas of 100,000 tiny scenes while its workers are killed, and 20,000 requests to a server
# make model   export the default model again (WEIGHTS=weights as safetensors)
# make best    train the default model's weights, and the ensemble `best`, in .best (DATA=; WEIGHTS= to start from)

PYTHON ?= python3
DATA ?= ../shared/clouds
OUTPUT ?= .demo
CARD := src/nephoscope/models/default.json

# The test environment is large, so it is kept outside the checkout and used again while what it is made
# from stays the same; its stamp is written last, so a half-made one is made anew.
KEY := $(shell cat pyproject.toml Makefile | cat - scripts/new-venv | sha256sum | cut -c1-12)
TEST_VENV ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/nephoscope/test-$(KEY)
BIN := $(TEST_VENV)/bin

export PYTHON
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.PHONY: demo test lint bench soak model best clean

demo: .venv/installed
	.venv/bin/nephoscope segment sample --output $(OUTPUT) --format overlay,panel,json --overwrite
	@echo "Its pictures:"; ls -1 $(CURDIR)/$(OUTPUT)/*.jpg $(CURDIR)/$(OUTPUT)/*.png

.venv/installed: pyproject.toml $(shell find src -type f -not -name '*.pyc')
	test -x .venv/bin/pip || scripts/new-venv .venv
	.venv/bin/pip install --quiet --upgrade .
	touch $@

test: lint
	scripts/find-browser
	$(BIN)/pip install --quiet --no-deps --no-build-isolation --force-reinstall .
	$(BIN)/python -m pytest

lint: $(TEST_VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	PYTHONPATH=src $(BIN)/lint-imports

bench: $(TEST_VENV)/installed
	$(BIN)/pip install --quiet --no-deps --no-build-isolation --force-reinstall .
	$(BIN)/python -m benchmarks.bench $(DATA)
	$(BIN)/python -m benchmarks.training $(DATA)
	$(BIN)/python -m benchmarks.atlas $(DATA)
	$(BIN)/python -m benchmarks.server $(DATA)

soak: $(TEST_VENV)/installed
	$(BIN)/pip install --quiet --no-deps --no-build-isolation --force-reinstall .
	$(BIN)/python -m benchmarks.soak
	$(BIN)/python -m benchmarks.server $(DATA) 20000

model: $(TEST_VENV)/installed
	PYTHONPATH=src $(BIN)/python -m nephoscope export $(WEIGHTS) \
	  --card $(CARD) --output src/nephoscope/models/default.onnx

# From the first weights, by three seeds: their mean, .best/steadier.safetensors, is what the default model is
# made of (`make model`); of all four networks and their mirror images, the ensemble .best/best.onnx.
best: WEIGHTS ?= .best/run/best.safetensors
best: $(TEST_VENV)/installed
	mkdir -p .best
	test -f $(WEIGHTS) || PYTHONPATH=src $(BIN)/python -m nephoscope train $(DATA) -o .best/run
	PYTHONPATH=src $(BIN)/python -m benchmarks.steadier $(DATA) $(WEIGHTS) $(CARD) .best/steadier.safetensors 0 1 2
	PYTHONPATH=src $(BIN)/python -m nephoscope export $(WEIGHTS) .best/steadier-0.safetensors \
	  .best/steadier-1.safetensors .best/steadier-2.safetensors --card $(CARD) --tta --output .best/best.onnx
	PYTHONPATH=src $(BIN)/python -m nephoscope calibrate .best/best.onnx $(DATA)

$(TEST_VENV)/installed:
	mkdir -p $(dir $(TEST_VENV))
	scripts/new-venv $(TEST_VENV)
	$(BIN)/pip install --quiet '.[test]'
	touch $@

clean:
	rm -rf .venv .demo .best dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
