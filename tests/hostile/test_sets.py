"""Sets and safe action sets: every value for what they are made of and for what they are asked."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hostile.tally import FLAGGED, RIGHT, UNSAFE, WRONG, Case, check, right
from hostile.values import Tensor

import safe_wrappers as sw

EYE = np.eye(2, dtype=np.float32)
H4 = np.concatenate([EYE, -EYE])
ONES = np.ones(4, np.float32)
SQUARE = sw.Polytope(H4, ONES)

TAKEN_ROWS = {
    "a zero row": (np.r_[H4, np.zeros((1, 2))], np.r_[ONES, 1]),
    "an empty set": (H4, -ONES),
    "a point": (H4, 0 * ONES),
    "no rows": (np.zeros((0, 2)), np.zeros(0)),
    "lists": (H4.tolist(), ONES.tolist()),
    "ints": (H4.astype(int), ONES.astype(int)),
    "bools": (H4.astype(bool), ONES.astype(bool)),
    "uint8": (H4.clip(0).astype(np.uint8), ONES.astype(np.uint8)),
    "float16": (H4.astype(np.float16), ONES.astype(np.float16)),
    "bfloat16": (jnp.asarray(H4, jnp.bfloat16), jnp.asarray(ONES, jnp.bfloat16)),
    "longdouble": (H4.astype(np.longdouble), ONES.astype(np.longdouble)),
    "Fortran": (np.asfortranarray(H4), ONES),
    "1e30": (H4 * np.float32(1e30), ONES * np.float32(1e30)),
}
REFUSED_ROWS = {
    "NaN in H": (H4 * np.nan, ONES, "`H`"),
    "inf in H": (np.where(H4 > 0, np.inf, H4), ONES, "`H`"),
    "NaN in h": (H4, ONES * np.nan, "`h`"),
    "inf in h": (H4, ONES * np.inf, "`h`"),
    "H of rank 1": (H4[0], ONES, "`H`"),
    "H of rank 3": (H4[None], ONES, "`H`"),
    "h too short": (H4, ONES[:3], "`h`"),
    "h a number": (H4, np.float32(1), "`h`"),
    "h a column": (H4, ONES[:, None], "`h`"),
    "complex": (H4 + 1j, ONES, "`H`"),
    "strings": (np.array([["1", "0"]]), np.array(["1"]), "`H`"),
    "None": (None, None, "`H`"),
    "objects": (np.array([[None, 1]], object), [1.0], "`H`"),
    "ragged": ([[1.0, 0.0], [1.0]], [1.0, 1.0], "`H`"),
    "masked": (np.ma.masked_array(H4, H4 > 0), ONES, "`H`"),
    "dates": (H4, np.zeros(4, "datetime64[s]"), "`h`"),
    "1e300": ([[1e300, 0.0]], [1.0], "`H`"),
    "float64 1e300": (H4.astype(float) * 1e300, ONES, "`H`"),
    "1e-45": (H4 * np.float32(1e-45), ONES, "`H`"),
    "1e-50": (H4.astype(float) * 1e-50, ONES, "`H`"),
    "tensor with a gradient": (Tensor(), ONES, "`H`"),
    "set": ({1.0}, ONES, "`H`"),
}


def test_polytopes():
    def use(rows):
        polytope = sw.Polytope(*rows)
        return polytope.margin(jnp.zeros(2)), polytope.contains(jnp.zeros(2))

    cases = [Case(name, functools.partial(use, rows), right) for name, rows in TAKEN_ROWS.items()]
    cases += [
        Case(name, functools.partial(sw.Polytope, H, h), None, argument)
        for name, (H, h, argument) in REFUSED_ROWS.items()
    ]
    check(cases, 35)


SHAPES = {
    "empty": (H4, -ONES, "non-empty"),
    "point": (H4, 0 * ONES, "interior"),
    "unbounded": (EYE, np.ones(2, np.float32), "bounded"),
    "slab": (np.r_[EYE[:1], -EYE[:1]], np.ones(2, np.float32), "bounded"),
    "segment": (H4, np.float32([1, 0, 1, 0]), "interior"),
    "no rows": (np.zeros((0, 2)), np.zeros(0), "bounded"),
}


@pytest.mark.parametrize("method", ["vertices", "volume", "triangulate"])
def test_polytopes_without_interior(method):
    cases = [
        Case(f"{method} of {name}", getattr(sw.Polytope(H, h), method), None, word)
        for name, (H, h, word) in SHAPES.items()
    ]
    check(cases, 6)


def points():
    """What can be asked of a set in the plane, and whether it is a point of it."""
    taken = {
        "NaN": np.full(2, np.nan),
        "inf": np.full(2, np.inf),
        "1e300": np.full(2, 1e300),
        "outside by 3e-3, bfloat16": jnp.asarray([1.0078125, 0], jnp.bfloat16),
        "outside by 1e-3, float16": np.full(2, 1.001, np.float16),
        "outside, int": np.full(2, 2),
    }
    inside = {
        "int": np.zeros(2, int),
        "bool": np.ones(2, bool),
        "list": [0, 0],
        "float64": np.zeros(2),
    }
    refused = {
        "batch": np.zeros((3, 2)),
        "too long": np.zeros(3),
        "None": None,
        "str": "ab",
        "complex": np.zeros(2, complex),
        "masked": np.ma.masked_array(np.zeros(2), [True, False]),
    }
    return taken, inside, refused


@pytest.mark.parametrize("name", ["polytope", "box", "zonotope"])
def test_membership(name):
    found = {
        "polytope": SQUARE,
        "box": sw.Box([-1.0, -1.0], [1.0, 1.0]),
        "zonotope": sw.Zonotope([0.0, 0.0], EYE),
    }[name]
    outside, inside, refused = points()

    def judge(expected, result):
        return (RIGHT, "") if bool(result) == expected else (WRONG, f"says {bool(result)}")

    cases = [
        Case(point, functools.partial(found.contains, x), functools.partial(judge, expected))
        for group, expected in ((outside, False), (inside, True))
        for point, x in group.items()
    ]
    cases += [
        Case(point, functools.partial(found.contains, x), None, "`x`")
        for point, x in refused.items()
    ]
    check(cases, 16)


BOXES = {
    "unbounded": ([-np.inf, -1], [np.inf, 1], None),
    "flat": ([0, 0], [0, 1], None),
    "of no dimension": ([], [], None),
    "bools": ([False], [True], None),
    "-0.0": ([-0.0], [0.0], None),
    "1e-45": ([-1e-45], [1e-45], None),
    "32 dimensions": (-np.ones(32), np.ones(32), None),
    "NaN": ([np.nan, 0], [1, 1], "`lower`"),
    "swapped": ([1, 1], [0, 0], "`lower`"),
    "lower inf": ([np.inf, 0], [np.inf, 1], "`lower`"),
    "upper -inf": ([-np.inf, 0], [-np.inf, 1], "`lower`"),
    "numbers": (-1.0, 1.0, "`lower`"),
    "rank 2": ([[0.0]], [[1.0]], "`lower`"),
    "lengths": ([0.0], [1.0, 1.0], "`upper`"),
    "None": (None, None, "`lower`"),
    "strings": (["0"], ["1"], "`lower`"),
    "complex": ([0j], [1 + 1j], "`lower`"),
    "1e300": ([-1e300], [1e300], "`lower`"),
    "masked": (np.ma.masked_array([0.0], [True]), [1.0], "`lower`"),
}


def test_boxes():
    def use(lower, upper):
        box = sw.Box(lower, upper)
        return box.margin(jnp.zeros(box.dim)), box.contains(jnp.zeros(box.dim))

    cases = [
        Case(
            name, functools.partial(use, lower, upper), right if word is None else None, word or ""
        )
        for name, (lower, upper, word) in BOXES.items()
    ]
    unbounded = sw.Box([-np.inf], [1.0])
    cases += [
        Case(f"{method} of an unbounded box", call, None, "bounded")
        for method, call in (
            ("vertices", unbounded.vertices),
            ("volume", unbounded.volume),
            ("sample", lambda: unbounded.sample(jax.random.PRNGKey(0))),
        )
    ]
    many = sw.Box(-np.ones(32), np.ones(32))
    cases += [Case("2^32 corners", many.vertices, None, "up to 16 sides")]
    cases += [
        Case(f"radius {radius}", functools.partial(sw.Box.symmetric, radius), None, "`radius`")
        for radius in ([-1.0], [np.nan], 1.0, ["1"], None)
    ]
    cases += [
        Case(f"scaled by {factor}", functools.partial(SQUARE.scaled, factor), None, "`factor`")
        for factor in (0, -1, np.nan, np.inf, "2", None, [1.0])
    ]
    check(cases, 35)


ZONOTOPES = {
    "zero generators": ([0, 0], np.zeros((2, 3)), None),
    "no generators": ([0, 0], np.zeros((2, 0)), None),
    "rank 1": ([0, 0], [[1, 2], [1, 2]], None),
    "1e30": ([0, 0], EYE * np.float32(1e30), None),
    "ints": ([0, 0], [[1, 0], [0, 1]], None),
    "NaN": ([0, 0], np.full((2, 2), np.nan), "`generators`"),
    "inf": ([0, np.inf], EYE, "`center`"),
    "sizes": ([0, 0, 0], EYE, "`generators`"),
    "vector": ([0, 0], [1, 1], "`generators`"),
    "complex": ([0, 0], EYE * 1j, "`generators`"),
    "strings": (["0", "0"], EYE, "`center`"),
    "None": (None, None, "`center`"),
    "1e300": ([0, 0], [[1e300], [0]], "`generators`"),
}


def test_zonotopes():
    def use(center, generators):
        zonotope = sw.Zonotope(center, generators)
        return zonotope.support(jnp.ones(zonotope.dim))

    cases = [
        Case(name, functools.partial(use, center, G), right if word is None else None, word or "")
        for name, (center, G, word) in ZONOTOPES.items()
    ]
    flat = sw.Zonotope([0, 0], [[1, 2], [1, 2]])
    cases += [
        Case(f"{method} of a flat zonotope", getattr(flat, method), None, "span all 2 dimensions")
        for method in ("halfspaces", "vertices", "to_polytope")
    ]
    check(cases, 16)


# All of four rows, so that one program serves them.
ACTION_SETS = {
    "ordinary": (H4, 0.1 * ONES),
    "NaN in A": (H4 * np.float32(np.nan), ONES),
    "NaN in b": (H4, ONES * np.float32(np.nan)),
    "inf in A": (np.where(H4 > 0, np.float32(np.inf), H4), ONES),
    "inf in b": (H4, ONES * np.float32(np.inf)),
    "an empty set": (H4, -ONES),
    "a point": (H4, 0 * ONES),
    "zero rows": (0 * H4, ONES),
    "impossible zero rows": (0 * H4, -ONES),
    "1e30": (H4 * np.float32(1e30), ONES * np.float32(1e29)),
    "1e-45": (H4 * np.float32(1e-45), ONES * np.float32(1e-45)),
}


@jax.jit
def projected(A, b, request):
    found = sw.SafeActionSet.from_rows(A, b)
    return found, sw.BoundaryProjection()(found, request)


def judged(result):
    rows, output = result
    a = np.asarray(output.action, np.float64)
    if not np.isfinite(a).all() or np.abs(a).max() > 1:
        return UNSAFE, f"executed {a}"
    A, b = np.asarray(rows.A, np.float64), np.asarray(rows.b, np.float64)
    holds = bool(np.all(A @ a <= b + 1e-6 * np.abs(A).max(initial=1)))
    if not holds and output.feasible:
        return UNSAFE, f"executed {a}, reported as safe"
    return (RIGHT if output.feasible else FLAGGED), ""


@pytest.mark.filterwarnings("ignore:invalid value encountered in matmul")
@pytest.mark.parametrize("value", [1, np.nan, np.inf, 1e30])
def test_action_sets(value):
    request = np.full(2, value, np.float32)
    cases = [
        Case(name, functools.partial(projected, *rows, request), judged)
        for name, rows in ACTION_SETS.items()
    ]
    check(cases, 11)


def test_rows_that_do_not_fit_each_other_are_refused():
    of = sw.SafeActionSet.from_rows
    cases = [
        Case("lengths", lambda: of(H4, ONES[:3]), None, "`b`"),
        Case("rank 1", lambda: of(H4[0], ONES), None, "`A`"),
        Case("rank 3", lambda: of(H4[None], ONES), None, "`A`"),
        Case("None", lambda: of(None, None), None, "`A`"),
        Case("str", lambda: of("a", "b"), None, "`A`"),
        Case("complex", lambda: of(H4 * 1j, ONES), None, "`A`"),
        Case("masked", lambda: of(np.ma.masked_array(H4, H4 > 0), ONES), None, "`A`"),
    ]
    check(cases, 7)
