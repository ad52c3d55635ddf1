# Two commands set up everything on a machine that has Python 3.11:
#   make demo   trains GAIL on the shipped Hopper demonstrations and writes runs/demo/
#   make test   runs ruff, mypy, and the tests on both stacks: the default one and the modern one
# 'make test-default' and 'make test-modern' run the tests of one stack, TESTS=tests/test_gail.py some of them.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
MODERN := .venv-modern
MODERN_INSTALLED := $(MODERN)/.installed
# By file: the fixtures that a file's tests share are made once.
PYTEST := -m pytest --numprocesses 2 --dist loadfile --durations 15 $(TESTS)
# Left out on the modern stack, for time: comparisons and benchmarks train the same models in other processes, and
# these readers of files meet neither SB3 nor gymnasium.
WITHOUT := $(foreach name,bench compare engines report statistics study summary \
	fuzz hdf5_formats imitation_ends npz safe_pickle sampling,--ignore tests/test_$(name).py)
export OMP_NUM_THREADS = 1
export PYTHONWARNINGS = ignore::DeprecationWarning:pkg_resources

HOPPER := expert_data/HopperMuJoCoEnv-v0/deterministic.trpo.Hopper.0.00.npz

.PHONY: demo test test-default test-modern lint experts errata clean
.NOTPARALLEL:

demo: $(INSTALLED)
	$(BIN)/sb3-gail train --env HopperMuJoCoEnv-v0 --demos $(HOPPER) --out runs/demo --seed $(or $(SEED),0)

test: lint test-default test-modern

test-default: $(INSTALLED)
	$(BIN)/python $(PYTEST)

test-modern: $(MODERN_INSTALLED)
	$(MODERN)/bin/python $(PYTEST) $(WITHOUT)

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

experts: $(INSTALLED)
	$(BIN)/sb3-gail expert --env HopperMuJoCoEnv-v0 --algo trpo --steps 1000000
	$(BIN)/sb3-gail expert --env Hopper-v4 --algo trpo --steps 700000
	$(BIN)/sb3-gail expert --env Walker2d-v4 --algo trpo --steps 1500000
	$(BIN)/sb3-gail expert --env HalfCheetah-v4 --algo trpo --steps 1500000
	$(BIN)/sb3-gail expert --env Ant-v4 --algo trpo --steps 2000000

errata: $(INSTALLED)
	$(BIN)/python scripts/chapter_errata.py --seeds 0 1 2 --steps 200000

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $(INSTALLED)

# As a user gets there: the default stack, then one command more.
$(MODERN_INSTALLED): pyproject.toml constraints.txt constraints-modern.txt
	$(PYTHON) -m venv $(MODERN)
	$(MODERN)/bin/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	$(MODERN)/bin/python -m pip install --quiet --no-deps --requirement constraints-modern.txt
	touch $(MODERN_INSTALLED)

clean:
	rm -rf $(VENV) $(MODERN) build *.egg-info
