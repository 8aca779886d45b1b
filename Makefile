.PHONY: check test smoke versions gpu docs pictures lock licences

check: ## The whole check in a fresh virtual environment, as the hosted workflow runs it.
	.ci/run

test: ## All tests but the slow ones.
	python -m pytest

smoke: ## A few dozen tests that touch every part of the library.
	python -m pytest -m smoke

versions: ## The quick tests under the oldest JAX that is supported and under the newest one, in fresh environments.
	.ci/versions oldest newest

gpu: ## The tests for an accelerator; they run on a CPU, too.
	python -m pytest -m gpu

docs: ## The documentation site, in the folder site; it needs the extra `docs`.
	python -m mkdocs build --strict

pictures: ## Draws the pictures of the documentation again, and runs its notebooks.
	python docs/figures.py
	python docs/robot_figures.py
	python docs/animation.py
	python docs/drawings.py
	python docs/results.py
	python docs/site/notebooks.py

lock: ## Pins the packages of the hosted check with the digests of their files; it needs uv (`pip install uv`).
	.ci/lock

licences: ## Lists the licences of all packages that the library needs, in docs/licences.md.
	python docs/licences.py
