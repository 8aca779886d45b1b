"""Mutants of the library's source: see `benchmarks/mutation.py`."""
