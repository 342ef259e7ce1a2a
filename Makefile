# Needs Python 3.11+, make, git and a package index; everything else is set up here.
# Windows (in Git Bash) has other names for two things.
PYTHON ?= $(if $(filter Windows_NT,$(OS)),python,python3)
VENV ?= .venv
BIN = $(VENV)/$(if $(filter Windows_NT,$(OS)),Scripts,bin)
PYTHONS ?= 3.12 3.13 3.14 3.15
SECONDS = 600
READY = $(VENV)/.ready
MODEL_OPTIONS = $(if $(MODEL_URL),--model-url "$(MODEL_URL)") $(if $(MODEL),--model "$(MODEL)")

.DEFAULT_GOAL := help
.PHONY: help demo test test-lowest test-pythons test-frameworks test-resolution test-sdks test-clients test-programs live promises soak evals bench bundle \
	lock client-files skill-evals recording screens check format clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

$(READY): pyproject.toml
	@echo "Setting up $(VENV) (once, about a minute) …"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed")'
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

demo: $(READY) ## a conversation that cancels batches in a sandbox; no key needed; MODEL_URL=… MODEL=… for a real model
	@$(BIN)/python examples/demo.py $(MODEL_OPTIONS)

test: $(READY) ## all tests; no key, no internet
	$(BIN)/python -m pytest --numprocesses auto --dist worksteal

test-frameworks: $(READY) ## the examples in the real agent frameworks, one environment each (long); ONLY="langchain mcp"
	tests/frameworks/run.sh $(ONLY)

test-lowest: $(READY) ## the tests on the lowest versions that pyproject.toml allows
	release/test_lowest.sh $(LOWEST_OPTIONS)

test-pythons: $(READY) ## the tests on Python 3.12 to 3.15 (long); PYTHONS=3.15 for one
	for version in $(PYTHONS); do release/test_python.sh $$version $(PYTHON_OPTIONS) || exit 1; done

test-resolution: $(READY) ## that each agent framework keeps its newest version beside this package (not installed)
	PATH="$$(dirname "$$(release/uv.sh)"):$$PATH" $(BIN)/python -m pytest tests/frameworks/test_resolution.py

test-sdks: $(READY) ## the official SDKs, oldest and newest, Python and TypeScript, against the sandbox
	tests/sandbox/run_sdks.sh

test-clients: $(READY) ## Claude Code, Codex, Gemini CLI and the others, installed and driven (needs npm)
	tests/clients/run.sh

test-programs: $(READY) ## published programs that create batches, behind `run` (needs npm); PROGRAM_OPTIONS="-k inspect_ai"
	tests/programs/run.sh $(PROGRAM_OPTIONS)

promises: $(READY) ## every test that docs/promises.md names, and the whole matrix, which it writes into that page
	@mkdir -p build
	PROMISES=all $(BIN)/python -m pytest --numprocesses auto --dist worksteal --junitxml build/promises.xml \
	    $$(grep -oE 'tests/[a-z_/]+\.py::test_[a-z0-9_]+' docs/promises.md) tests/promises; \
	    $(BIN)/python -m tests.promises.page build/promises.xml

soak: $(READY) ## everything at once under faults for ten minutes, 10,000 examples of each search, a planted key; SECONDS=60
	$(BIN)/python -m tests.promises.soak $(SECONDS)
	EXAMPLES=10000 $(BIN)/python -m pytest --numprocesses auto tests/promises/test_search.py
	$(BIN)/python -m pytest --numprocesses auto --dist worksteal -p tests.promises.planted_key

live: $(READY) ## a smoke test with the real API; needs ANTHROPIC_API_KEY and costs less than a cent
	LIVE=1 $(BIN)/python -m pytest tests/test_live.py

evals: $(READY) ## realistic requests to a real model; needs ANTHROPIC_API_KEY and costs money, or MODEL_URL=… MODEL=…
	@$(BIN)/python -m tests.evals.harness $(MODEL_OPTIONS)

bench: $(READY) ## measure against the peers; PARTS="cancel results run" for some; OPENAPI=path adds the context
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[bench]'
	@OPENAPI=$(OPENAPI) $(BIN)/python bench/run.py $(PARTS)

bundle: $(READY) ## build dist/: the Agent Skill as a zip, and the Claude Desktop bundle (needs npm)
	@release/bundle.sh

lock: $(READY) ## write requirements.lock again
	@release/lock.sh

client-files: $(READY) ## write the files of Codex, Gemini CLI and the MCP registry again
	@$(BIN)/python release/client_files.py

skill-evals: $(READY) ## write evals/, which tools for Agent Skills read, from tests/evals/cases.json
	@$(BIN)/python release/skill_evals.py

recording: $(READY) ## draw docs/session.svg from a real session (needs tmux)
	@$(BIN)/python docs/draw_session.py

screens: $(READY) ## write docs/screens/ again: what people see in a terminal, against the sandbox
	@$(BIN)/python docs/screens.py $(SCREENS)

check: $(READY) ## formatting, lint, types (also of macOS and Windows), the import rule, and public validators
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/mypy --platform darwin --cache-dir .mypy_cache/darwin skill
	$(BIN)/mypy --platform win32 --cache-dir .mypy_cache/win32 skill
	$(BIN)/lint-imports --no-logo
	PYTHON=$(BIN)/python release/check.sh

format: $(READY) ## format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean: ## remove what the targets made
	rm -rf $(VENV) .venv-* .hypothesis .mypy_cache .pytest_cache .ruff_cache build dist
