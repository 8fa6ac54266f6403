# make setup | run | test | check | fuzz | bench
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: setup run test check lint system web fuzz bench soak lock clean

setup: $(VENV)/.installed web/dist/index.html

$(VENV)/.installed: requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

web: web/dist/index.html

web/dist/index.html: $(VENV)/.installed $(shell find web -type f -not -path 'web/node_modules/*' -not -path 'web/dist/*' 2>/dev/null)
	cd web && npm ci --no-audit --no-fund --loglevel=error && npm run --silent build

run: setup
	$(BIN)/onrecord demo

system:
	@sh scripts/system-packages.sh

test: setup system
	cd web && npm test --silent
	$(BIN)/python -m pytest -n 2 tests/unit tests/rules
	$(BIN)/python -m pytest -n 2 --dist loadfile tests/flow tests/fuzz
	$(BIN)/python -m pytest tests/e2e

check: lint test

lint: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	cd web && npm run --silent check

fuzz: setup
	$(BIN)/python -m tests.fuzz

bench: setup
	for name in ingest fanout latency recovery; do $(BIN)/onrecord bench $$name --json || exit 1; done

SECONDS ?= 1200
STREAMS ?= 50

soak: setup
	$(BIN)/python -m api.bench.soak --seconds $(SECONDS) --streams $(STREAMS)

lock:
	$(BIN)/pip-compile --quiet --generate-hashes --no-emit-index-url --no-emit-find-links --no-emit-trusted-host \
		--allow-unsafe --strip-extras --extra dev -o requirements.lock pyproject.toml
	# insightface asks for opencv-python, which needs a screen's libraries and overwrites the headless one of the same name
	sed -i '/^opencv-python==/,/^[^ ]/{/^opencv-python==/d;/^ /d}' requirements.lock

clean:
	rm -rf $(VENV) web/node_modules web/dist
