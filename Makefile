.PHONY: check test smoke docs pictures lock licences

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

lock: ## Pins the packages of the hosted check with the digests of their files; it needs uv (`pip install uv`).
	python -c "import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['build-system']['requires'])" \
	| uv pip compile pyproject.toml - --quiet --upgrade --universal --python-version 3.11 --extra test --extra docs \
	  --generate-hashes --no-header --no-annotate --no-emit-index-url --output-file requirements.lock

licences: ## Lists the licences of all packages that the library needs, in docs/licences.md.
	python docs/licences.py
