"""Safeguards for Brax environments."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from brax import envs
from jax.core import Tracer
from numpy.typing import ArrayLike

from .._errors import CertificateError, WrapperOrderError
from .._frozen import Frozen
from .._gate import as_flag, as_key, as_reward, as_state, function
from .._own import own
from .._programs import compiled_by_content, remembered
from ..certificates import Guarantee, Guaranteed, guarantee_by_the_library
from ..safe_actions import Explanation, StepCheck, System
from ..safeguards import (
    GradientDiagnosis,
    Safeguard,
    SafeguardOutput,
    diagnose_gradient,
    safe_unit_action,
)
from ._core import require_parts, tested, unverified
from ._protocols import BoundedEnv, StartableEnv, SystemEnv
from ._record import (
    nothing_done,
    nothing_lost,
    step_metrics,
    step_record,
    with_metrics,
    with_record,
    without_metrics,
    without_record,
)
from ._starts import ATTEMPTS, first_safe_key, no_safe_start


class SafeguardWrapper(Frozen, envs.Env, Guaranteed):
    """Replaces every action by a safe one before the environment sees it, and lets the gradient
    through.

    For every state in S, every action and every disturbance in W the executed action lies in the
    action box and the next state lies in S, under the assumptions of the system's certificate
    (exact observation of the state, w in W, the environment's step equal to the model up to the
    stored rounding allowance). The last one is proved for the bundled environments with
    `backend="closed_form"`, which step the model itself. For every other environment it is tested
    at best: beforehand by `safe_wrappers.conform`, and at every step by `monitor`.

    It inherits `brax.envs.Env`, not `brax.envs.Wrapper`, and is its own `unwrapped`: wrappers that
    step `env.unwrapped`, such as Brax's domain randomisation, cannot step around it.

    Args:
        env: A single environment, without any Brax wrapper around it: this wrapper must be
            innermost.
        safeguard: How unsafe actions are mapped to safe ones.
        system: The plant's model and safe set. Default: `env.system`. With `commands="virtual"`
            agents command virtual inputs, and the environment gets the actions that bring them
            about.
        reset_to: (x, key) -> the environment's state at x: episodes then start at random in the
            safe set, as those of an environment with a `system` of its own do. Without it, resets
            of the environment that end outside are drawn again, up to 100 times.
        regularisation: c >= 0; subtracts c |a_s - a|^2 (a the sanitised request) from the reward.
        diagnostics: Whether to report what the safeguard does to the gradient; see
            `diagnose_gradient`. Off, it costs nothing.
        monitor: Whether to report which steps the model and W do not explain; see
            `StepCheck`. Off, it costs nothing. It has no derivative.

    Raises:
        WrapperOrderError: If `env` is wrapped or safeguarded already.
        CertificateError: If there is no system, or none that a monitor can compare steps with, on
            an attempt to replace the environment's physics (`sys`), or if no reset started in the
            safe set (inside jit, where nothing can be raised, `info["safeguard"]["inside"]` is 0
            then).
        ValueError: If `regularisation` is negative or not finite.

    Metrics:
        safeguard/intervention_per_step: 1 if the request was outside the safe action set. Brax
            reports means of `_per_step`.
        safeguard/distance_per_step: |a_s - a|.
        safeguard/infeasible_per_step: 1 if no certified safe action existed (never on S).
        safeguard/fallback_per_step: 1 if the anchor was executed.
        safeguard/left_set_per_step: 1 if the next state lies outside S.
        safeguard/task_reward: The reward without regularisation.

        With `diagnostics`, of the Jacobian of the executed action w.r.t. the requested one (on
        reset those of the identity):
        safeguard/rank_per_step: Its rank.
        safeguard/lost_gradient_per_step: The expected share of the gradient's squared length that
            is lost.
        safeguard/smallest_singular_value_per_step: Its smallest singular value.
        safeguard/largest_singular_value_per_step: Its largest singular value.

        With `monitor`:
        safeguard/unmodelled_per_step: 1 if no disturbance in W explains the step up to the system's
            rounding allowance eps, so that the guarantee does not cover it (0 on reset).

    Info:
        info["safeguard"]: requested and action, in [-1, 1]^d, intervened, changed, distance,
            feasible, fallback, clipped; margin, inside and violation (1 if it violates the state
            constraints X) of the next state; task_reward, the reward without regularisation.
            float32, flags as 0 or 1. With `monitor` also residual, the disturbance that explains
            the step best, shape (k,), and modelled, whether one in W does.
        info["cost"]: The cost that the environment itself reports; if it reports none, violation.
        info["environment"]: There only if the environment reports an `info["safeguard"]` of its
            own, which it holds as "safeguard". A metric of the environment that is named like one
            of the above is reported as "environment/safeguard/...".
    """

    def __init__(
        self,
        env: envs.Env,
        safeguard: Safeguard,
        *,
        system: System | None = None,
        reset_to: Callable[[jax.Array, jax.Array], envs.State] | None = None,
        regularisation: float = 0.0,
        diagnostics: bool = False,
        monitor: bool = False,
    ):
        _require_bare(env)
        own = env.system if isinstance(env, SystemEnv) else None
        found = system if system is not None else own
        if found is None:
            raise CertificateError(
                f"`{type(env).__name__}` has no `system`, so there is nothing "
                "to guarantee; give `system=...`."
            )
        require_parts(found, safeguard, regularisation)
        if reset_to is not None:
            function("reset_to", reset_to, "(x, key) -> the environment's state")
        as_flag("diagnostics", diagnostics)
        as_flag("monitor", monitor)
        if found.action_size != env.action_size:
            raise CertificateError(
                f"The system must have the environment's {env.action_size} "
                f"action(s), but it has {found.action_size}. Give a system whose model has the "
                "environment's actions."
            )
        self.env = env
        self.system = found
        self.safeguard = safeguard
        self.regularisation = regularisation
        self.diagnostics = diagnostics
        self.start = reset_to
        self._check = StepCheck.of(found) if monitor else None
        # What an environment with a system of its own says of it: that it starts in the safe set,
        # how large observations are there.
        self._own_system = found is own
        # An environment of its own system knows what the system's actions are; another one takes
        # those of the plant.
        commanded = getattr(found, "commands", "actions") == "virtual" and not self._own_system
        self._commanded = found.model if commanded else None  # pyright: ignore[reportAttributeAccessIssue]

    def reset(self, rng: jax.Array) -> envs.State:
        """Resets the environment; `rng` is a random key of either kind.

        Raises:
            TypeError: If `rng` is something else.
            CertificateError: If the episode does not start in the safe set. Inside jit nothing can
                be raised; `info["safeguard"]["inside"]` is 0 then.
        """
        rng = as_key("rng", rng)
        if self.start is not None:
            start, rng = jax.random.split(rng)
            state = self._started(self.system.sample_initial(start), rng)
        elif self._own_system:
            state = self._unmoved(self.env.reset(rng))
        else:
            state = self._unmoved(self.env.reset(_safe_key(self, rng)))
        inside = state.info["safeguard"]["inside"]
        if not isinstance(inside, Tracer) and not np.all(inside):
            raise self.no_safe_start(self.system.state(state))
        return state

    def no_safe_start(self, x: ArrayLike) -> CertificateError:
        """The error to raise of a reset that gave the state x outside the safe set, for callers
        that compile `reset`.
        """
        if self.start is not None:
            return no_safe_start(
                "`reset_to`", x, "It must return the environment's state at the x that it is given."
            )
        instead = (
            "Give `reset_to=`, a function (x, key) -> state that puts the environment into the "
            "state x, for example that of a `BraxPlant`."
        )
        return no_safe_start(
            "its own reset" if self._own_system else f"{ATTEMPTS} resets", x, instead
        )

    def reset_to(self, x: jax.Array, rng: jax.Array) -> envs.State:
        """Starts at a given state x, shape (n,), if the environment can: the bundled ones do,
        others by the argument `reset_to`.

        Raises:
            ValueError: If it cannot.
            SetDimensionError: If x is not made of real numbers, or has another shape.
            CertificateError: If the guarantee does not cover episodes from x: see `admissible`.
                Inside jit nothing can be raised; `info["safeguard"]["inside"]` is 0 then.
            TypeError: If `rng` is no random key.
        """
        state = self._started(as_state("x", x, None), as_key("rng", rng))
        reached = self.system.state(state)
        covered = self.admissible(reached)
        if not isinstance(covered, Tracer) and not covered:
            raise CertificateError(
                "`x` must lie in the safe set, where the guarantee holds, but "
                f"{np.asarray(reached).tolist()} does not. Unsafe states are reached without a "
                "safeguard only: reset the environment inside, `.env`."
            )
        return state

    def _started(self, x: jax.Array, rng: jax.Array) -> envs.State:
        if self.start is not None:
            return self._unmoved(self.start(x, rng))
        if isinstance(self.env, StartableEnv):
            return self._unmoved(self.env.reset_to(x, rng))
        raise ValueError(
            f"`{type(self.env).__name__}` cannot be put into a given state; give "
            "`SafeguardWrapper(..., reset_to=)`."
        )

    def admissible(self, x: jax.Array) -> jax.Array:
        """Whether the guarantee covers episodes from x, shape (n,). Shape (), bool."""
        inside = self.system.margin(x) >= 0
        if self._own_system and isinstance(self.env, BoundedEnv):
            return inside & self.env.admissible(x)
        return inside

    def observation_bound(self) -> np.ndarray:
        """What |observation| is at most, in each component, while the state is safe; infinite where
        the environment does not say. Shape of an observation.
        """
        if self._own_system and isinstance(self.env, BoundedEnv):
            return self.env.observation_bound()
        return np.full(self.observation_size, np.inf)  # pyright: ignore[reportArgumentType, reportCallIssue]

    @own
    @property
    def guarantee(self) -> Guarantee:
        """What stands behind the safety of this environment: "tested", unless the library itself
        steps the model of a claim, behind its own verified call.
        """
        own_system = self.system is getattr(self.env, "system", None)
        if not (own_system and isinstance(self.env, Guaranteed)):
            return tested(self.env, self.system)
        changed = unverified(self, self.safeguard)
        if changed is not None:
            return Guarantee("tested", changed)
        return guarantee_by_the_library(self.env)

    @own
    def step(self, state: envs.State, action: jax.Array) -> envs.State:
        """Steps the environment with the safe replacement of `action`, shape (d,)."""
        x = self.system.state(state)
        output = safe_unit_action(self.system, self.safeguard, x, action)
        diagnosis, explanation = None, None
        if self.diagnostics:
            diagnosis = diagnose_gradient(self.system, self.safeguard, x, action)
        with jax.default_matmul_precision("highest"):
            action = output.action
            if self._commanded is not None:
                action = self._commanded.executed(x, action)
            next_state = self.env.step(self._own_state(state), action)
        if self._check:
            next_x = self.system.state(next_state)
            explanation = self._check.monitor(x, output.action, next_x)
        return self._reported(next_state, output, diagnosis, explanation)

    def _unmoved(self, state: envs.State) -> envs.State:
        """The report of a step that did nothing: reset and step return the same tree by
        construction.
        """
        d = self.action_size
        diagnosis = nothing_lost(d) if self.diagnostics else None
        explanation = self._check.nothing() if self._check else None
        return self._reported(state, nothing_done(d), diagnosis, explanation)

    @own
    def _reported(
        self,
        state: envs.State,
        output: SafeguardOutput,
        diagnosis: GradientDiagnosis | None,
        explanation: Explanation | None,
    ) -> envs.State:
        x = self.system.state(state)
        # Some Brax environments give a Python number. Reward and done are of JAX's own
        # floating-point type, as they are in Brax's wrappers.
        reward = jnp.asarray(as_reward(self.env, state.reward), float)
        record = step_record(self.system, output, x, explanation)
        record["task_reward"] = reward.astype(x.dtype)
        if self.regularisation:
            reward = reward - self.regularisation * jnp.square(output.distance)
        return dataclasses.replace(
            state,
            reward=reward,
            done=jnp.asarray(state.done, float),
            metrics=with_metrics(state.metrics, step_metrics(record, diagnosis)),
            info=with_record(state.info, record, cost=record["violation"]),
        )

    @own
    def _own_state(self, state: envs.State) -> envs.State:
        """The state as the environment itself has returned it."""
        info, metrics = _reported_by_environment(self)
        return dataclasses.replace(
            state,
            metrics=without_metrics(state.metrics, metrics),
            info=without_record(state.info, info, ("cost",)),
        )

    @property
    def observation_size(self):
        return self.env.observation_size

    @property
    def action_size(self) -> int:
        return self.env.action_size

    @property
    def backend(self) -> str:
        return self.env.backend

    @own
    @property
    def unwrapped(self) -> "SafeguardWrapper":
        return self

    @property
    def sys(self) -> Any:
        """The environment's Brax system, for rendering."""
        return self.env.sys  # pyright: ignore[reportAttributeAccessIssue]

    @sys.setter
    def sys(self, value: Any) -> None:
        raise CertificateError(
            "The physics of a safeguarded environment must stay what the certificate speaks about, "
            "but `sys` was to be replaced "
            "(domain randomisation?). Randomise the disturbance inside W instead, or certify a set "
            "that covers all variants."
        )

    def __getattr__(self, name: str) -> Any:
        if name == "env" or name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.env, name)


