# Moving Lands: everything from nothing. `make` lists the targets.

SCENE   ?= gently
QUALITY ?= preview

# A Python decides on the Blender: 3.11 has 4.5, 3.13 has 5.2. The first one found runs
# everything; the other, if it is there too, tests the Blender half once more.
have  = $(or $(wildcard .venv/$(1)/.ready),$(shell .ci/python $(1)))
MAIN  := $(firstword $(foreach v,3.11 3.13,$(if $(call have,$(v)),$(v))) none)
OTHER := $(if $(filter 3.11,$(MAIN)),$(if $(call have,3.13),3.13))
BLENDER/3.11 = Blender 4.5
BLENDER/3.13 = Blender 5.2

BIN    = .venv/$(MAIN)/bin
PYTHON = $(BIN)/python
READY  = .venv/$(MAIN)/.ready
OTHERS = $(OTHER:%=.venv/%/.ready)

EXTRAS   = hub,lightning,transformers,safetensors,ray
PACKAGES = $(if $(filter $*,$(MAIN)),torch bpy pytest ruff mypy loss-landscapes \
             -e "./compute[$(EXTRAS)]",bpy h5py pytest)
CHECKED  = compute/movinglands addon/sequence addon/splines.py addon/steps.py addon/units.py \
             addon/ui/process.py addon/camera/rigs \
             $(patsubst %,addon/land/%.py,memory projection styles) \
             $(patsubst %,addon/camera/%.py,acts composition motion moves planner terrain)

.PHONY: help film test bench extension lint format clean environments
.DELETE_ON_ERROR:

help:  ## this list
	@grep -E '^[a-z]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 14

film: $(READY)  ## compute and render SCENE=gently at QUALITY=preview, into films/
	@$(PYTHON) -m movinglands.system_libraries
	@$(BIN)/lands film $(SCENE) --quality $(QUALITY)

test: $(READY) $(OTHERS)  ## all tests, in every Blender there is a Python for
	@$(PYTHON) -m movinglands.system_libraries
	$(PYTHON) -m pytest tests
ifneq ($(OTHER),)
	@PYTHONPATH=compute .venv/$(OTHER)/bin/python -m movinglands.system_libraries
	.venv/$(OTHER)/bin/python -m pytest tests/addon tests/contract tests/test_house.py
endif
	@$(foreach v,$(MAIN) $(OTHER),echo "$(BLENDER/$(v)) (Python $(v)): passed.";)
	@$(foreach v,$(filter-out $(MAIN) $(OTHER),3.11 3.13), \
	  echo "$(BLENDER/$(v)): not run, there is no Python $(v) with venv here.";)

bench: $(READY)  ## speed, savings and memory, peers beside ours, in a table and bench.json
	@PYTHONPATH=tests $(PYTHON) -m benchmarks -o bench.json

extension: $(READY)  ## the installable zips, one for each system, in dist/
	@$(PYTHON) .ci/wheels.py >/dev/null
	@mkdir -p dist
	@$(PYTHON) .venv/$(MAIN)/lib/python*/site-packages/bpy/*/scripts/addons_core/bl_pkg/cli/blender_ext.py \
	  build --source-dir . --output-dir dist --split-platforms

lint: $(READY)  ## style and types, changing nothing
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy --config-file compute/pyproject.toml $(CHECKED)

format: $(READY)  ## put the code in its style
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

clean:  ## remove what the commands made, except films/
	rm -rf .venv .*_cache tests/.pytest_cache bench.json dist wheels compute/build compute/*.egg-info

environments: $(READY) $(OTHERS)  ## the Python environments all of this runs in

# The mark is taken away first and set last: without it an environment is made anew, so that one
# cut off half-way does no harm; with it, changed pins only update what they concern.
.venv/%/.ready: compute/constraints.txt compute/pyproject.toml
	@echo "Installing $(BLENDER/$*) and its Python $* environment in .venv/$*: this can take minutes."
	@if [ -e $@ ]; then rm $@; else "$$(.ci/python $*)" -m venv --clear .venv/$*; fi
	@.venv/$*/bin/python -m pip install -qq --no-input -c compute/constraints.txt $(PACKAGES)
	@touch $@

.venv/none/.ready:
	@echo "Moving Lands needs Python 3.11 or 3.13 with venv, and found neither." >&2; exit 1
