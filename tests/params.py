"""Parameters of tests of which some are left to `pytest -m slow`."""

import pytest


def slow(*values):
    """The same parameters, each marked as slow: the others of the list stand for them in the quick
    tests. A tuple is the values of several arguments.
    """
    return [
        pytest.param(*(value if isinstance(value, tuple) else (value,)), marks=pytest.mark.slow)
        for value in values
    ]


def quick(names, values):
    """These values, of which all are slow but those that are named."""
    return [value if value in names else slow(value)[0] for value in values]
