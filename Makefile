# make run    install, start everything embedded, load a sample, serve until Ctrl-C
# make test   install, run every test
# make check  format, lint, types, import law, docs
# make soak   ten minutes of load while everything is killed and frozen in turn, then a recount
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
ARGS   ?=

.PHONY: run test check soak format lock clean bench-ingest bench-live bench-rebuild bench-delivery bench-query

run: $(VENV)/installed
	@exec $(BIN)/progress-context up --sample $(ARGS)

test: $(VENV)/installed-dev
	$(BIN)/pytest -n 3 --dist loadfile --no-loadscope-reorder $(ARGS)

check: $(VENV)/installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright
	$(BIN)/lint-imports
	$(BIN)/pytest -q tests/unit/test_docs.py tests/integration/test_schema.py

soak: $(VENV)/installed-dev
	@PYTHONPATH=tests exec $(BIN)/python -m soak $(ARGS)

format: $(VENV)/installed-dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench-ingest bench-live bench-rebuild bench-delivery bench-query: $(VENV)/installed-dev
	$(BIN)/python -m bench.$(subst bench-,,$@) $(ARGS)

lock: $(VENV)/installed-dev
	$(BIN)/pip install --quiet uv
	$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
		--no-emit-index-url --no-emit-find-links --extra local --extra pubsub --group build -o requirements.txt pyproject.toml
	$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
		--no-emit-index-url --no-emit-find-links --extra local --extra pubsub --group build --group dev -o requirements-dev.txt pyproject.toml
	$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
		--no-emit-index-url --no-emit-find-links -o bench/peers/requirements.txt bench/peers/requirements.in

clean:
	rm -rf $(VENV) build dist artefacts

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: requirements.txt pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/installed-dev: requirements-dev.txt $(VENV)/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@touch $@
