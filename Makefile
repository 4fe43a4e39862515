# make demo, make test: from a fresh clone to the product and its proof. make help lists the rest.
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python

.PHONY: help demo test test-slow fuzz formal exhaustive coverage mutations virtual-board boards resources performance burst docs docs-check tools lint types venv icarus \
  prerequisites clean

help:
	@echo "make demo       build the Fashion-MNIST network for a ULX3S-85F, simulate it, print what came out"
	@echo "make test       lint, types and tests"
	@echo "make test-slow  the tests that take minutes: place and route, whole test sets"
	@echo "make fuzz       read 20,000 damaged files with every reader: the same meaning, or one line"
	@echo "make formal     prove the properties of docs/proofs.md, and write that table"
	@echo "make exhaustive all 10,000 test images of MNIST and Fashion-MNIST through three simulated networks; goes on where it was"
	@echo "make coverage   simulate six networks and write what was covered to docs/coverage.md: a quarter of an hour"
	@echo "make mutations  plant bugs one at a time and write to docs/mutations.md which test finds each: half an hour"
	@echo "make virtual-board  the host driver against a simulated board: perfect line, bad line, garbage"
	@echo "make boards     build a network for every board that is not built yet, and write docs/boards.md"
	@echo "make resources  synthesise the designs of the resource model that are not measured yet, and fit it"
	@echo "make performance  simulate and synthesise the fastest designs, and write docs/performance.md: hours; goes on where it was"
	@echo "make burst      train binary, fixed-burst and QB-LIF networks and write docs/burst: many hours; goes on where it was"
	@echo "make docs       build the documentation site and serve it at http://127.0.0.1:8000"
	@echo "make docs-check build it with --strict, into build/site"
	@echo "make venv       only the environment, in $(VENV)"
	@echo "make icarus     Icarus Verilog beside it, from Debian's package"

demo: venv
	$(RUN) -m studies.demo

test: venv tools lint types docs-check
	-@$(RUN) -m sim.install_icarus
	$(RUN) -m pytest -n 2 --dist loadfile --no-loadscope-reorder

test-slow: venv
	-@$(RUN) -m sim.install_icarus
	$(RUN) -m pytest -m slow

fuzz: venv
	$(RUN) -m tests.fuzz.campaign

formal: venv tools
	$(RUN) -m studies.formal --out docs/proofs.md

exhaustive: venv
	$(RUN) -m sim.exhaustive --ckpt snn/zoo/mnist_mlp75.pt --data mnist --board arty_a7 --target-fps 850000 --workers 1
	$(RUN) -m sim.exhaustive --ckpt snn/zoo/fashion_mnist_mlp.pt --data fashion_mnist --board ulx3s_85f --target-fps 200000
	$(RUN) -m sim.exhaustive --ckpt snn/zoo/fashion_mnist_cnn.pt --data fashion_mnist --board ulx3s_45f --target-fps 5200

coverage: venv
	$(RUN) -m studies.coverage --out docs/coverage.md

mutations: venv
	$(RUN) -m studies.mutations --out docs/mutations.md

burst: venv
	$(RUN) -m studies.burst --out docs/burst

performance: venv
	$(RUN) -m studies.performance

virtual-board: venv
	$(RUN) -m studies.virtual_board

boards: venv
	$(RUN) -m studies.boards

resources: venv
	$(RUN) -m studies.resources measure
	$(RUN) -m studies.resources fit

# Each tool is compiled for this machine when it runs first, and two first runs at a time would disturb each other.
tools: venv
	@for tool in boolector yosys nextpnr-ecp5 ecppack nextpnr-ice40 icepack nextpnr-himbaechel-gowin; do \
	  $(VENV)/bin/yowasp-$$tool --version >/dev/null 2>&1 || true; done

lint: venv
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .

types: venv
	$(RUN) -m mypy

docs: venv
	NO_MKDOCS_2_WARNING=1 $(RUN) -m mkdocs serve

docs-check: venv
	NO_MKDOCS_2_WARNING=1 $(RUN) -m mkdocs build --strict

icarus: venv
	$(RUN) -m sim.install_icarus

venv: $(VENV)/installed

$(VENV)/installed: pyproject.toml constraints.txt | prerequisites
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[dev]"
	@touch $@

prerequisites:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	  || { echo "error: $(PYTHON) 3.11 or newer is needed (or name one: make PYTHON=...)" >&2; exit 2; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null \
	  || { echo "error: Python's venv module is needed (Debian: apt-get install python3-venv)" >&2; exit 2; }
	@for tool in git g++ perl; do command -v $$tool >/dev/null \
	  || { echo "error: $$tool is needed; install it with your system's package manager" >&2; exit 2; }; done

clean:
	rm -rf build
