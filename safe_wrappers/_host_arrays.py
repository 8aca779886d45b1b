"""Arrays at the border of an environment: NumPy, JAX and torch, which is imported only where it is
asked for.
"""

import sys
from typing import Any

import jax
import numpy as np
from numpy.typing import NDArray

from ._errors import SetDimensionError
from ._gate import as_numbers, one_of
from ._optional import require

ARRAYS = ("numpy", "jax", "torch")


def require_array(array: str) -> None:
    """Checks a kind of array.

    Raises:
        ValueError: If it is unknown.
        MissingDependencyError: If it is torch and torch is not installed.
    """
    one_of("array", array, ARRAYS)
    if array == "torch":
        require("torch", "agents")


def to_action(
    action: Any, shape: tuple[int, ...], dtype: Any = np.float32
) -> NDArray[np.floating[Any]] | jax.Array:
    """The action as floating-point numbers, a copy: on its device and in float32 if it is an array
    of JAX or torch, whose gradient ends here, else in NumPy. What the type cannot hold becomes
    infinite, and the safeguard flags it.

    Args:
        action: Real numbers.
        shape: The shape that they must have.
        dtype: The type of the result in NumPy.

    Raises:
        SetDimensionError: If the shape is another one, or the action is not made of real numbers.
    """
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(action, torch.Tensor):
        if action.is_complex():
            raise SetDimensionError(
                f"The action is a tensor of {action.dtype}, but it must be made of real numbers."
            )
        array = _from_torch(action.to(torch.float32))
    else:
        array = as_numbers("action", action, overflow=True)
        if isinstance(array, jax.Array):
            array = array.astype(np.float32)
        else:
            with np.errstate(over="ignore", invalid="ignore"):
                array = np.asarray(action).astype(dtype)
    if array.shape != shape:
        raise SetDimensionError(
            f"The action must have shape {shape}, but its shape is {array.shape}."
        )
    return array


def to_numpy(tree: Any) -> Any:
    """Writable copies: scalars as NumPy scalars, arrays as arrays."""
    return jax.tree.map(lambda leaf: np.array(leaf)[()], jax.device_get(tree))


def from_jax(tree: Any, array: str) -> Any:
    """A tree of JAX and NumPy arrays as arrays of the given kind, dtypes kept; what can be written
    to is a copy.
    """
    if array == "numpy":
        return to_numpy(tree)
    if array == "jax":
        return jax.tree.map(
            lambda leaf: leaf if isinstance(leaf, jax.Array) else jax.numpy.asarray(leaf), tree
        )
    torch = sys.modules["torch"]
    # Through dlpack the tensor shares JAX's memory, which nobody may write to.
    return jax.tree.map(lambda leaf: torch.from_dlpack(leaf).clone(), tree)


def _from_torch(tensor: Any) -> jax.Array:
    if tensor.device.type != "cpu" and jax.default_backend() == "cpu":
        tensor = tensor.cpu()
    # A copy, because a step may still run when the tensor is written to again.
    return jax.device_put(jax.dlpack.from_dlpack(tensor.detach().clone()), jax.local_devices()[0])
