import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from safe_wrappers.envs.dynamics import cart_pole
from safe_wrappers.models import Model, program_digest

MATRIX = np.array([[1.0, 0.1], [0.0, 1.0]], np.float32)


def digest(step, n=2, d=2, k=2):
    return program_digest(Model("m", step, n, d, k))


def linear(matrix, gain=0.3):
    return lambda x, a, w: jnp.asarray(matrix) @ x + gain * a + w


def looped(gain, turns=3):
    return lambda x, a, w: jax.lax.fori_loop(0, turns, lambda i, y: y + gain * a, x) + w


def after(value):
    """The next float32 number."""
    return float(np.nextafter(np.float32(value), np.float32(np.inf)))


def changed():
    matrix = MATRIX.copy()
    matrix[0, 1] = after(matrix[0, 1])
    return matrix


DIFFERENT = {
    "a number in an array": (linear(MATRIX), linear(changed())),
    "a number": (linear(MATRIX), linear(MATRIX, after(0.3))),
    "a number inside a loop": (looped(0.1), looped(after(0.1))),
    "the length of a loop": (looped(0.1), looped(0.1, turns=4)),
    "an operation": (
        lambda x, a, w: jnp.sin(x) + a + w,
        lambda x, a, w: jnp.cos(x) + a + w,
    ),
    "an argument": (lambda x, a, w: x + a + w, lambda x, a, w: x + w + w),
    "the order of elements": (lambda x, a, w: x + a + w, lambda x, a, w: x[::-1] + a + w),
    "the fill value": (
        lambda x, a, w: x.at[jnp.array([0, 2])].get(mode="fill", fill_value=0.0) + a + w,
        lambda x, a, w: x.at[jnp.array([0, 2])].get(mode="fill", fill_value=1.0) + a + w,
    ),
    "the sign of zero": (lambda x, a, w: x * 0.0 + a + w, lambda x, a, w: x * -0.0 + a + w),
}


@pytest.mark.parametrize("what", DIFFERENT)
def test_it_changes_with(what):
    first, second = DIFFERENT[what]
    assert digest(first) != digest(second)


def test_it_does_not_change_with_names_or_digits_that_float32_does_not_hold():
    def named(state, action, disturbance):
        moved = jnp.asarray(MATRIX.astype(np.float64)) @ state
        return moved + (0.3 + 1e-10) * action + disturbance

    assert digest(named) == digest(linear(MATRIX))
    assert digest(jax.jit(lambda x, a, w: jax.nn.relu(x) + a + w)) == digest(
        jax.jit(lambda y, b, v: jax.nn.relu(y) + b + v)
    )


def test_a_rule_for_the_derivative_is_part_of_the_program_of_the_rows():
    def rule(factor):
        function = jax.custom_jvp(lambda value: value)
        function.defjvp(lambda primals, tangents: (primals[0], factor * tangents[0]))
        return lambda x, a, w: x + function(a) + w

    assert digest(rule(1.0)) != digest(rule(2.0))


def test_it_is_the_same_in_another_process():
    code = (
        "from safe_wrappers.envs.dynamics import cart_pole\n"
        "from safe_wrappers.models import program_digest\n"
        "print(program_digest(cart_pole()))"
    )

    other = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.strip()
    assert other == program_digest(cart_pole())
    assert other.startswith("sha256:")
    assert len(other) == len("sha256:") + 64
