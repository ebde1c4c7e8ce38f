# Balto: `make run` and `make test` do all the set-up. Needs Python >= 3.10, make and the Python registry.
SHELL := /bin/bash
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3.10 python3; do \
	command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin

.PHONY: setup run demo test test-unit test-browser test-api lint format bench-path bench-load bench-faults bench-protocol bench-footprint bench-hearing evaluate rolling cluster-test sbom audit licences test-ops clean help

help:           ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 18

setup: $(VENV)/.installed  ## the environment in .venv, with the pinned requirements

# What runs is installed first, and alone where nothing but running is asked for: a new user waits a minute less.
$(VENV)/.runs: requirements.txt requirements-nodeps.txt pyproject.toml
	@test -n "$(PYTHON)" || { echo "balto: Python 3.10 or newer is needed; install it, or: make PYTHON=/path/to/python3 …" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || \
		{ echo "balto: no virtual environment could be made (Debian: apt-get install python3-venv)" >&2; exit 1; }
	@echo "balto: installing into $(VENV) (a few minutes the first time)"
	@$(BIN)/python -m pip install -q --disable-pip-version-check -r requirements.txt
	@$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps -r requirements-nodeps.txt
	@$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps -e .
	@touch $@

$(VENV)/.installed: $(VENV)/.runs requirements-dev.txt requirements-local.txt
	@echo "balto: installing what tests and benches need into $(VENV)"
	@$(BIN)/python -m pip install -q --disable-pip-version-check -r requirements-dev.txt
	@touch $@

run: $(VENV)/.runs  ## the service with a demo counter, until Ctrl-C; LEAN=1: one ingress, no dashboard
	@exec $(BIN)/python -m serve_app.run $(if $(LEAN),--lean)

demo: $(VENV)/.runs  ## the service, and a bundled conversation streamed to it in real time
	@exec $(BIN)/python -m serve_app.run --demo $(if $(LEAN),--lean)

test: setup     ## every test that CI runs: unit, contract (real PostgreSQL, simulated providers), serve (real Ray)
	@$(BIN)/python -m pytest $(ARGS)

test-unit: setup  ## the unit tests alone, with branch coverage of the pure rooms
	@$(BIN)/python -m pytest tests/unit --cov=audio --cov=cestas --cov=privacy --cov=serve_app.wire --cov=serve_app.conversation --cov-branch \
		--cov-report=term-missing:skip-covered $(ARGS)

$(VENV)/api/.installed: requirements-api.txt
	@$(BIN)/python -m venv $(VENV)/api && $(VENV)/api/bin/pip install -q --disable-pip-version-check -r requirements-api.txt
	@touch $@

test-api: setup $(VENV)/api/.installed  ## thousands of generated requests against the OpenAPI document (schemathesis), some 10 minutes
	@$(BIN)/python -m tests.api $(VENV)/api/bin/schemathesis --continue-on-failure --max-examples 200 $(ARGS)

test-browser: setup  ## the pages in headless Chromium, with axe-core; pictures of every state in reports/browser
	@command -v chromium >/dev/null || command -v google-chrome >/dev/null || apt-get install -y -qq chromium || \
		{ echo "balto: Chromium is needed (Debian: apt-get install chromium)" >&2; exit 1; }
	@$(BIN)/python -m pip install -q --disable-pip-version-check -r requirements-browser.txt
	@$(BIN)/python -m pytest tests/browser $(ARGS)

lint: setup     ## ruff and mypy --strict
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy

format: setup   ## let ruff put the code in order
	@$(BIN)/ruff check --fix . ; $(BIN)/ruff format .

bench-path: setup  ## end of utterance → suggestion at 20 counters, simulated providers, cleaning off and on
	@$(BIN)/python -m bench.path $(ARGS)

bench-load: setup  ## what a counter-second costs under load, and what is lost (ARGS="--counters 20,100,300 --chunk-ms 250")
	@$(BIN)/python -m bench.load $(ARGS)

bench-faults: setup ## a replica killed, a redeploy, a crowd at the door, a flood, a step of load (ARGS="killed --stage Voice --counters 50")
	@$(BIN)/python -m bench.faults $(ARGS)

bench-protocol: setup  ## REST and counters of every generation against any deployment (ARGS="--url http://HOST:PORT --admin-secret-file …")
	@$(BIN)/python -m bench.protocol $(ARGS)

bench-footprint: setup  ## memory of the whole idle service, process by process
	@$(BIN)/python -m bench.footprint $(ARGS)

bench-hearing: setup  ## segmenting against truth, beside webrtcvad, Silero and the previous generation (needs espeak-ng)
	@command -v espeak-ng >/dev/null || apt-get install -y -qq espeak-ng || \
		{ echo "balto: espeak-ng is needed (Debian: apt-get install espeak-ng)" >&2; exit 1; }
	@$(BIN)/python -m bench.hearing $(ARGS)

$(VENV)/ops/.installed: requirements-ops.txt
	@$(BIN)/python -m venv $(VENV)/ops && $(VENV)/ops/bin/pip install -q --disable-pip-version-check -r requirements-ops.txt
	@touch $@

sbom: setup $(VENV)/ops/.installed  ## the software bill of materials of .venv, CycloneDX, in reports/sbom.json
	@mkdir -p reports && $(VENV)/ops/bin/cyclonedx-py environment $(BIN)/python --pyproject pyproject.toml \
		--output-reproducible --output-file reports/sbom.json && echo "reports/sbom.json"

audit: setup $(VENV)/ops/.installed  ## known vulnerabilities of the pinned requirements (asks the Python registry's advisories)
	@$(VENV)/ops/bin/pip-audit --requirement requirements.txt --requirement requirements-nodeps.txt --no-deps --disable-pip \
		--progress-spinner off $(ARGS)

licences: setup  ## third-party licences of what runs, into THIRD_PARTY_LICENSES.md
	@$(BIN)/python ops/licences.py > THIRD_PARTY_LICENSES.md && echo "THIRD_PARTY_LICENSES.md"

test-ops: setup $(VENV)/ops/.installed  ## real nginx, real Prometheus, a wss session with a redeploy inside (OPS_SESSION_S=600)
	@command -v nginx >/dev/null && command -v prometheus >/dev/null || \
		{ echo "balto: nginx and Prometheus are needed (Debian: apt-get install nginx-light prometheus)" >&2; exit 1; }
	@$(VENV)/ops/bin/hadolint Dockerfile
	@$(BIN)/python -m pytest tests/unit/test_ops_files.py tests/contract/test_alerts.py tests/contract/test_nginx.py \
		tests/contract/test_backup.py tests/contract/test_doctor.py tests/contract/test_trace_delivery.py tests/ops $(ARGS)

rolling: setup  ## redeploy a service under talking counters: lost, shown twice, longest silence (ARGS="--counters 8")
	@dir=$$(mktemp -d /tmp/balto-rolling-XXXXXX) && chmod 755 $$dir && trap 'rm -rf '$$dir EXIT && \
		BALTO_STATE_DIR=$${BALTO_STATE_DIR:-$$dir/state} $(BIN)/python -m serve_app.rolling $(ARGS)

cluster-test: setup  ## three VPSes as namespaces, ray up on cluster.yaml, the fault plan (root; ARGS="--counters 6 --fault head-killed")
	@$(BIN)/python -m tests.cluster $(ARGS)

evaluate: setup ## how well the rules understand: the held-out set, then the development sets
	@for set in bench/labels/heldout2.jsonl bench/labels/heldout.jsonl bench/labels/dev_blind.jsonl bench/labels/dev_blind2.jsonl cestas/data/labels/dev.jsonl; do \
		echo "== $$set"; $(BIN)/python -m cestas.evaluate $$set $(ARGS); done

clean:          ## remove the environment and caches (not the state directory)
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info
