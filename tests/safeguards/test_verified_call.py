"""The guarantee of every safeguard, whatever its map: exact arithmetic decides whether an executed
action is safe.
"""

from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import safe_wrappers as sw
from safe_wrappers import BoundaryProjection, SafeActionSet
from safe_wrappers._pytree import frozen_pytree, static_field
from safe_wrappers.safeguards import Safeguard

ROWS = 4
GRADIENTS = ("exact", "passthrough", "straight_through", "blend")
SPECIAL = [0.0, -0.0, 1.0, -1.0, 1e30, -1e30, 1e-30, -1e-30, np.inf, -np.inf, np.nan]
# Subnormal rows are left out: processors flush them to zero, an error of 1e-38.
ELEMENTS = st.one_of(st.floats(-4, 4, width=32, allow_subnormal=False), st.sampled_from(SPECIAL))
REQUESTS = st.one_of(
    st.floats(-1, 1, width=32),
    st.floats(width=32),
    st.sampled_from([*SPECIAL, 1e-40, -1e-40, np.nextafter(np.float32(1), np.float32(2))]),
)


@frozen_pytree
class Map(Safeguard):
    """A safeguard whose map is wrong: a constant, or the request itself if it is None."""

    value: float | None = static_field(default=None)

    def project(self, rows, request, accepted, anchor):
        return request if self.value is None else jnp.full_like(request, self.value)


PROJECTIONS = {gradient: BoundaryProjection(gradient=gradient) for gradient in GRADIENTS}
RAW, NAN = Map(), Map(value=np.nan)
OTHERS = [sw.RayMask(), sw.GaugeMap(), sw.GeneratorMask(), sw.Replacement()]
MAPS = [
    *PROJECTIONS.values(),
    *OTHERS,
    RAW,
    NAN,
    *(Map(value=value) for value in (np.inf, -1e30, 0.3)),
]


@jax.jit
def _call_all(A, b, request):
    action_set = SafeActionSet.from_rows(A, b)
    return [safeguard(action_set, request) for safeguard in MAPS], action_set.anchor


def call_all(A, b, request):
    """The outputs of all safeguards and the anchor, as NumPy arrays."""
    return jax.tree.map(np.asarray, _call_all(A, b, request))


@jax.jit
def _pull_back(A, b, request):
    """The derivatives of a sum of all maps' actions, scaled so that not the sum overflows."""
    maps = [PROJECTIONS["exact"], *OTHERS]
    actions, pullback = jax.vjp(
        lambda *args: [
            safeguard(SafeActionSet.from_rows(*args[:2]), args[2]).action for safeguard in maps
        ],
        A,
        b,
        request,
    )
    return pullback([jnp.full_like(action, 1 / 16) for action in actions])


def call(safeguard, A, b, request):
    """The output of one of them."""
    return call_all(A, b, request)[0][MAPS.index(safeguard)]


def satisfies(A, b, action):
    """Whether A a <= b and |a| <= 1, in rational arithmetic; false for a row that is not a
    number.
    """
    if not np.all(np.abs(action) <= 1):
        return False
    return all(
        holds(float(slope), float(offset), float(action[0]))
        for slope, offset in zip(A[:, 0], b, strict=True)
    )


def holds(slope, offset, action):
    if np.isnan(offset) or not np.isfinite(slope):
        return False
    if np.isinf(offset):
        return offset > 0
    return Fraction(slope) * Fraction(action) <= Fraction(offset)


def interval(A, b):
    """(lower, upper) of the rows in float64, or None if a row admits nothing."""
    lower, upper = -np.inf, np.inf
    for slope, offset in zip(A[:, 0].astype(float), b.astype(float), strict=True):
        if np.isnan(offset) or not np.isfinite(slope) or (slope == 0 and offset < 0):
            return None
        if slope > 0:
            upper = min(upper, offset / slope)
        elif slope < 0:
            lower = max(lower, offset / slope)
    return lower, upper


def largest_slack(A, b):
    """The margin of the best action of the box, as a distance; negative if there is no safe one."""
    ends = interval(A, b)
    if ends is None:
        return -np.inf
    lower, upper = ends
    middle = np.clip((np.clip(lower, -1e9, 1e9) + np.clip(upper, -1e9, 1e9)) / 2, -1, 1)
    return min(upper - middle, middle - lower)


