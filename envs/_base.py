"""What the bundled environments share: physics backends, disturbances, resets, and honest reporting of exits."""

import abc
import dataclasses
import difflib
import importlib.resources
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from brax import base, envs, kinematics
from brax.generalized import pipeline as generalized
from brax.io import mjcf
from brax.mjx import pipeline as mjx

from safe_wrappers._errors import SetDimensionError
from safe_wrappers.certificates import Certificate
from safe_wrappers.models import Model
from safe_wrappers.safe_actions import ModelSystem

Disturbance = str | Callable[[jax.Array, jax.Array, jax.Array], jax.Array]

BACKENDS = ("closed_form", "generalized", "mjx")
DISTURBANCES = ("uniform", "none", "worst_case")
INITIAL_STATES = ("uniform", "generators")


def one_of(name: str, value: str, valid: Sequence[str], why: str = "") -> str:
    """Returns `value` if it is valid.

    Raises:
        ValueError: Otherwise, naming the valid values and the nearest one.
    """
    if value in valid:
        return value
    nearest = difflib.get_close_matches(str(value), valid, n=1)
    hint = f" Did you mean {nearest[0]!r}?" if nearest else ""
    raise ValueError(f"`{name}` must be one of {', '.join(map(repr, valid))}, but it is {value!r}.{why}{hint}")


def asset(name: str):
    """A file of the package's assets."""
    return importlib.resources.files("safe_wrappers.envs") / "assets" / name


def load_certificate(system: str, safe_set: str) -> Certificate:
    """The shipped certificate `safe_set` of a bundled system, or the certificate in the file `safe_set` (a path ending in .json).

    Raises:
        ValueError: If there is no such set.
        CertificateError: If the file is damaged.
    """
    if safe_set.endswith(".json"):
        return Certificate.load(safe_set)
    one_of("safe_set", safe_set, certificate_names(system), why=" A path to a certificate file must end in .json.")
    return Certificate.load(asset(f"{system}.{safe_set}.json"))


def certificate_names(system: str) -> tuple[str, ...]:
    """Names of the shipped safe sets of a bundled system."""
    files = (importlib.resources.files("safe_wrappers.envs") / "assets").iterdir()
    return tuple(sorted(file.name.split(".")[1] for file in files if file.name.startswith(f"{system}.") and file.name.endswith(".json")))


