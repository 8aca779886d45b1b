"""The program of a model's step, with errors that speak of the step: the place where a user's own
code is run for the first time.
"""

import jax
from jax.extend.core import ClosedJaxpr

from .._errors import ModelError
from ._model import Model
from ._trace import trace

_LONGEST = 300  # characters of somebody else's error


def traced_step(model: Model) -> ClosedJaxpr:
    """The float32 program of `model.unit_step`, with one output of shape (n,).

    Raises:
        ModelError: If the step cannot be traced, or returns something else.
    """
    n, d, k = model.state_size, model.action_size, model.disturbance_size
    try:
        program = trace(model.unit_step, n, d, k)
    except ModelError:
        raise
    except jax.errors.TracerArrayConversionError as error:
        raise ModelError(
            f"`step` of the model {model.name!r} must be written with jax.numpy, but a function of "
            "NumPy, SciPy or another library was given a state, an action or a disturbance, whose "
            "numbers are not known yet. Write `jnp.sin`, not `np.sin`; constants may be NumPy's."
        ) from error
    except jax.errors.ConcretizationTypeError as error:
        raise ModelError(
            f"`step` of the model {model.name!r} must be one program for all states, but it asks "
            "for the number of a state, an action or a disturbance, as `if`, `float`, `int`, "
            "`max(...)` and the functions of `math` do. Write `jnp.where`, `jnp.maximum`, "
            "`jnp.sin`."
        ) from error
    except Exception as error:  # the step is not ours and may raise anything
        said = " ".join(str(error).split())[:_LONGEST]
        raise ModelError(
            f"`step` of the model {model.name!r} is called with x of shape ({n},), an action of "
            f"shape ({d},) and a disturbance of shape ({k},), but it raised "
            f"{type(error).__name__}: {said}. Compare the sizes that the model declares with those "
            "that `step` reads."
        ) from error
    shapes = [tuple(value.shape) for value in program.out_avals]
    if len(shapes) != 1:
        raise ModelError(
            f"`step` of the model {model.name!r} returned {len(shapes)} arrays, but it must return "
            f"one of shape ({n},). Write `jnp.stack([...])` around the next states."
        )
    if shapes[0] != (n,):
        raise ModelError(
            f"`step` of the model {model.name!r} returned shape {shapes[0]}, but it must return "
            f"shape ({n},), for x of shape ({n},), an action of shape ({d},) and a disturbance of "
            f"shape ({k},). Use single numbers, `x[0]` and `action[0]`, and `jnp.stack([...])`."
        )
    return program
