"""Rules that hold in whole folders of tests."""

import contextlib

import jax
import pytest

# Not the systems and the safeguards, whose tests load the bundled plants: Brax multiplies
# conditions with numbers when it reads a physics.
STRICT = {"sets", "solvers"}


@pytest.fixture(scope="module", autouse=True)
def strict_promotion(request):
    """In these folders no array is broadcast to more dimensions, or converted to another type,
    without being told.
    """
    with contextlib.ExitStack() as stack:
        if request.path.parent.name in STRICT:
            stack.enter_context(jax.numpy_rank_promotion("raise"))
            stack.enter_context(jax.numpy_dtype_promotion("strict"))
        yield
