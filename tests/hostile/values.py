"""Hostile values: what can be given for an action or a state, and what must become of it."""

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

FLOAT32 = np.finfo(np.float32)


class Value(NamedTuple):
    """A value, and whether it is numbers of the right shape (then it must be taken) or not."""

    given: Any
    taken: bool


class Tensor:
    """As one of torch that requires a gradient: it has numbers, and does not give them away."""

    requires_grad = True
    shape = (1,)

    def __array__(self, dtype=None, copy=None):
        raise RuntimeError("Can't call numpy() on Tensor that requires grad.")


def _with(array, **flags):
    array.setflags(**flags)
    return array


def actions(d: int, number: bool = False) -> dict[str, Value]:
    """Requests of d actions; `number`: whether one action may also be a single number."""
    base = np.linspace(0.9, 0.5, d).astype(np.float32)
    strided = np.zeros(2 * d, np.float32)
    strided[::2] = base
    taken = {
        "NaN": np.full(d, np.nan, np.float32),
        "one NaN": np.r_[np.nan, np.ones(d - 1)].astype(np.float32),
        "inf": np.full(d, np.inf, np.float32),
        "-inf": np.full(d, -np.inf, np.float32),
        "1e30": np.full(d, 1e30, np.float32),
        "-1e30": np.full(d, -1e30, np.float32),
        "float32 max": np.full(d, FLOAT32.max, np.float32),
        "1e-45": np.full(d, 1e-45, np.float32),
        "-0.0": np.full(d, -0.0, np.float32),
        "1 + 1 ulp": np.full(d, np.nextafter(np.float32(1), np.float32(2)), np.float32),
        "int 1": np.ones(d, np.int32),
        "int 3": np.full(d, 3, np.int64),
        "int min": np.full(d, np.iinfo(np.int32).min, np.int32),
        "bool": np.ones(d, bool),
        "uint8 255": np.full(d, 255, np.uint8),
        "float64": base.astype(np.float64),
        "float64 1e300": np.full(d, 1e300),
        "float64 1 + 1e-12": np.full(d, 1 + 1e-12),
        "float16": base.astype(np.float16),
        "float16 inf": np.full(d, np.inf, np.float16),
        "longdouble": base.astype(np.longdouble),
        "bfloat16": jnp.asarray(base, jnp.bfloat16),
        "bfloat16 in NumPy": np.asarray(jnp.asarray(base, jnp.bfloat16)),
        "JAX": jnp.asarray(base),
        "JAX int": jnp.ones(d, int),
        "list": base.tolist(),
        "tuple": tuple(base.tolist()),
        "list of int": [1] * d,
        "list of bool": [True] * d,
        "list of NaN": [float("nan")] * d,
        "list of 1e300": [1e300] * d,
        "strided": strided[::2],
        "reversed": base[::-1],
        "read-only": _with(base.copy(), write=False),
        "row of a Fortran array": np.asfortranarray(np.tile(base, (4, 1)))[0],
        "memoryview": memoryview(base),
    }
    refused = {
        "complex": base.astype(np.complex64) + 1j,
        "JAX complex": jnp.asarray(base) * 1j,
        "strings": np.array(["0.5"] * d),
        "bytes": np.array([b"0.5"] * d),
        "objects": np.array([0.5] * d, object),
        "None": None,
        "list of None": [None] * d,
        "str": "0.5",
        "rank 2": base[None],
        "too long": np.zeros(d + 1, np.float32),
        "empty": np.zeros(0, np.float32),
        "dictionary": {"a": 0.5},
        "generator": (v for v in base.tolist()),
        "masked": np.ma.masked_array(base, mask=[True] * d),
        "integer of 100 bits": [10**30] * d,
        "dates": np.zeros(d, "datetime64[s]"),
        "tensor with a gradient": Tensor(),
    }
    single = {"0-d": np.float32(0.5), "Python number": 0.5}
    (taken if number and d == 1 else refused).update(single)
    return _values(taken, refused)


def states(edge: np.ndarray) -> dict[str, Value]:
    """States; `edge` is one on the boundary of a safe set around the origin, float64."""
    n = len(edge)
    outside = (1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1, 10, 1e3, 1e6)
    taken = {
        "centre": np.zeros(n, np.float32),
        "edge": (edge * (1 - 1e-6)).astype(np.float32),
        **{f"outside by {s:g}": (edge * (1 + s)).astype(np.float32) for s in outside},
        "NaN": np.full(n, np.nan, np.float32),
        "one NaN": np.r_[np.nan, np.zeros(n - 1)].astype(np.float32),
        "inf": np.full(n, np.inf, np.float32),
        "float32 max": np.full(n, FLOAT32.max, np.float32),
        "1e-45": np.full(n, 1e-45, np.float32),
        "-0.0": np.full(n, -0.0, np.float32),
        "int": np.zeros(n, np.int32),
        "bool": np.zeros(n, bool),
        "uint8": np.zeros(n, np.uint8),
        "float64": edge * 0.999,
        "float64 1e300": np.full(n, 1e300),
        "float16": (edge * 0.99).astype(np.float16),
        "bfloat16": jnp.asarray(edge * 0.98, jnp.bfloat16),
        "list": [0.0] * n,
        "list of int": [0] * n,
        "read-only": _with(np.zeros(n, np.float32), write=False),
    }
    refused = {
        "complex": np.zeros(n, np.complex64),
        "strings": np.array(["0.0"] * n),
        "None": None,
        "list of None": [None] * n,
        "rank 2": np.zeros((1, n), np.float32),
        "too long": np.zeros(n + 1, np.float32),
        "too short": np.zeros(n - 1, np.float32),
        "empty": np.zeros(0, np.float32),
        "0-d": np.float32(0),
        "dictionary": {},
        "masked": np.ma.masked_array(np.zeros(n), mask=[True] * n),
        "dates": np.zeros(n, "datetime64[s]"),
        "tensor with a gradient": Tensor(),
    }
    return _values(taken, refused)


def few(values: dict[str, Value]) -> dict[str, Value]:
    """All that are refused, and of those that are taken one of each sort: quick to run."""
    sorts = (
        "NaN",
        "1e30",
        "1e-45",
        "int 3",
        "uint8 255",
        "float16 inf",
        "list",
        "0-d",
        "Python number",
    )
    return {name: v for name, v in values.items() if not v.taken or name in sorts}


def numbers(value: Any) -> np.ndarray | None:
    """The numbers of a value in float64, if it is made of some; what float32 cannot hold is
    infinite.
    """
    try:
        found = np.asarray(value).astype(np.float64)
        limit = float(FLOAT32.max)
        return np.where(np.abs(found) > limit, np.copysign(np.inf, found), found)
    except (TypeError, ValueError):
        return None


def _values(taken: dict[str, Any], refused: dict[str, Any]) -> dict[str, Value]:
    return {
        **{name: Value(given, True) for name, given in taken.items()},
        **{name: Value(given, False) for name, given in refused.items()},
    }
