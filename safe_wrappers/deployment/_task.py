"""What a policy sees of a state: the observation of an environment, and the task behind it."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .._errors import ModelError, SetDimensionError
from .._gate import as_numbers


class Task:
    """The observation as a function of the state and of the task's numbers.

    Args:
        observe: (x, info) -> observation, as an environment's `observe`; None: x itself.
        values: The arrays that `info` holds, by name, for example a goal.

    Attributes:
        values: The same as float32 arrays.
        size: Number of their entries.

    Raises:
        SetDimensionError: If a value is not made of real numbers.
    """

    def __init__(
        self,
        observe: Callable[[jax.Array, Mapping[str, Any]], jax.Array] | None,
        values: Mapping[str, Any],
    ):
        self._observe = observe
        self.values = {
            name: np.asarray(as_numbers(f"task[{name!r}]", values[name]), np.float32)
            for name in sorted(values)
        }
        self.size = sum(value.size for value in self.values.values())

    def observe(self, x: jax.Array, numbers: jax.Array) -> jax.Array:
        """The observation, shape (observation_size,), of the state x and of all numbers of the
        task in a row, in the order of their names.
        """
        if self._observe is None:
            return x
        info, start = {}, 0
        for name, value in self.values.items():
            info[name] = jnp.reshape(numbers[start : start + value.size], value.shape)
            start += value.size
        try:
            return self._observe(x, info)
        except KeyError as error:
            raise ModelError(
                f"The observation needs {error} beside the state. Give it as the task of the "
                f"export: `task={{{error}: ...}}`."
            ) from error

    def observation_size(self, state_size: int) -> int:
        """How many numbers the observation has.

        Raises:
            SetDimensionError: If it is no vector.
        """
        x, numbers = (
            jax.ShapeDtypeStruct((size,), jnp.float32) for size in (state_size, self.size)
        )
        shape = jax.eval_shape(self.observe, x, numbers).shape
        if len(shape) != 1:
            raise SetDimensionError(f"The observation must be a vector, but its shape is {shape}.")
        return shape[0]
