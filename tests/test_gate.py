"""What enters the library is a real number of the right shape and range, or an error that names the
argument and what was given for it.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from safe_wrappers import SetDimensionError
from safe_wrappers import _gate as gate


class Tensor:
    """As one of torch that requires a gradient."""

    requires_grad = True

    def __array__(self, dtype=None, copy=None):
        raise RuntimeError("Can't call numpy() on Tensor that requires grad.")


class Rude:
    """Has no `repr` and no conversion."""

    def __repr__(self):
        raise RuntimeError

    def __array__(self, dtype=None, copy=None):
        raise RuntimeError

    def __index__(self):
        raise RuntimeError


NOT_NUMBERS = {
    "none": None,
    "text": "0.5",
    "texts": ["0.5", "1"],
    "complex": 1j,
    "complex jax": jnp.array([1j]),
    "none in a list": [None, 1.0],
    "objects": np.array([0.5], object),
    "dates": np.zeros(2, "datetime64[s]"),
    "durations": np.zeros(2, "timedelta64[s]"),
    "records": np.zeros(2, [("a", "f4")]),
    "masked": np.ma.masked_array([1.0], [True]),
    "ragged": [[1.0], [1.0, 2.0]],
    "huge integer": [10**30],
    "dictionary": {"a": 1},
    "set": {1.0},
    "generator": (v for v in [1.0]),
    "key": jax.random.key(0),
    "tensor with a gradient": Tensor(),
    "rude": Rude(),
}


@pytest.mark.parametrize("value", NOT_NUMBERS.values(), ids=NOT_NUMBERS.keys())
def test_what_is_no_array_of_real_numbers_is_refused_by_name(value):
    with pytest.raises(SetDimensionError, match=r"^`given` is ") as error:
        gate.as_numbers("given", value)
    assert len(str(error.value)) < 300
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("value", "dtype"),
    [
        (1, "float32"),
        (True, "float32"),
        ([0.1, 0.2], "float32"),
        (np.ones(2, np.uint8), "float32"),
        (np.ones(2, np.int64), "float32"),
        (np.ones(2, np.float16), "float32"),
        (np.ones(2, np.float32), "float32"),
        (np.ones(2, np.float64), "float64"),
        (np.float64(1), "float64"),
        (np.ones(2, np.longdouble), "float32"),
        (jnp.ones(2, jnp.bfloat16), "float32"),
        (np.asarray(jnp.ones(2, jnp.bfloat16)), "float32"),
        (jnp.ones(2, jnp.float16), "float32"),
        (jnp.ones(2, int), "float32"),
        (memoryview(np.ones(2, np.float32)), "float32"),
        ([np.inf, np.nan], "float32"),
    ],
)
def test_numbers_pass_as_float32_or_better(value, dtype):
    array = gate.as_numbers("given", value)
    assert array.dtype == dtype
    np.testing.assert_array_equal(np.asarray(array), np.asarray(value, np.float64).astype(dtype))


@pytest.mark.parametrize(
    "value", [[1e300], np.array([-1e300]), 1e39, np.array([1e39], "longdouble")]
)
def test_what_float32_cannot_hold_is_an_error_and_infinite_only_on_request(value):
    with pytest.raises(SetDimensionError, match=r"`given` is .* float32 holds numbers up to 3\.4"):
        gate.as_numbers("given", value)
    infinite = gate.as_numbers("given", value, overflow=True)
    with np.errstate(over="ignore"):
        assert np.isinf(np.asarray(infinite).astype(np.float32)).all()


def test_tracers_pass_with_their_dtype_and_shape_checked():
    jax.jit(lambda x: gate.as_state("x", x, 2))(jnp.ones(2))
    with pytest.raises(SetDimensionError, match="`x` is an array of complex64"):
        jax.jit(lambda x: gate.as_state("x", x, 2))(jnp.ones(2) * 1j)
    with pytest.raises(SetDimensionError, match=r"shape \(2,\)"):
        jax.jit(lambda x: gate.as_state("x", x, 2))(jnp.ones(3))


@given(value=st.floats(0, float(np.finfo(np.float32).max)))
def test_a_bound_is_never_rounded_down(value):
    bound = gate.as_bound("eps", value, (2,))
    assert bound.dtype == np.float32
    assert bound.shape == (2,)
    assert np.all(bound.astype(np.float64) >= value)
    assert np.all(np.nextafter(bound, np.float32(-1)).astype(np.float64) < value)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (-1e-9, "`eps` is -1e-09, but every number must be finite and at least 0"),
        (np.nan, "`eps` is nan, but every number must be finite"),
        (np.inf, "`eps` is inf, but every number must be finite"),
        ("-0.01", "`eps` is '-0.01', but it must be made of real numbers"),
        (None, "`eps` is None"),
        (np.zeros(3), r"`eps` has shape \(3,\), but it must be one number or have shape \(2,\)"),
    ],
)
def test_what_is_no_bound_is_refused_by_name(value, message):
    with pytest.raises(SetDimensionError, match=message):
        gate.as_bound("eps", value, (2,))


def test_a_bound_is_a_copy_that_nobody_can_write_to():
    given = np.ones(2, np.float32)
    bound = gate.as_bound("eps", given, (2,))
    given[:] = -1
    assert bound.tolist() == [1, 1]
    with pytest.raises(ValueError, match="read-only"):
        bound[0] = 0


def test_a_bound_of_a_function_is_at_least_zero_and_nan_counts_as_infinite():
    def bound(value):
        return gate.at_least_zero("remainder", value, (2,), jnp.float32)

    values = jax.jit(bound)(jnp.array([-1.0, np.nan]))
    assert values.tolist() == [0, np.inf]
    assert jax.jit(bound)(jnp.float32(0.5)).tolist() == [0.5, 0.5]
    with pytest.raises(SetDimensionError, match=r"`remainder` returned shape \(3,\)"):
        bound(jnp.zeros(3))


@pytest.mark.parametrize("value", [1.7, 1.0, True, np.True_, "3", None, [1], np.array([1]), Rude()])
def test_a_seed_is_an_integer(value):
    with pytest.raises(TypeError, match=r"^`seed` is .*, but it must be an integer of at least 0"):
        gate.as_seed(value)


@pytest.mark.parametrize("value", [-1, 2**32, 10**30])
def test_a_seed_has_32_bits(value):
    with pytest.raises(ValueError, match=f"^`seed` is {value}, but it must be an integer"):
        gate.as_seed(value)


@pytest.mark.parametrize("value", [0, 2**32 - 1, np.int64(5), np.uint8(5), jnp.int32(5)])
def test_seeds_pass(value):
    assert gate.as_seed(value) == int(value)


def test_a_number_keeps_its_digits_and_its_range():
    assert gate.as_number("rate", 0.1) == 0.1
    assert gate.as_number("rate", np.float32(0.1), 0, 1) == float(np.float32(0.1))
    for value in (-0.1, 1.1, np.nan, np.inf):
        with pytest.raises(ValueError, match="finite number, at least 0 and at most 1"):
            gate.as_number("rate", value, 0, 1)
    with pytest.raises(ValueError, match="finite number, greater than 0"):
        gate.as_number("rate", 0, above=0)
    for value in (True, "0.1", None, [0.1], np.ones(1), 1j):
        with pytest.raises(TypeError, match=r"^`rate` is .*, but it must be a finite number"):
            gate.as_number("rate", value)


@pytest.mark.parametrize("value", [1, 0, "no", None])
def test_a_flag_is_true_or_false(value):
    assert gate.as_flag("monitor", np.True_) is True
    with pytest.raises(TypeError, match=r"`monitor` is .*, but it must be True or False"):
        gate.as_flag("monitor", value)


@pytest.mark.parametrize("value", [None, 3, np.ones(2), ["near"], b"near"])
def test_what_is_no_word_is_refused_with_the_valid_ones(value):
    with pytest.raises(ValueError, match=r"`goal` is .*, but it must be one of 'near', 'far'"):
        gate.one_of("goal", value, ("near", "far"))


def test_a_misspelt_word_is_answered_with_the_nearest():
    with pytest.raises(ValueError, match=r"^`goal` is 'fat', .* Did you mean 'far'\?$"):
        gate.one_of("goal", "fat", ("near", "far"))


def test_types_and_functions_are_checked_by_name():
    gate.instance_of("n", 3, int, float)
    gate.function("state", abs, "x -> y")
    with pytest.raises(TypeError, match="`n` is 'a', but it must be a `int` or a `float`; give 3"):
        gate.instance_of("n", "a", int, float, hint="give 3")
    with pytest.raises(TypeError, match="`state` is 5, but it must be a function x -> y"):
        gate.function("state", 5, "x -> y")
