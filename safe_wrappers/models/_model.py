"""The one-step model and its affine form in action and disturbance."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike

from .._errors import ModelError
from .._gate import (
    Array,
    as_action,
    as_disturbance,
    as_integer,
    as_number,
    as_state,
    function,
    instance_of,
    shown,
)
from .._one_line import count, one_line
from ..sets import Box
from ._action_units import ActionUnits
from ._names import as_names, as_units, labelled, size_of
from ._virtual import VirtualInputs


class Affine(NamedTuple):
    """x' = c + B u + E w at one state, for an action u in [-1, 1]^d: c (n,), B (n, d), E (n, k)."""

    c: jax.Array
    B: jax.Array
    E: jax.Array


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Model:
    """A discrete-time model x' = f(x, a, w), affine in (a, w) for each x.

    States, actions and disturbances have natural units: metres, volts. Calling the model and `step`
    take such actions. `unit_step`, `affine` and all that computes with safe action sets take
    actions u in [-1, 1]^d, which are mapped onto the action box: -1 to its lower and 1 to its upper
    bound. Without an action box both are the same.

    Args:
        name: Name of the system, stored in certificates.
        step: f in JAX, unbatched and without clamping or wrapping: x (n,), a (d,) in the action
            box, w (k,) -> x' (n,).
            It must follow the dtype of its arguments.
        state_size: n. Default: as many as `state_names`.
        action_size: d. Default: as many as `action_names`, or the dimension of the action box.
        disturbance_size: k.
        parameters: Physical parameters by name, in SI units, stored in certificates.
        action_box: The limits of the actuators in natural units, dimension d, rounded to float32;
            for example `Box([-12.0], [12.0])` for a motor of 12 V. Default: [-1, 1]^d.
        state_names: A name for each state, for figures and errors.
        action_names: A name for each action.
        units: Units by the names of states and actions, for example {"gap": "m"}.
        virtual: The virtual inputs through which `step` acts; `Mechanical` and `Cascade` set it.

    Raises:
        TypeError: If the name is no text, `step` no function, a size no integer, a parameter no
            number, `action_box` no `Box`, or names or units no texts.
        ValueError: If a size is out of range or a parameter is not finite.
        ModelError: If sizes, names and action box contradict one another, a size is not given by
            any of them, or float32 has too few numbers in the action box.

    Example:
        >>> cart = Model(
        ...     "cart",
        ...     lambda x, a, w: jnp.stack([x[0] + 0.1 * x[1], x[1] + 0.05 * a[0] + 0.1 * w[0]]),
        ...     disturbance_size=1,
        ...     action_box=Box([-12.0], [12.0]),
        ...     state_names=("position", "speed"),
        ...     action_names=("voltage",),
        ...     units={"position": "m", "speed": "m/s", "voltage": "V"},
        ... )
        >>> cart
        Model('cart', 2 states, 1 action from -12 to 12, 1 disturbance)
        >>> cart(jnp.zeros(2), jnp.array([6.0]), jnp.zeros(1))
        Array([0. , 0.3], dtype=float32)
        >>> cart.unit_step(jnp.zeros(2), jnp.array([0.5]), jnp.zeros(1))
        Array([0. , 0.3], dtype=float32)
    """

    name: str
    step: Callable[[jax.Array, jax.Array, jax.Array], jax.Array]
    state_size: int = None  # pyright: ignore[reportAssignmentType]
    action_size: int = None  # pyright: ignore[reportAssignmentType]
    disturbance_size: int = 0
    parameters: Mapping[str, float] = dataclasses.field(default_factory=dict)
    _: dataclasses.KW_ONLY
    action_box: Box = None  # pyright: ignore[reportAssignmentType]
    state_names: tuple[str, ...] = ()
    action_names: tuple[str, ...] = ()
    units: Mapping[str, str] = dataclasses.field(default_factory=dict)
    virtual: VirtualInputs | None = None
    action_units: ActionUnits = dataclasses.field(init=False)

    def __post_init__(self):
        instance_of("name", self.name, str)
        function("step", self.step, "(x, a, w) -> x'")
        self._set("state_names", as_names("state_names", self.state_names))
        self._set("action_names", as_names("action_names", self.action_names))
        as_names("state_names and action_names", (*self.state_names, *self.action_names))
        states = {"state_names": len(self.state_names)}
        self._set("state_size", size_of("state_size", self.state_size, states))
        actions = {"action_names": len(self.action_names)}
        if self.action_box is not None:
            instance_of("action_box", self.action_box, Box, hint="write `Box([-12.0], [12.0])`")
            actions["action_box"] = self.action_box.dim
        self._set("action_size", size_of("action_size", self.action_size, actions))
        self._set("disturbance_size", as_integer("disturbance_size", self.disturbance_size, 0))
        instance_of("parameters", self.parameters, Mapping)
        for name, value in self.parameters.items():
            as_number(f"parameters[{name!r}]", value)
        self._require_virtual()
        self._set("units", as_units(self.units, (*self.state_names, *self.action_names)))
        one = np.ones(self.action_size, np.float32)
        box = Box(-one, one) if self.action_box is None else self.action_box
        self._set("action_units", ActionUnits(box))
        self._set("action_box", self.action_units.box)

    def _set(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)

    def _require_virtual(self) -> None:
        virtual = self.virtual
        if virtual is None:
            return
        instance_of("virtual", virtual, VirtualInputs, hint="see `Mechanical` and `Cascade`")
        if self.step != virtual.plant or virtual.size != self.action_size:
            raise ModelError(
                f"`step` of the model {self.name!r} must be `virtual.plant`, with as many actions "
                f"as virtual inputs, but it is {shown(self.step)} with {self.action_size} actions. "
                "Use `Mechanical` or `Cascade`."
            )

    def __call__(self, x: ArrayLike, action: ArrayLike, disturbance: ArrayLike) -> jax.Array:
        """The next state x' = f(x, a, w), shape (n,), for an action in natural units.

        Raises:
            SetDimensionError: At trace time, if an argument is not made of real numbers, as many as
                the model has.
        """
        x = as_state("x", x, self.state_size, self.state_labels if self.state_names else ())
        labels = self.action_labels if self.action_names else ()
        action = as_action(action, self.action_size, labels)
        return self.step(x, action, as_disturbance(disturbance, self.disturbance_size))

    def unit_step(self, x: Array, action: Array, disturbance: Array) -> jax.Array:
        """The next state, shape (n,), for an action u in [-1, 1]^d: f at the middle of the action
        box plus half of its width times u.
        """
        x, disturbance = cast(jax.Array, x), cast(jax.Array, disturbance)  # or NumPy's, as given
        return self.step(x, self.natural_action(action), disturbance)

    def natural_action(self, action: Array) -> jax.Array:
        """The action in natural units, shape (d,), for one in [-1, 1]^d. It never leaves the action
        box; where the middle or the width of the box is no number of float32, its bounds are
        reached up to that rounding.
        """
        return self.action_units.natural(cast(jax.Array, action))

    def unit_action(self, action: Array) -> jax.Array:
        """The action in [-1, 1]^d, shape (d,), for one in natural units; one beyond the action box
        lies beyond [-1, 1]^d.
        """
        return self.action_units.unit(cast(jax.Array, action))

    def actuated(self, x: jax.Array, action: Array) -> jax.Array:
        """What the plant's actuators do at x for an action in [-1, 1]^d, in their natural units,
        shape (d,): that action itself, unless the model is `Commanded`.
        """
        del x
        return self.natural_action(action)

    def affine(self, x: jax.Array) -> Affine:
        """c, B and E at the state x for actions in [-1, 1]^d, exact for a model that is affine in
        (a, w); in the dtype of x, jit-able and differentiable.

        Raises:
            ModelError: If `step` does not return the shape of x.
        """
        zero_a, zero_w = (
            jnp.zeros(self.action_size, x.dtype),
            jnp.zeros(self.disturbance_size, x.dtype),
        )
        c, push = jax.linearize(lambda a, w: self.unit_step(x, a, w), zero_a, zero_w)
        if c.shape != (self.state_size,):
            raise ModelError(
                f"`step` of the model `{self.name}` must return shape "
                f"({self.state_size},), but its shape is {c.shape}."
            )
        B = jax.vmap(lambda a: push(a, zero_w), out_axes=1)(np.eye(self.action_size, dtype=x.dtype))
        E = jax.vmap(lambda w: push(zero_a, w), out_axes=1)(
            np.eye(self.disturbance_size, dtype=x.dtype)
        )
        return Affine(c, B, E)

    @property
    def state_labels(self) -> tuple[str, ...]:
        """Names and units of the states, for figures and errors: "gap (m)", or "state 1"."""
        return labelled(self.state_names, self.units, "state", self.state_size)

    @property
    def action_labels(self) -> tuple[str, ...]:
        """Names and units of the actions, for figures and errors: "voltage (V)", or "action 1"."""
        return labelled(self.action_names, self.units, "action", self.action_size)

    def __repr__(self) -> str:
        box, sizes = self.action_box, [count(self.state_size, "state")]
        one = self.action_size == 1 and not self.action_units.plain
        actions = f" from {box.lower[0]:g} to {box.upper[0]:g}" if one else ""
        sizes.append(count(self.action_size, "action") + actions)
        sizes.append(count(self.disturbance_size, "disturbance"))
        return one_line(f"{type(self).__name__}({self.name!r}, {', '.join(sizes)})")
