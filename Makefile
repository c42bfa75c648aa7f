# Everything runs from .venv, which the targets make and keep in step with pyproject.toml and constraints.txt.
VENV := .venv
BIN := $(VENV)/bin
PINS := pyproject.toml constraints.txt sdk/pyproject.toml infra/deploy/install.sh

.DEFAULT_GOAL := help
.PHONY: help setup dev run test check pure real faults format bench backtest lab drill influx influxd torch browser clean kills storm

help: ## these lines
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/make \1|\2/p' Makefile | awk -F'|' '{printf "  %-15s%s\n", $$1, $$2}'

run: setup ## start everything on this machine and see a failing node left behind (ARGS='--for 60s' and the like)
	@$(BIN)/forestall up $(ARGS)

setup: $(VENV)/setup.stamp ## install what `make run` needs
dev: $(VENV)/dev.stamp ## install everything, for test, check and bench

$(VENV)/setup.stamp: $(PINS)
	@echo "installing forestall into $(VENV)" >&2
	@infra/deploy/install.sh web
	@touch $@

$(VENV)/dev.stamp: $(PINS)
	@echo "installing forestall and all that develops it into $(VENV)" >&2
	@infra/deploy/install.sh train,influx,web,gpu,lab,frameworks,dev
	@touch $(VENV)/setup.stamp $@

test: dev ## run the tests (ARGS=tests/unit for some of them)
	@$(BIN)/python -m pytest $(ARGS)

check: dev ## format, lint, types, import directions and tests: what has to hold before a commit
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@echo "running the tests in three parts side by side; each prints when it is done, the longest in a quarter of an hour" >&2
	@$(MAKE) --no-print-directory -j3 --output-sync=target pure real faults

pure: ## a part of check: the rooms that compute (check runs its parts side by side)
	@$(BIN)/python -m pytest tests/golden tests/property tests/sim tests/unit

real: ## a part of check: real brokers, servers, processes and a browser
	@$(BIN)/python -m pytest tests/agents tests/browser tests/contract

faults: ## a part of check: what is killed, stopped, filled up and fed nonsense, which mostly waits
	@$(BIN)/python -m pytest tests/fault

format: dev ## format and fix what can be fixed
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

kills: dev ## kill -9 of an agent in each state of the protocol, 5 times each, and what it costs while the broker is away
	@KILLS=5 AWAY_S=20 $(BIN)/python -m pytest -q -s tests/fault/test_agent_killed_in_each_state.py tests/fault/test_agent_without_broker.py

storm: dev ## a hundred times as many stories of the state machine that drives deciding and acting (15 minutes)
	@STORM=100 $(BIN)/python -m pytest -q --timeout=0 tests/property/test_acting_under_fire.py

bench: dev ## frames/s of the worker's full job beside a hand-written loop; the last line is JSON
	@$(BIN)/python -m benchmarks.throughput

backtest: dev ## how many times faster than it happened the log of 1,000 nodes is tried under another policy and model
	@$(BIN)/python -m benchmarks.backtest $(ARGS)

lab: dev ## the lab in its short form: detector, predictor, history, policies, the paper's experiments (10 minutes)
	@infra/lab_short.sh

influxd: ## build a real InfluxDB 2.7 once (5 to 11 minutes), for `forestall up --influx` and the tests
	@infra/deploy/influxd.sh

influx: dev ## kill -9 of InfluxDB and of the sink, 20 times each, and InfluxDB away for 10 minutes (20 minutes)
	@INFLUX_KILLS=20 INFLUX_AWAY_S=600 $(BIN)/python -m pytest -q -s --timeout=0 tests/fault/test_sink_killed.py \
		tests/contract/test_influx_writing.py

drill: dev ## kill 20 nodes of a real torch job, under static Young and under forestall (ARGS='--kills 3': 6 minutes)
	@$(BIN)/forestall drill --job torch --ranks 4 $(or $(ARGS),--kills 20)

torch: dev ## kill ranks of the torch example twenty times and saving processes eighty times (20 minutes)
	@GPT_KILLS=20 SAVES_KILLED=40 $(BIN)/python -m pytest -s tests/fault/test_torch_gpt_killed.py \
		tests/fault/test_killed_while_saving.py tests/fault/test_framework_callbacks.py

browser: dev ## the live page in a real browser; prints figures and counts, screenshots in build/screenshots
	@$(BIN)/python -m pytest -q -s tests/browser

clean: ## remove the environment and what the tools cache
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
