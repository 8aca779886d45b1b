"""A Brax environment that steps a model: its disturbances, resets, and honest reporting of
exits.
"""

import abc
import copy
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

import jax
import jax.numpy as jnp
import numpy as np
from brax import base, envs
from brax.io import image

from safe_wrappers._errors import CertificateError, SetDimensionError
from safe_wrappers._frozen import Frozen
from safe_wrappers._gate import as_key, as_reward, as_state, one_of
from safe_wrappers._own import own, replacement
from safe_wrappers.certificates import CONFORMING, Guarantee, Guaranteed, guarantee_by_the_library
from safe_wrappers.models import Model, moves
from safe_wrappers.safe_actions import ModelSystem, System
from safe_wrappers.sets import Box

Disturbance = str | Callable[[jax.Array, jax.Array, jax.Array], jax.Array]

DISTURBANCES = ("uniform", "none", "worst_case")

# Keeps the key of an episode's task apart from those of its disturbances.
_TASK = 240


class ModelEnv(Frozen, envs.Env, Guaranteed):
    """A Brax environment whose step is a model, for any system with safe action sets.

    The state is q and qd, never clamped or wrapped; the reward is computed on the next state and
    the executed action. `step` takes actions in [-1, 1]^d, as agents of Brax give them; the model
    maps them onto its action box, and `reward` gets what the actuators do, in their natural units.
    Episodes do not terminate: they end by the trainer's episode length.

    Args:
        model: The one-step model; the environment steps exactly this function.
        system: The system that a safeguard works with.
        disturbance_set: W, shape (k,).
        disturbance: "uniform" in W, "none", "worst_case" (of `adversaries` the one that brings the
            next state nearest to leaving the safe set, chosen after the action) or a function (key,
            x, a) -> w with values in W, where a is the executed action in natural units.

    Raises:
        ValueError: If an option is unknown; the message lists the valid ones. Also if "none" is
            chosen although 0 is not in W.
        CertificateError: If the system has commands="virtual" and another model than this one.

    Metrics:
        left_set_per_step: 1 if the next state lies outside the safe set.
        cost_per_step: 1 if the next state violates the state constraints.

    Info:
        margin: The system's margin of the next state. cost: as above. disturbance: the w that
            acted, shape (k,).
        key: the random key of the next step. And what the task adds: `task_info`.
    """

    def __init__(
        self,
        model: Model,
        system: System,
        disturbance_set: Box,
        *,
        disturbance: Disturbance = "uniform",
    ):
        _require_disturbance(disturbance, disturbance_set)
        if getattr(system, "commands", "actions") != "actions" and system.model is not model:  # pyright: ignore[reportAttributeAccessIssue]
            raise CertificateError(
                f"A `{type(self).__name__}` must step what its system commands, but the system has "
                f"commands='virtual', and the model {model.name!r} of the environment would take "
                "accelerations for its own actions. Give it `system.model`."
            )
        self.model = model
        self.system = system
        self._sys: Any = None
        self.disturbance_set = disturbance_set
        self._disturbance = disturbance

    @property
    def sys(self) -> Any:
        """The Brax system, for rendering and for Brax's physics; None if there is none."""
        return self._sys

    @sys.setter
    def sys(self, value: Any) -> None:
        if self.backend == "closed_form":
            raise AttributeError(
                f"`sys` of a `{type(self).__name__}` cannot be changed, because "
                "backend='closed_form' steps the model and would not see the change. Construct "
                "the environment with backend='generalized' to randomise its physics."
            )
        object.__setattr__(self, "_sys", value)

    def render(
        self,
        trajectory: Sequence[base.State],
        height: int = 240,
        width: int = 320,
        camera: str | None = None,
    ) -> Sequence[np.ndarray]:
        """Pictures of a trajectory by MuJoCo, as Brax's own environments make them; needs OpenGL.

        Args:
            trajectory: The `pipeline_state` of each state.
            height: Pixels.
            width: Pixels.
            camera: Name of a camera in the environment's MJCF file. Default: a free camera.

        Raises:
            ValueError: If the environment has no MJCF file to draw.
        """
        if self.sys is None:
            raise ValueError(
                f"`{type(self).__name__}` has no MJCF file, so MuJoCo cannot draw it; "
                '`gymnasium.make(..., render_mode="rgb_array")` and `safe-wrappers evaluate` draw '
                "bundled systems without one."
            )
        return image.render_array(self.sys, list(trajectory), height, width, camera)  # pyright: ignore[reportReturnType]

    def task_info(self, x: jax.Array, key: jax.Array) -> dict[str, jax.Array]:
        """What the task of an episode from x adds to `info`, for example a goal: the same until the
        next reset. Default: nothing.
        """
        del x, key
        return {}

    @abc.abstractmethod
    def observe(self, x: jax.Array, info: Mapping[str, Any]) -> jax.Array:
        """The observation of state x, shape (observation_size,); `info` holds at least
        `task_info`.
        """

    @abc.abstractmethod
    def reward(self, x: jax.Array, action: jax.Array, info: Mapping[str, Any]) -> jax.Array:
        """The reward of reaching x by `action`, which is in natural units, those of the actuators:
        one number, so write `action[0]`. `info` holds at least `task_info`.
        """

    def admissible(self, x: jax.Array) -> jax.Array:
        """Whether the guarantee covers episodes from x, shape (n,).

        Shape (), bool. Default: x is in the safe set.
        """
        return self.system.margin(x) >= 0

    @own
    @property
    def guarantee(self) -> Guarantee:
        """What stands behind the safety of the environment behind a safeguard.

        It is computed from what the environment is: the model, the disturbance set, the state and
        the methods that step it are those of the system's claim, or the status is "tested".
        """
        deviation = replacement(self) or self._deviation()
        if deviation is not None:
            return Guarantee("tested", deviation)
        promised = self._promised()
        if self.backend != "closed_form":
            by = (
                f"the physics {self.backend!r} are compared with the model by `sw.conform`; "
                f"the model: {promised.status}, {promised.by}"
            )
            return Guarantee("tested", by, (*promised.assumptions, CONFORMING))
        if promised.status == "tested":
            return promised
        by = f"{promised.by}; the environment steps this very model"
        return promised._replace(by=by)

    @own
    def _promised(self) -> Guarantee:
        """What stands behind the safe action sets of the system."""
        return guarantee_by_the_library(self.system)

    @own
    def _deviation(self) -> str | None:
        """Why this environment is not what the system's claim speaks about, or None."""
        name = type(self).__name__
        if callable(self._disturbance):
            return "whether the function `disturbance` stays in W is not checked"
        if isinstance(self.system, ModelSystem):
            claim = self.system.claim
            # The system's own, too, so that both mean the same by an action.
            if self.model is not self.system.model or not moves(self.model, claim.model):
                return f"the model that `{name}` steps is not the object that its claim is about"
            if self.disturbance_set is not claim.disturbance_set:
                return f"the disturbance set of `{name}` is not the one of its claim"
            if self.system.state is not joint_state:
                return "the system reads its state by another function than `envs.joint_state`"
        return None

    def observation_bound(self) -> np.ndarray:
        """What |observation| is at most, in each component, while the state is safe.

        Shape (observation_size,). Default: unbounded.
        """
        return np.full(int(self.observation_size), np.inf)  # pyright: ignore[reportArgumentType]

    @own
    def adversaries(self, x: jax.Array, action: jax.Array) -> jax.Array:
        """Among which disturbances the worst case is sought, shape (m, k).

        Default: the vertices of W, exact where the margin is concave.
        """
        del action
        return jnp.asarray(self.disturbance_set.vertices(), x.dtype)

    @own
    def with_disturbance(self, disturbance: Disturbance) -> Self:
        """A copy of the environment under other disturbances; also inside jit, where a function may
        return a traced value.

        Args:
            disturbance: As in the constructor.

        Raises:
            ValueError: As the constructor.
        """
        _require_disturbance(disturbance, self.disturbance_set)
        changed = copy.copy(self)
        object.__setattr__(changed, "_disturbance", disturbance)
        return changed

    def sample_initial(self, key: jax.Array) -> jax.Array:
        """Where an episode starts, shape (n,)."""
        return self.system.sample_initial(key)

    def reset(self, rng: jax.Array) -> envs.State:
        """A fresh state, drawn anew at every reset; `rng` is a random key of either kind.

        Raises:
            TypeError: If `rng` is something else.
        """
        start, key = jax.random.split(as_key("rng", rng))
        x = self.sample_initial(start)
        return self.reset_to(x, key)

    @own
    def reset_to(self, x: jax.Array, rng: jax.Array) -> envs.State:
        """A given state x, shape (n,); `rng` seeds the disturbances and the task.

        For evaluation on chosen states, safe ones or not. A state of less precision becomes
        float32.

        Raises:
            SetDimensionError: If x has another shape, or is not made of real numbers; or if
                `observe` or `reward` return another shape than they must.
            TypeError: If `rng` is no random key.
        """
        x = as_state("x", x, self.model.state_size)
        rng = as_key("rng", rng)
        task = self.task_info(x, jax.random.fold_in(rng, _TASK))
        info = {"key": rng, "disturbance": jnp.zeros(self.model.disturbance_size, x.dtype), **task}
        still = self.model.actuated(x, jnp.zeros(self.action_size, x.dtype))
        observation, reward = self._seen(x, still, info)
        state = envs.State(
            self._pipeline_init(x), observation, jnp.zeros_like(reward), jnp.zeros(()), {}, info
        )
        return self._report(state, x)

    @own
    def step(self, state: envs.State, action: jax.Array) -> envs.State:
        """One step of `dt` seconds under `action`, shape (d,), in [-1, 1]^d; nothing is clipped."""
        x = joint_state(state)
        action = jnp.asarray(action, x.dtype)
        key, draw = jax.random.split(state.info["key"])
        w = self._draw_disturbance(draw, x, action)
        pipeline_state = self._pipeline_step(state.pipeline_state, x, action, w)
        next_x = jnp.concatenate([pipeline_state.q, pipeline_state.qd])
        info = {**state.info, "key": key, "disturbance": w}
        natural = self.model.actuated(x, action)
        obs, reward = self._seen(next_x, natural, info)
        return self._report(
            dataclasses.replace(
                state, pipeline_state=pipeline_state, obs=obs, reward=reward, info=info
            ),
            next_x,
        )

    def _seen(
        self, x: jax.Array, action: jax.Array, info: Mapping[str, Any]
    ) -> tuple[jax.Array, jax.Array]:
        """Observation and reward, of the shapes that they must have, in JAX's own floating-point
        type, as trainers and Brax's wrappers have it: float64 where 64-bit types are switched on,
        though the state stays float32.
        """
        observation, size = self.observe(x, info), self.observation_size
        if isinstance(size, int) and jnp.shape(observation) != (size,):
            raise SetDimensionError(
                f"`observe` of `{type(self).__name__}` must return shape ({size},), its "
                f"`observation_size`, but its shape is {jnp.shape(observation)}."
            )
        reward = as_reward(self, self.reward(x, action, info))
        return jnp.asarray(observation, float), jnp.asarray(reward, float)

    @own
    def _report(self, state: envs.State, x: jax.Array) -> envs.State:
        margin, cost = self.system.margin(x), self.system.violation(x).astype(x.dtype)
        left = ~(margin >= 0)  # a NaN has left the set, too
        metrics = {"left_set_per_step": left, "cost_per_step": cost}
        return dataclasses.replace(
            state,
            metrics={**state.metrics, **{k: jnp.asarray(v, float) for k, v in metrics.items()}},
            info={**state.info, "margin": margin, "cost": cost},
        )

    @own
    def _draw_disturbance(self, key: jax.Array, x: jax.Array, action: jax.Array) -> jax.Array:
        if callable(self._disturbance):
            natural = self.model.actuated(x, action)
            w = jnp.asarray(self._disturbance(key, x, natural), x.dtype)
            if w.shape != (self.model.disturbance_size,):
                raise SetDimensionError(
                    "`disturbance` must return shape "
                    f"({self.model.disturbance_size},), but its shape is "
                    f"{w.shape}."
                )
            return w
        if self._disturbance == "uniform":
            return self.disturbance_set.sample(key).astype(x.dtype)
        if self._disturbance == "none":
            return jnp.zeros(self.model.disturbance_size, x.dtype)
        candidates = self.adversaries(x, action)
        margins = jax.vmap(lambda w: self.system.margin(self.model.unit_step(x, action, w)))(
            candidates
        )
        # Random among the candidates that are equally bad: the smallest key wins.
        ties = jax.random.uniform(key, margins.shape)
        worst = jnp.argmin(jnp.where(margins <= margins.min(), ties, jnp.inf))
        return jax.lax.stop_gradient(candidates[worst])

    @own
    def _pipeline_init(self, x: jax.Array) -> Any:
        nothing: Any = None
        q, qd = jnp.split(x, [(len(x) + 1) // 2])
        return base.State(q, qd, nothing, nothing, nothing)

    @own
    def _pipeline_step(
        self, pipeline_state: Any, x: jax.Array, action: jax.Array, w: jax.Array
    ) -> Any:
        del pipeline_state
        # `unit_step` is the function that a claim is about, whatever a subclass makes of a call.
        return self._pipeline_init(self.model.unit_step(x, action, w))

    @property
    def action_size(self) -> int:
        return self.model.action_size

    @own
    @property
    def backend(self) -> str:
        return "closed_form"

    @property
    def dt(self) -> float:
        """Duration of a step in seconds."""
        return self.model.parameters["dt"]


def _require_disturbance(disturbance: Disturbance, disturbance_set: Box) -> None:
    """Checks the option of this name; a box with too many vertices to try is refused here."""
    if callable(disturbance):
        return
    one_of("disturbance", disturbance, DISTURBANCES)
    if disturbance == "none" and not _holds_zero(disturbance_set):
        raise ValueError(
            "disturbance='none' means w = 0, which must lie in W, but W is from "
            f"{disturbance_set.lower} to {disturbance_set.upper}; give a function "
            "(key, x, a) -> w with values in W."
        )
    if disturbance == "worst_case":
        disturbance_set.vertices()


def _holds_zero(disturbance_set: Box) -> bool:
    lower, upper = np.asarray(disturbance_set.lower), np.asarray(disturbance_set.upper)
    return bool(np.all((lower <= 0) & (upper >= 0)))


def joint_state(state: Any) -> jax.Array:
    """The model's state x = (q, qd) of a bundled environment's state."""
    return jnp.concatenate([state.pipeline_state.q, state.pipeline_state.qd])