def check(output, anchor, A, b, request):
    """Everything that holds for every safeguard; `request` as it came."""
    tau, slack, action = 16 * np.finfo(b.dtype).eps, largest_slack(A, b), output.action

    assert np.abs(action[0]) <= 1  # always, NaN included
    if slack >= tau:
        assert output.feasible
    if output.feasible:
        assert satisfies(A, b, action)
    if slack < 0:
        assert not output.feasible
        assert output.fallback
        assert output.intervened
    finite = np.isfinite(request[0])
    assert output.fallback or finite
    if output.fallback and finite:
        np.testing.assert_array_equal(action, anchor)
    np.testing.assert_array_equal(output.requested, np.clip(request, -1, 1) if finite else anchor)
    np.testing.assert_allclose(
        output.distance, np.abs(action - output.requested)[0], rtol=1e-6, atol=1e-18
    )
    subnormal = np.abs(request[0]) < np.finfo(b.dtype).tiny  # compares equal to 0
    assert output.changed == (action[0] != (0 if subnormal and action[0] == 0 else request[0]))
    if not satisfies(A, b, request):
        assert output.intervened
        assert action[0] != request[0] or not output.feasible


def check_projection(output, anchor, A, b, request):
    """What boundary projection promises beyond that: minimality, and safe requests bit for bit."""
    tau = 16 * np.finfo(b.dtype).eps
    ends = interval(A, b)
    if not output.feasible:
        return
    if not np.isfinite(request[0]):
        np.testing.assert_array_equal(output.action, anchor)
        return
    assert not output.fallback
    nearest = np.clip(np.clip(request[0], -1, 1), *ends)
    assert abs(output.action[0] - nearest) <= 2 * tau
    if satisfies(A, b, request) and min(ends[1] - request[0], request[0] - ends[0]) >= tau:
        assert output.action.tobytes() == request.tobytes()
        assert not output.intervened
        assert not output.changed
        assert output.distance == 0
    if output.action[0] == request[0] and not output.intervened:
        assert output.action.tobytes() == request.tobytes()


ROW_SETS = {
    "A": hnp.arrays(np.float32, (ROWS, 1), elements=ELEMENTS),
    "b": hnp.arrays(np.float32, ROWS, elements=ELEMENTS),
    "request": REQUESTS,
}


@pytest.mark.gpu
@given(**ROW_SETS)
@example(A=np.zeros((ROWS, 1), np.float32), b=np.full(ROWS, -0.0, np.float32), request=-0.0)
@example(A=np.ones((ROWS, 1), np.float32), b=np.full(ROWS, np.nan, np.float32), request=0.5)
@example(A=np.ones((ROWS, 1), np.float32), b=np.full(ROWS, -np.inf, np.float32), request=1e30)
@example(
    A=np.array([[1], [-1], [1e-30], [1e-20]], np.float32), b=np.ones(ROWS, np.float32), request=0.5
)
@settings(deadline=None, max_examples=300)
def test_the_executed_action_is_safe_for_all_rows_and_requests(A, b, request):
    request = np.array([request], np.float32)
    outputs, anchor = call_all(A, b, request)
    for safeguard, output in zip(MAPS, outputs, strict=True):
        check(output, anchor, A, b, request)
        if isinstance(safeguard, BoundaryProjection):
            check_projection(output, anchor, A, b, request)
    assert all(np.isfinite(part).all() for part in _pull_back(A, b, request))


@pytest.mark.gpu
@given(
    middle=st.floats(-1.2, 1.2),
    width=st.floats(-3, 3),
    slopes=hnp.arrays(np.float32, 2, elements=st.floats(0.0625, 8, width=32)),
    request=st.floats(-1.5, 1.5, width=32),
)
@settings(deadline=None, max_examples=300)
def test_needles(middle, width, slopes, request):
    """Intervals about as wide as the rounding margin tau, empty ones among them."""
    tau = 16 * np.finfo(np.float32).eps
    ends = np.array([middle + width * tau, -(middle - width * tau)])
    A = np.array([[slopes[0]], [-slopes[1]], [0], [0]], np.float32)
    b = np.append(ends * slopes, [0, 0]).astype(np.float32)
    outputs, anchor = call_all(A, b, np.array([request], np.float32))
    for output in outputs:
        check(output, anchor, A, b, np.array([request], np.float32))


@given(
    A=hnp.arrays(np.float64, (ROWS, 1), elements=st.floats(-4, 4, allow_subnormal=False)),
    b=hnp.arrays(np.float64, ROWS, elements=st.floats(-4, 4, allow_subnormal=False)),
    request=st.floats(-1.5, 1.5),
)
@settings(deadline=None, max_examples=100)
def test_float64(A, b, request):
    with jax.enable_x64():
        request = np.array([request])
        outputs, anchor = call_all(A, b, request)
        for output in outputs:
            assert output.action.dtype == np.float64
            check(output, anchor, A, b, request)
        check_projection(outputs[0], anchor, A, b, request)


def test_a_wrong_map_is_pulled_back_to_the_boundary_not_to_the_anchor():
    A, b = np.array([[1.0], [-1.0]], np.float32), np.array([0.5, 0.25], np.float32)
    output = call(RAW, A, b, np.array([0.9], np.float32))
    assert not output.fallback
    assert 0.5 - 5e-6 < output.action[0] <= 0.5
    assert call(NAN, A, b, np.array([0.9], np.float32)).fallback


