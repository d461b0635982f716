# Needs python3 >= 3.10 with venv, make and a package index. Everything else goes into .venv, at pinned versions.

VENV    ?= .venv
EXTRAS  ?= all,dev
# The first of these that is Python 3.10 or newer; or name one: make test PYTHON=/usr/bin/python3.12
PYTHON  ?= $(shell for p in python3 python3.13 python3.12 python3.11 python3.10; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null && echo "$$p" && break; done)

BIN     := $(VENV)/bin
comma   := ,
STAMP   := $(VENV)/.installed-$(subst $(comma),-,$(EXTRAS))
DEMO    ?= .demo
SEED    ?= 0
# Processes that share the tests; 0: all in one.
TEST_PROCESSES ?= 2
STORIES ?= 1200
TESTS   ?= 400

# One thread a process: two BLAS or OpenMP pools on the same cores are several times slower than one.
export OMP_NUM_THREADS ?= 1
export TOKENIZERS_PARALLELISM ?= false


.DEFAULT_GOAL := help
.PHONY: help install demo demo-stories docs lock sbom audit wheel test test-slow lint format clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
	@echo "  PyPI's torch for Linux carries CUDA (several GB). For the CPU build, or for a mirror, name a further index:"
	@echo "    PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu make install"

install: $(STAMP) ## make .venv with the pinned packages; a second call does nothing

$(STAMP): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "No python3 >= 3.10 was found. Install one, or name it: make PYTHON=/path/to/python3" >&2; exit 1; }
	@test -x $(BIN)/python || "$(PYTHON)" -m venv $(VENV) || \
		{ echo "$(PYTHON) could not make $(VENV). On Debian and Ubuntu: apt install python3-venv" >&2; rm -rf $(VENV); exit 1; }
	@$(BIN)/python -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
		{ echo "$(VENV) is of a Python older than 3.10. Delete it and run make again." >&2; exit 1; }
	@echo "Installing into $(VENV): some minutes and 2 GB ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[$(EXTRAS)]"
	@touch $@

demo: $(STAMP) ## write requests of 48 kinds, compare ways to choose a tenth of them, choose, and draw the map
	$(BIN)/python -m ray_subsel.synthetic.intents --rows 2000 --seed $(SEED) --out $(DEMO)/train.csv
	$(BIN)/python -m ray_subsel.synthetic.intents --rows 800 --near 0 --skew 0 --seed $$(($(SEED) + 1000)) --out $(DEMO)/test.csv
	$(BIN)/subsel compare $(DEMO)/train.csv --text text --label label --test $(DEMO)/test.csv \
		--size 0.1 --draws 5 --draw-share 0.9 --out $(DEMO)/compare-$(SEED)
	$(BIN)/subsel select $(DEMO)/train.csv --text text --label label --fraction 0.1 --overwrite --out $(DEMO)/run
	@echo "Look at $(DEMO)/run/report.html and $(DEMO)/compare-$(SEED)/compare.html, or ask: $(BIN)/subsel explain $(DEMO)/run 17"

demo-stories: $(STAMP) ## the way of the report: write stories, choose a tenth, fine-tune on it and on random rows (6 minutes)
	$(BIN)/python -m ray_subsel.synthetic.stories --n $(STORIES) --seed 0 --out $(DEMO)/stories.csv
	$(BIN)/python -m ray_subsel.synthetic.stories --n $(TESTS) --seed 1 --out $(DEMO)/stories-test.csv
	$(BIN)/subsel run $(DEMO)/stories.csv --test $(DEMO)/stories-test.csv --task story-cloze --augment --embedder minilm \
		--fraction 0.1 --partitions 4 --lr 1e-4 --epochs 5 --arm subset --arm random --out $(DEMO)/stories
	@echo "Report: $(DEMO)/stories/report.html"

docs: ## build the pages of docs/ as a site in site/; a warning is an error
	@$(MAKE) --no-print-directory install EXTRAS=$(EXTRAS),docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet
	@echo "Pages: site/index.html (search needs a server: python3 -m http.server -d site)"

wheel: $(STAMP) ## build the package, install it into an empty environment, and run the command there
	$(BIN)/python -m build --outdir dist .
	"$(PYTHON)" -m venv --clear dist/.venv
	dist/.venv/bin/python -m pip install --quiet -c constraints.txt "$$(ls dist/*.whl | tail -n 1)[all]"
	cd dist && printf 'body\none text\nanother\na third\n' > texts.csv && \
		.venv/bin/subsel select texts.csv --text body --k 2 --out run --overwrite

TOOLS   := $(VENV)/tools
$(TOOLS)/bin/uv:
	@"$(PYTHON)" -m venv $(TOOLS)
	@$(TOOLS)/bin/python -m pip install --quiet uv cyclonedx-bom pip-audit 2> $(TOOLS)/install.log || \
		{ echo "uv, cyclonedx-bom and pip-audit could not be installed; it needs a package index. $(TOOLS)/install.log tells more." >&2; \
		exit 3; }

lock: $(TOOLS)/bin/uv ## renew constraints.txt and the locks with hashes: pip install --require-hashes -r locks/all.txt
	$(TOOLS)/bin/uv pip compile pyproject.toml --all-extras --universal --python-version 3.10 --no-annotate --no-header \
		-q -c constraints.txt -o constraints.txt.new
	{ grep '^#' constraints.txt; cat constraints.txt.new; } > constraints.txt.both && mv constraints.txt.both constraints.txt
	rm constraints.txt.new
	$(TOOLS)/bin/uv pip compile pyproject.toml --universal --python-version 3.10 --no-annotate --no-header --generate-hashes \
		-q -c constraints.txt -o locks/base.txt
	$(TOOLS)/bin/uv pip compile pyproject.toml --extra all --universal --python-version 3.10 --no-annotate --no-header \
		--generate-hashes -q -c constraints.txt -o locks/all.txt

sbom: $(STAMP) $(TOOLS)/bin/uv ## list what is installed, as CycloneDX, in dist/sbom.json
	@mkdir -p dist
	$(TOOLS)/bin/cyclonedx-py environment $(BIN)/python -o dist/sbom.json

audit: $(TOOLS)/bin/uv ## look the locked packages up among known vulnerabilities (needs the network)
	@$(TOOLS)/bin/pip-audit --require-hashes --disable-pip --progress-spinner off -r locks/all.txt \
		> $(TOOLS)/audit.txt 2> $(TOOLS)/audit.log; status=$$?; \
	if grep -q '^Traceback\|^ERROR' $(TOOLS)/audit.log; then \
		echo "Nothing was looked up: it needs the network (pypi.org). $(TOOLS)/audit.log tells more." >&2; exit 3; fi; \
	cat $(TOOLS)/audit.txt; cat $(TOOLS)/audit.log >&2; exit $$status

lint: $(STAMP) ## format check, lint and types
	$(BIN)/ruff format --check --quiet .
	$(BIN)/ruff check --quiet .
	$(BIN)/mypy

test: lint ## lint, types and every test that takes seconds
	$(BIN)/python -m pytest -q -m "not slow" -n $(TEST_PROCESSES) --dist loadgroup

test-slow: $(STAMP) ## the tests that take minutes
	$(BIN)/python -m pytest -q -m slow

format: $(STAMP) ## format the code and mend what can be mended
	$(BIN)/ruff format --quiet .
	$(BIN)/ruff check --quiet --fix .

clean: ## delete .venv, caches and the demo's run
	rm -rf $(VENV) $(DEMO) build dist site *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
