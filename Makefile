# The few words of this house. `make demo` and `make test` set themselves up.
PYTHON ?= python3
BIN := .venv/bin
export OMP_NUM_THREADS ?= 2
export TOKENIZERS_PARALLELISM := false

.PHONY: help demo test coverage check mutants hardship studio base clean

help:           ## these words
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

demo: .venv/ready           ## bare machine to leaderboard: the Python standard library, no key, no network
	$(BIN)/retort run examples/python-stdlib/run.toml

test: export OMP_NUM_THREADS = 1
test: .venv/ready           ## the whole test suite
	$(BIN)/python -m pytest -n 3 --dist loadfile

coverage: export OMP_NUM_THREADS = 1
coverage: .venv/ready       ## the same with its coverage, which takes half as long again
	$(BIN)/python -m pytest -n 3 --dist loadfile --cov --cov-report=term:skip-covered

check: .venv/ready           ## ruff and mypy --strict
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy

mutants: .venv/ready           ## mutation score of each module (goes on where it stopped; ONLY=evals/stats.py for one)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[mutants]'
	nice -n 10 $(BIN)/python tests/mutants/score.py $(ONLY)

hardship: .venv/ready           ## 100 kills and 20 disks that are too small; the data must be the same (half an hour)
	$(BIN)/python tests/hardship.py kills 100 .scratch/kills
	$(BIN)/python tests/hardship.py disks 20 .scratch/disks

silence: export RETORT_SILENCE = $(CURDIR)/.scratch/left-the-machine.txt
silence: export PYTHONPATH = $(CURDIR)/tests/guard
silence: .venv/ready           ## the whole demo with tracing asked for, and nothing but loopback allowed
	rm -rf .scratch/silence $(RETORT_SILENCE); mkdir -p .scratch
	LANGSMITH_TRACING=true LANGCHAIN_TRACING_V2=true LANGSMITH_API_KEY=x HF_HUB_OFFLINE= \
		$(BIN)/retort run examples/python-stdlib/run.toml --run .scratch/silence
	@test ! -e $(RETORT_SILENCE) && echo "no connection was tried" || { cat $(RETORT_SILENCE); exit 1; }

studio: .venv/ready           ## langgraph dev with the run of `make demo`
	LANGSMITH_TRACING=false $(BIN)/langgraph dev --no-browser

base: .venv/ready           ## make the tiny base model again from nothing (about 40 minutes)
	$(BIN)/python -m recipes.tiny_base.recipe --out .scratch/base-again

clean:           ## remove what tests and checks left; runs stay, a ledger may have been paid for
	rm -rf .mutants .pytest_cache .mypy_cache .ruff_cache .coverage .langgraph_api

.venv/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[demo,studio,dev]'
	@touch .venv/ready