@compiled_by_content
def _safe_key(wrapper: SafeguardWrapper, rng: jax.Array) -> jax.Array:
    def is_safe(key: jax.Array) -> jax.Array:
        # Only the state is computed here: compilers drop the rest of the reset.
        return wrapper.system.margin(wrapper.system.state(wrapper.env.reset(key))) >= 0

    return first_safe_key(is_safe, rng)


@remembered
def _reported_by_environment(wrapper: SafeguardWrapper) -> tuple[frozenset[str], frozenset[str]]:
    """The names of the infos and of the metrics that the environment itself reports."""

    def start(key: jax.Array) -> envs.State:
        if wrapper.start is not None:
            return wrapper.start(wrapper.system.sample_initial(key), key)
        return wrapper.env.reset(key)

    state = jax.eval_shape(start, jax.random.PRNGKey(0))
    return frozenset(state.info), frozenset(state.metrics)


def _require_bare(env: envs.Env) -> None:
    """Raises an error that says why, if `env` is not a single environment that nobody wraps."""
    name = type(env).__name__
    if isinstance(env, envs.Wrapper):
        raise WrapperOrderError(
            f"`SafeguardWrapper` must be the innermost wrapper, but `env` is a `{name}`. "
            f"Write `{name}(SafeguardWrapper(env, ...))`, not `SafeguardWrapper({name}(env), ...)`."
        )
    if isinstance(env, SafeguardWrapper):
        raise WrapperOrderError(
            "`env` must not be safeguarded already, but it is a "
            "`SafeguardWrapper`; wrap `env.env` instead."
        )
    if not isinstance(env, envs.Env):
        raise TypeError(
            f"`env` must be a `brax.envs.Env`, but it is a `{name}`. Use `GymSafeguardWrapper` for "
            "Gymnasium and `PlaygroundSafeguardWrapper` for MuJoCo Playground."
        )
