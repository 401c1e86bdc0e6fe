# Needs only Python 3.11 or later, make and git. Everything is installed into .venv.
USABLE := 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))'
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3 python-3.11-or-later; do $$p -c $(USABLE) >/dev/null 2>&1 && break; done; echo $$p)
LANGCHAIN := integrations/langchain-routed
LLAMA_INDEX := integrations/llama-index-llms-routed
OPENAI := integrations/openai-routed
PINS := pyproject.toml $(LANGCHAIN)/pyproject.toml $(LLAMA_INDEX)/pyproject.toml $(OPENAI)/pyproject.toml constraints.txt
BIN := .venv/bin
# The tests start hundreds of processes: what the first compiles, the others read.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: help demo test check venv test-openai3 test-frameworks test-newest test-lowest coverage docs bench clean
help: ## show this list (default)
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "make %-13s %s\n", $$1, $$2 }' Makefile

demo: .venv/installed ## watch the router decide on a simulated OpenAI: no key, no network
	@$(BIN)/routed demo

test: .venv/dev ## run the tests of the core and of the integrations
	$(BIN)/pytest -q -n 3 --dist worksteal tests
	$(BIN)/pytest -q -n 3 --dist worksteal -c $(LANGCHAIN)/pyproject.toml $(LANGCHAIN)/tests
	$(BIN)/pytest -q -n 3 --dist worksteal -c $(LLAMA_INDEX)/pyproject.toml $(LLAMA_INDEX)/tests
	$(BIN)/pytest -q -n 3 --dist worksteal -c $(OPENAI)/pyproject.toml $(OPENAI)/tests

check: .venv/dev ## check style, types, the direction of imports and the documents' examples
	$(BIN)/ruff check --quiet --output-format concise .
	$(BIN)/ruff format --check --quiet .
	$(BIN)/mypy src $(LANGCHAIN)/langchain_routed $(LLAMA_INDEX)/llama_index $(OPENAI)/openai_routed
	@$(BIN)/lint-imports --no-cache > .venv/imports || { cat .venv/imports; exit 1; }
	$(BIN)/pytest -q tests/test_docs.py tests/test_tree.py

venv: .venv/dev ## install everything that development needs
test-openai3: .venv-openai3/installed ## run the tests of LangChain's integration and of the client with openai 3
	$(<D)/bin/pytest -q -n 3 --dist worksteal -c $(LANGCHAIN)/pyproject.toml $(LANGCHAIN)/tests
	$(<D)/bin/pytest -q -n 3 --dist worksteal -c $(OPENAI)/pyproject.toml $(OPENAI)/tests
test-frameworks: .venv-frameworks/installed ## run the client's examples on six frameworks, which are heavy
	$(<D)/bin/pytest -q -c $(OPENAI)/pyproject.toml $(OPENAI)/tests/test_frameworks.py
test-newest: .venv-newest/installed ## run the tests with the newest of everything that is needed
	$(MAKE) test-with ENV=$(<D)
test-lowest: .venv-lowest/installed ## run the tests with the lowest versions that are said to do
	$(MAKE) test-with ENV=$(<D)
# Left out is what compares with the pinned versions; of others' names that are going, nothing is said.
test-with: WITH = $(ENV)/bin/pytest -q -n 3 --dist worksteal -W ignore::DeprecationWarning
test-with:
	$(WITH) tests $(addprefix --ignore tests/,test_docs.py test_tree.py typed catalog/test_disagreements.py) \
		--deselect tests/catalog/test_refresh.py::test_nothing_new \
		--deselect tests/recipes/test_add_a_model.py::test_a_model_is_two_files
	$(WITH) -c $(LANGCHAIN)/pyproject.toml $(LANGCHAIN)/tests
	$(WITH) -c $(LLAMA_INDEX)/pyproject.toml $(LLAMA_INDEX)/tests
	$(WITH) -c $(OPENAI)/pyproject.toml $(OPENAI)/tests
coverage: .venv/dev ## count the lines of the core that its tests reach; too few fail
	$(BIN)/pytest -q -n 3 --dist worksteal --cov --cov-report=term tests
docs: .venv/dev ## build the site into build/site
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build
bench: .venv/dev ## measure speed, as ratios to peers in the same run
	@$(BIN)/python -m benchmarks.run_all
clean: ## remove the environments and all that was built
	rm -rf .venv .venv-openai3 .venv-frameworks .venv-newest .venv-lowest build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis

.venv/installed: $(PINS)
	@echo "Installing into .venv: about a minute" && $(PYTHON) -m venv $(@D)
	@$(BIN)/pip install -qq -U pip -c constraints.txt
	@$(BIN)/pip install -qq -c constraints.txt -e '.[all]' -e $(LANGCHAIN) -e $(LLAMA_INDEX) -e $(OPENAI) && touch $@
.venv/dev: .venv/installed
	@$(BIN)/pip install -qq -c constraints.txt --group dev && touch $@
.venv-openai3/installed: $(PINS) constraints-openai3.txt
	@$(PYTHON) -m venv $(@D) && $(@D)/bin/pip install -qq -U pip -c constraints.txt
	@grep -v '^openai==' constraints.txt | cat - constraints-openai3.txt > $(@D)/constraints.txt
	@$(@D)/bin/pip install -qq -c $(@D)/constraints.txt -e '.[all]' -e $(LANGCHAIN) -e $(OPENAI) --group dev && touch $@
# What the tests run with is pinned, what they test is not.
.venv-newest/installed .venv-lowest/installed: $(PINS)
	@$(PYTHON) -m venv $(@D) && $(@D)/bin/pip install -qq -U pip uv -c constraints.txt
	@$(@D)/bin/uv pip install -q --python $(@D)/bin/python --link-mode copy \
		--resolution $(if $(findstring lowest,$@),lowest-direct,highest) \
		-e '.[all]' -e $(LANGCHAIN) -e $(LLAMA_INDEX) -e $(OPENAI)
	@$(@D)/bin/pip freeze --exclude-editable > $(@D)/chosen.txt
	@$(@D)/bin/pip install -qq --group dev -c $(@D)/chosen.txt && touch $@
.venv-frameworks/installed: $(PINS)
	@$(PYTHON) -m venv $(@D) && $(@D)/bin/pip install -qq -U pip -c constraints.txt
	@$(@D)/bin/pip install -qq -e '.[media,fast]' -e $(OPENAI) --group frameworks && touch $@
