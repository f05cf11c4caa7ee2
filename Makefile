# Thin: what a command does is in tools/, local/, benchmarks/ and tests/. `make help` lists the commands.
SHELL := /bin/sh
.DEFAULT_GOAL := help
ARCHITECTURE ?= x86_64
STAGE ?= dev

VENV := .venv
PYTHON := $(VENV)/bin/python
SAM := build/sam-venv/bin/sam
BUNDLE := build/bundle-$(ARCHITECTURE).stamp
SOURCES := template.yaml layers/Makefile tools/build_layer.py $(shell find functions layers -name '*.py' -o -name 'requirements.txt')
# `sam build` wants the runtime's own interpreter on PATH.
WITH_RUNTIME = PATH="$$(dirname "$$(tools/find-python)"):$$PATH" SAM_CLI_TELEMETRY=0 ARCHITECTURE=$(ARCHITECTURE)
# Two builds at once would write the same folder: the second waits, where the system has flock.
ONE_BUILD = $(if $(shell command -v flock),flock build/.lock)
# Locks are complete, hashed and for wheels alone: no resolver, no source build, nothing that is not in them.
INSTALL = -m pip install -qq --disable-pip-version-check --no-compile --no-deps --require-hashes --only-binary :all:

.PHONY: help dev lock check test conformance bundle bench proof faults up down env demo build deploy deploy-local clean

help: ## list the commands
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

dev: ## prepare .venv and the SAM CLI's own environment, hash-checked
	@$(MAKE) --silent --no-print-directory --jobs=2 $(VENV)/.locked build/sam-venv/.locked

$(VENV)/.locked: requirements/dev.txt
	@test -x $(PYTHON) || { python=$$(tools/find-python) && "$$python" -m venv $(VENV); }
	@echo "installing the development tools into $(VENV)"
	@$(PYTHON) $(INSTALL) --requirement $<
	@touch $@

build/sam-venv/.locked: requirements/sam.txt
	@test -x build/sam-venv/bin/python || { python=$$(tools/find-python) && "$$python" -m venv build/sam-venv; }
	@echo "installing the SAM CLI into build/sam-venv"
	@build/sam-venv/bin/python $(INSTALL) --requirement $<
	@touch $@

lock: $(VENV)/.locked ## write each requirements.txt again from its .in
	@tools/lock

check: dev ## linters, types, import contracts, template rules, secret scan
	@tools/check

test: $(BUNDLE) ## all tests, on real peers where there is one
	@$(PYTHON) -m pytest

conformance: dev ## the same assertions on each store and each target
	@$(PYTHON) -m pytest tests/conformance

bundle: $(BUNDLE) ## what is shipped imports, obeys and is the same when built again
	@$(PYTHON) -m pytest tests/bundle

bench: $(BUNDLE) ## figures beside a baseline of the same run -> build/bench/summary.json
	@$(PYTHON) -m benchmarks

proof: dev ## crash points on a real PostgreSQL -> build/proof/summary.json
	@PYTHONPATH=layers/core $(PYTHON) -m tests.killpoints

faults: dev ## injected faults -> build/faults/summary.json
	@$(PYTHON) tools/faults.py

up: dev ## start the local cloud
	@$(PYTHON) -m local up

down: ## stop the local cloud
	@if test -x $(PYTHON); then $(PYTHON) -m local down; else echo "Nothing was started here."; fi

env: dev ## print the exports for the local cloud: eval "$(make -s env)"
	@$(PYTHON) -m local env

demo: dev ## the main job, end to end, on the local cloud
	@$(PYTHON) -m local.demo

build: $(BUNDLE) ## the bundle in .aws-sam/build (ARCHITECTURE=arm64 for Graviton)

$(BUNDLE): $(SOURCES) | dev
	@rm -f build/bundle-*.stamp
	@$(WITH_RUNTIME) $(ONE_BUILD) $(SAM) build --parameter-overrides Architecture=$(ARCHITECTURE)
	@touch $@

deploy: $(BUNDLE) ## deploy to your account: STAGE=dev, staging or prod
	@$(SAM) deploy --config-env $(STAGE)

deploy-local: $(BUNDLE) ## deploy to the local cloud
	@eval "$$($(PYTHON) -m local env)" && $(SAM) deploy --config-env local

clean: down ## remove what was built; .venv and the local cloud's data stay
	@rm -rf .aws-sam build/bundle-*.stamp build/layers build/bench build/proof build/faults build/demo