def load_system(mjcf_file: str) -> base.System:
    """The Brax system of an MJCF asset, for rendering and for Brax's physics."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Brax System, piplines and environments are not actively")
        return mjcf.loads(asset(mjcf_file).read_text())


class CertifiedEnv(envs.Env):
    """A Brax environment whose step is a model with a certified safe set.

    The state is q and qd, never clamped or wrapped; the reward is computed on the next state and the executed action.
    Episodes do not terminate: they end by the trainer's episode length.

    Args:
        model: The one-step model; `backend="closed_form"` steps exactly this function.
        certificate: The proof's data of the safe set.
        mjcf_file: Name of the MJCF asset: the same system for Brax's physics and for rendering. Its actuators are the
            actions followed by the disturbances. None: the model alone, `backend="closed_form"`, `sys` is None.
        backend: "closed_form" (exact, fastest), "generalized" (Brax physics, differentiable) or "mjx" (forward only).
        disturbance: "uniform" in W, "none", "worst_case" (the vertex of W that brings the next state nearest to leaving
            S, chosen after the action) or a function (key, x, a) -> w with values in W.
        initial_states: "uniform" by volume in the safe set, or "generators" (uniform in a zonotope's generator space).

    Raises:
        ValueError: On an unknown option; the message names the valid ones.
        CertificateError: If the certificate is about another model.

    Metrics:
        left_set_per_step: 1 if the next state lies outside the safe set.
        cost_per_step: 1 if the next state violates the state constraints.

    Info:
        margin: min_i (1 - H_i x) of the next state. cost: as above. disturbance: the w that acted, shape (k,).
        key: the random key of the next step. And what the task adds: `task_info`.
    """

    def __init__(
        self,
        model: Model,
        certificate: Certificate,
        mjcf_file: str | None = None,
        *,
        backend: str = "closed_form",
        disturbance: Disturbance = "uniform",
        initial_states: str = "uniform",
    ):
        off = (
            " The maximal-coordinate backends step another system: their step differs by up to twice the safe set's size."
            if backend in ("spring", "positional")
            else ""
        )
        self._backend = one_of("backend", backend, BACKENDS if mjcf_file else BACKENDS[:1], why=off)
        if not callable(disturbance):
            one_of("disturbance", disturbance, DISTURBANCES)
        one_of("initial_states", initial_states, INITIAL_STATES)
        self.model = model
        self.system = ModelSystem.from_certificate(certificate, model, state=joint_state)
        if initial_states == "generators" and self.system.zonotope is None:
            raise ValueError(f"`initial_states='generators'` needs a zonotope, but the safe set {certificate.name!r} is a polytope; use 'uniform'.")
        self._disturbance = disturbance
        self._sample_initial = self.system.sample_initial if initial_states == "uniform" else self.system.sample_generators
        self._vertices = self.system.disturbance_set.vertices().astype("float32")
        self.sys: Any = load_system(mjcf_file) if mjcf_file else None

    def task_info(self, x: jax.Array) -> dict[str, jax.Array]:
        """What the task of an episode from x adds to `info`, for example a goal: the same until the next reset. Default: nothing."""
        del x
        return {}

    @abc.abstractmethod
    def observe(self, x: jax.Array, info: Mapping[str, Any]) -> jax.Array:
        """The observation of state x, shape (observation_size,); `info` holds at least `task_info`."""

    @abc.abstractmethod
    def reward(self, x: jax.Array, action: jax.Array, info: Mapping[str, Any]) -> jax.Array:
        """The reward of reaching x by `action`, shape (); `info` holds at least `task_info`."""

    def reset(self, rng: jax.Array) -> envs.State:
        """A fresh state, drawn anew at every reset."""
        start, key = jax.random.split(rng)
        x = self._sample_initial(start)
        return self.reset_to(x, key)

    def reset_to(self, x: jax.Array, rng: jax.Array) -> envs.State:
        """A given state x, shape (n,); `rng` seeds the disturbances. For evaluation on chosen states."""
        info = {"key": rng, "disturbance": jnp.zeros(self.model.disturbance_size, x.dtype), **self.task_info(x)}
        no_reward = jnp.zeros_like(self.reward(x, jnp.zeros(self.action_size, x.dtype), info))
        state = envs.State(self._pipeline_init(x), self.observe(x, info), no_reward, jnp.zeros((), x.dtype), {}, info)
        return self._report(state, x)

    def step(self, state: envs.State, action: jax.Array) -> envs.State:
        """One step of `dt` seconds under `action`, shape (d,), in [-1, 1]^d; nothing is clipped."""
        x = joint_state(state)
        action = jnp.asarray(action, x.dtype)
        key, draw = jax.random.split(state.info["key"])
        w = self._draw_disturbance(draw, x, action)
        pipeline_state = self._pipeline_step(state.pipeline_state, x, action, w)
        next_x = jnp.concatenate([pipeline_state.q, pipeline_state.qd])
        info = {**state.info, "key": key, "disturbance": w}
        obs, reward = self.observe(next_x, info), self.reward(next_x, action, info)
        return self._report(dataclasses.replace(state, pipeline_state=pipeline_state, obs=obs, reward=reward, info=info), next_x)

    def _report(self, state: envs.State, x: jax.Array) -> envs.State:
        margin, cost = self.system.margin(x), self.system.violation(x).astype(x.dtype)
        left = (~(margin >= 0)).astype(x.dtype)  # a NaN has left the set, too
        return dataclasses.replace(
            state,
            metrics={**state.metrics, "left_set_per_step": left, "cost_per_step": cost},
            info={**state.info, "margin": margin, "cost": cost},
        )

    def _draw_disturbance(self, key: jax.Array, x: jax.Array, action: jax.Array) -> jax.Array:
        disturbance_set = self.system.disturbance_set
        if callable(self._disturbance):
            w = jnp.asarray(self._disturbance(key, x, action), x.dtype)
            if w.shape != (self.model.disturbance_size,):
                raise SetDimensionError(f"`disturbance` must return shape ({self.model.disturbance_size},), but its shape is {w.shape}.")
            return w
        if self._disturbance == "uniform":
            return disturbance_set.sample(key).astype(x.dtype)
        if self._disturbance == "none":
            return jnp.zeros(self.model.disturbance_size, x.dtype)
        vertices = jnp.asarray(self._vertices, x.dtype)
        margins = jax.vmap(lambda w: self.system.margin(self.model(x, action, w)))(vertices)
        # Random among the vertices that are equally bad: the smallest key wins.
        ties = jax.random.uniform(key, margins.shape)
        worst = jnp.argmin(jnp.where(margins <= margins.min(), ties, jnp.inf))
        return jax.lax.stop_gradient(vertices[worst])

    def _pipeline_init(self, x: jax.Array) -> Any:
        q, qd = jnp.split(x, [(len(x) + 1) // 2])
        if self.sys is None:
            nothing: Any = None
            return base.State(q, qd, nothing, nothing, nothing)
        if self._backend == "closed_form":
            return base.State(q, qd, *kinematics.forward(self.sys, q, qd), None)
        pipeline = generalized if self._backend == "generalized" else mjx
        return pipeline.init(self.sys, q, qd)

    def _pipeline_step(self, pipeline_state: Any, x: jax.Array, action: jax.Array, w: jax.Array) -> Any:
        if self._backend == "closed_form":
            return self._pipeline_init(self.model(x, action, w))
        pipeline = generalized if self._backend == "generalized" else mjx
        return pipeline.step(self.sys, pipeline_state, jnp.concatenate([action, w]))

    @property
    def action_size(self) -> int:
        return self.model.action_size

    @property
    def backend(self) -> str:
        return self._backend

    @property
    def dt(self) -> float:
        """Duration of a step in seconds."""
        return self.model.parameters["dt"]


def joint_state(state: Any) -> jax.Array:
    """The model's state x = (q, qd) of a bundled environment's state."""
    return jnp.concatenate([state.pipeline_state.q, state.pipeline_state.qd])
