# The two commands of a newcomer: `make demo` and `make test`. Both set up what they need.
BUILD := build/release
JOBS ?= $(shell nproc)
PYTHON := $(or $(BWCACHE_DEPS),$(HOME)/.cache/bwcache-gen)/python/bin/python

.PHONY: demo test build setup python test-python asan tidy format lint mutants bench train evaluate-model clean

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

bench: build
	tests/bench/run $(BUILD)/bwcache-gen

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
