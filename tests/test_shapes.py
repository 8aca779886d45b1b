"""The annotated shapes and kinds of arrays are checked while the tests run, and only then."""

import subprocess
import sys
import textwrap

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest

from safe_wrappers.safe_actions import SafeActionSet
from safe_wrappers.safeguards._gauges import gauges
from safe_wrappers.sets._zonotope import _parallelotope_normals
from safe_wrappers.solvers import project

ROWS = (jnp.eye(2), jnp.ones(2), jnp.zeros(2))
CALLS = {
    "solvers: one offset too many": (project, (ROWS[0], jnp.ones(3), ROWS[2])),
    "solvers: integers": (project, (*ROWS[:2], jnp.zeros(2, jnp.int32))),
    "safeguards: one action too few": (gauges, (*ROWS, jnp.zeros(1))),
    "safe actions: b is no vector": (SafeActionSet, (ROWS[0], jnp.zeros(()), ROWS[2])),
    "sets: not square": (_parallelotope_normals, (np.ones((2, 3)),)),
    "sets: float32": (_parallelotope_normals, (np.eye(2, dtype=np.float32),)),
}


@pytest.mark.parametrize("name", CALLS)
def test_a_wrong_shape_or_kind_inside_the_library_is_caught(name):
    function, arguments = CALLS[name]
    with pytest.raises(jaxtyping.TypeCheckError):
        function(*arguments)


def test_it_is_caught_under_transformations_too():
    A, b, a = (jnp.stack([value, value]) for value in ROWS)
    assert jax.vmap(project)(A, b, a).shape == (2, 2)
    for wrong in (jax.jit(project), jax.grad(lambda *rows: project(*rows).sum())):
        with pytest.raises(jaxtyping.TypeCheckError):
            wrong(A, b, a)


def test_users_pay_for_no_check():
    code = """
        import sys

        import jax.numpy as jnp

        from safe_wrappers.solvers import project

        assert "beartype" not in sys.modules
        try:
            project(jnp.eye(2), jnp.ones(3), jnp.zeros(2))
        except Exception as error:
            assert "jaxtyping" not in type(error).__module__, error
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True)
