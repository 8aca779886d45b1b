"""The mutants of a source file: every slip that is meant, none in what is no behaviour, and the
rest of the file as it was.
"""

import ast
import json
from pathlib import Path

import pytest
from mutator.mutants import mutants_of
from mutator.plan import MORE_TESTS, ROOMS, SAFETY_PATH, drawn, matching_tests

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "safe_wrappers"


def after(source):
    """The changed statements of all mutants."""
    return {mutant.after for mutant in mutants_of(source)}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("y = a < b", {"y = a <= b", "y = a > b"}),
        ("y = a is None", {"y = a is not None"}),
        ("y = a + b * c", {"y = a - b * c", "y = a + b / c"}),
        ("y = a and not b", {"y = a or not b", "y = a and b"}),
        ("y = -a", {"y = a"}),
        ("y = f(a, 3, 0.5, True)", {"y = f(a, 4, 0.5, True)", "y = f(a, 3, 1.0, True)"}),
        ("y = jnp.where(a, b, c)", {"y = jnp.where(a, c, b)"}),
        ("y = f(a, b)", {"y = f(b, a)"}),
        ("y = jnp.min(a)", {"y = jnp.max(a)"}),
        ("y = all(a)", {"y = any(a)"}),
        ("y = jnp.clip(a, b, c)", {"y = a"}),
        ("y = lax.stop_gradient(a)", {"y = a"}),
        ("y = jnp.isfinite(a)", {"y = a == a | True", "y = (a == a) | True"}),
        ("y = a if c else b", {"y = a", "y = b"}),
        ("if a:\n    f()", {"if True:", "if False:", "pass"}),
        ("def g(a, b):\n    return h(b)", {"return a"}),
        ("y = x.shape[0]", {"y = x.shape[1]"}),
    ],
)
def test_each_slip_is_made(source, expected):
    found = after(source)
    assert found & expected
    assert len(found & expected) == len(expected) or "isfinite" in source
    assert source.splitlines()[0] not in found


@pytest.mark.parametrize(
    "source",
    [
        '"""1 < 2"""',
        "x: Array[1] = y",
        "def f(x: Literal[1]) -> Literal[2]:\n    g",
        "@cached(1)\ndef f(x):\n    g",
        "def f(x) -> str:\n    return x + 1",
        "class A:\n    def __repr__(self):\n        return 1 < 2",
        'y = f"{1 < 2}"',
        "from a import b",
        "warnings.warn(1 < 2)",
        "zip(a, a, strict=True)",
        "y = jnp.sum(x, axis=-k)",
    ],
)
def test_what_is_no_behaviour_is_left_alone(source):
    assert after(source) <= {"pass"}


def test_messages_stay_but_checks_are_dropped():
    (mutant,) = mutants_of("def f(x):\n    raise ValueError(1 + 2)")
    assert (mutant.kind, mutant.scope, mutant.after) == ("dropped check", "f", "pass")


def test_a_mutant_differs_from_its_file_in_one_statement():
    """All else stays to the letter, comments and lines over several lines included."""
    source = (
        "# é\nx = (a +  # why\n     b)\n\n\ndef f(y):  # how\n    return g(y,\n             k=2)\n"
    )
    for mutant in mutants_of(source):
        ast.parse(mutant.source)
        assert "# é\n" in mutant.source
        assert "def f(y):  # how\n" in mutant.source
        assert (mutant.source.count("# why") == 1) == (mutant.scope == "f")
    assert len({mutant.source for mutant in mutants_of(source)}) == len(mutants_of(source)) >= 3


def test_the_sample_begins_with_the_safety_path_and_depends_on_the_seed_alone():
    mutants = {
        "safeguards/_base.py": mutants_of("y = a + b + c + d + e + f + g"),
        "sets/_box.py": mutants_of("y = a * b * c * d * e * f * g"),
    }
    order = drawn(mutants, 0)
    assert len(order) == sum(map(len, mutants.values()))
    assert [file for file, _ in order[:4]].count("safeguards/_base.py") == 3
    assert order == drawn(mutants, 0)
    assert order != drawn(mutants, 1)


def test_every_file_has_tests_that_exist():
    for path in (path for room in ROOMS for path in (PACKAGE / room).glob("_[a-z]*.py")):
        try:
            assert matching_tests(str(path.relative_to(PACKAGE)), ROOT)
        except ValueError:
            assert not mutants_of(path.read_text())
    for file, tests in MORE_TESTS.items():
        assert (PACKAGE / file).exists()
        assert all((ROOT / "tests" / test).exists() for test in tests)
    assert all((PACKAGE / file).exists() for file in SAFETY_PATH)


def test_every_equivalent_mutant_is_one_of_todays_source_and_has_a_reason():
    """The list is kept by content: what has changed since must be looked at again."""
    entries = json.loads((ROOT / "benchmarks" / "mutator" / "equivalents.json").read_text())
    for file in sorted({entry["file"] for entry in entries}):
        source = (PACKAGE / file).read_text()
        known = {(mutant.scope, mutant.before, mutant.after) for mutant in mutants_of(source)}
        for entry in entries:
            if entry["file"] == file:
                assert (entry["scope"], entry["before"], entry["after"]) in known
                assert len(entry["reason"].split()) >= 4


def test_the_number_that_keeps_a_discarded_quotient_finite_is_left_alone():
    found = after("y = jnp.where(ok, a / jnp.where(ok, b, 1.0), 0.5)")
    assert "y = jnp.where(ok, a / jnp.where(ok, b, 1.0), 1.0)" in found
    assert "y = jnp.where(ok, a / jnp.where(ok, b, 2.0), 0.5)" not in found
    assert "y = jnp.where(ok, a / jnp.where(ok, 1.0, b), 0.5)" in found
