.PHONY: check test smoke docs pictures

check: ## The whole check in a fresh virtual environment, as the hosted workflow runs it.
	.ci/run

test: ## All tests but the slow ones.
	python -m pytest

smoke: ## A few dozen tests that touch every part of the library.
	python -m pytest -m smoke

docs: ## The documentation site, in the folder site; it needs the extra `docs`.
	python -m mkdocs build --strict

pictures: ## Draws the pictures of the documentation again, and runs its notebooks.
	python docs/figures.py
	python docs/animation.py
	python docs/drawings.py
	python docs/site/notebooks.py