@pytest.mark.gpu
def test_flags_of_a_request_that_is_not_finite():
    A, b = np.array([[1.0], [-1.0]], np.float32), np.array([0.5, 0.25], np.float32)
    output = call(PROJECTIONS["exact"], A, b, np.array([np.nan], np.float32))
    np.testing.assert_array_equal(output.action, [0.125])
    assert output.intervened
    assert output.changed
    assert output.fallback
    assert output.feasible
    assert output.distance == 0  # from the sanitised request, which is the anchor


def test_an_oversized_request_is_an_intervention_even_if_the_box_is_safe():
    A, b = np.array([[1.0], [-1.0]], np.float32), np.array([2.0, 2.0], np.float32)
    output = call(PROJECTIONS["exact"], A, b, np.array([1.5], np.float32))
    np.testing.assert_array_equal(output.action, [1.0])
    assert output.intervened
    assert output.changed
    assert not output.fallback
    assert output.distance == 0


@pytest.mark.gpu
@pytest.mark.parametrize("anchor", [2.0, -np.inf, np.nan])
def test_a_wrong_anchor_stays_in_the_box(anchor):
    action_set = SafeActionSet(jnp.array([[1.0]]), jnp.array([-3.0]), jnp.array([anchor]))
    output = BoundaryProjection()(action_set, jnp.array([0.5]))
    assert np.abs(output.action[0]) <= 1
    assert not output.feasible


@pytest.mark.parametrize("shape", [(2,), (1, 1), (256, 1)])
def test_actions_of_another_shape_are_refused_at_trace_time(shape):
    action_set = SafeActionSet.from_rows(jnp.ones((2, 1)), jnp.ones(2))
    with pytest.raises(
        sw.SetDimensionError, match=r"must have shape \(1,\), but its shape is .*jax\.vmap"
    ):
        jax.eval_shape(BoundaryProjection(), action_set, jax.ShapeDtypeStruct(shape, jnp.float32))


@pytest.mark.parametrize(
    "action",
    [[0.25], np.array([0.25]), np.array([0.25], np.float16), jnp.array([0])],
    ids=["list", "float64", "float16", "int"],
)
def test_any_kind_of_number_is_cast_to_the_dtype_of_the_rows(action):
    action_set = SafeActionSet.from_rows(jnp.ones((2, 1)), jnp.ones(2))
    output = BoundaryProjection()(action_set, action)
    assert output.action.dtype == jnp.float32
    assert not output.action.weak_type
    assert output.action[0] == np.asarray(action)[0]


@pytest.mark.parametrize("gradient", GRADIENTS)
def test_vmap_is_a_loop_and_jit_is_eager(gradient):
    rng = np.random.default_rng(0)
    A, b = (
        rng.normal(size=(16, ROWS, 1)).astype(np.float32),
        rng.uniform(-0.5, 2, (16, ROWS)).astype(np.float32),
    )
    actions = rng.uniform(-1.2, 1.2, (16, 1)).astype(np.float32)
    actions[:2] = [[np.nan], [np.inf]]
    safeguard = PROJECTIONS[gradient]
    batch = jax.jit(
        jax.vmap(lambda A, b, action: safeguard(SafeActionSet.from_rows(A, b), action))
    )(A, b, actions)
    single = jax.jit(lambda A, b, action: safeguard(SafeActionSet.from_rows(A, b), action))
    for i in range(16):
        eager = safeguard(
            SafeActionSet.from_rows(jnp.asarray(A[i]), jnp.asarray(b[i])), jnp.asarray(actions[i])
        )
        for one, many, jitted in zip(eager, batch, single(A[i], b[i], actions[i]), strict=True):
            np.testing.assert_array_equal(many[i], one)
            np.testing.assert_array_equal(jitted, one)


def test_gradient_names_are_checked():
    with pytest.raises(
        ValueError,
        match=r"`gradient` is 'pasthrough', but it must be one of 'exact', 'passthrough', "
        r"'straight_through', 'blend', 'inward'.*BoundaryProjection.* Did you mean 'passthrough'",
    ):
        BoundaryProjection(gradient="pasthrough")


def test_numbers_are_data_and_strings_static():
    leaves, structure = jax.tree.flatten(sw.RayMask(gradient=sw.Blend(0.3), mapping="linear"))
    assert leaves == [0.3]
    mask = jax.tree.unflatten(structure, [0.4])
    assert mask.rule == sw.Blend(0.4)
    assert mask.mapping == "linear"
    assert jax.tree.leaves(BoundaryProjection("passthrough")) == []
