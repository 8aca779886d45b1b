"""Safeguards for Gymnasium environments."""

from collections.abc import Callable
from typing import Any

import gymnasium
import jax
import numpy as np
from numpy.typing import ArrayLike

from .._flat_info import flattened
from .._frozen import Frozen
from .._gate import as_flag, as_numbers, as_reward, function, shown
from .._gym_layers import observers
from .._host_arrays import to_action, to_numpy
from .._programs import compiled_by_content
from .._seeds import draw_seed, key_of
from ..certificates import Guarantee
from ..safe_actions import Explanation, StepCheck, System, onto_space
from ..safeguards import Safeguard, SafeguardOutput, safe_unit_action
from ._core import require_parts, require_plant_actions, tested
from ._record import Record, nothing_done, step_record, with_record
from ._starts import ATTEMPTS, no_safe_start


class GymSafeguardWrapper(
    Frozen, gymnasium.Wrapper[Any, Any, Any, Any], gymnasium.utils.RecordConstructorArgs
):
    """Replaces every action by a safe one before a Gymnasium environment sees it.

    What is guaranteed: as far as the environment's step is the system's model, with a disturbance
    in W, every episode stays in the safe set. That holds as firmly as the system's certificate is
    proved; that the environment steps the model is tested at best: beforehand by
    `safe_wrappers.conform`, and at every step by `monitor`. `info["safeguard"]["inside"]` reports
    each step's outcome as it was.

    The action space stays the environment's own box. The system's [-1, 1]^d are mapped onto it, -1
    to `low` and 1 to `high`. If the system's model has natural units, its action box must be this
    space.

    Args:
        env: An environment as `gymnasium.make` returns it; other wrappers around the safeguarded
            one, except those of observations and rewards, `RecordEpisodeStatistics`,
            `RenderCollection` and `HumanRendering`. (The last two, inside, draw a reset before
            `set_state` has moved it.)
        safeguard: How unsafe actions are mapped to safe ones.
        system: The plant's model and safe set; its `state` gets `env.unwrapped` and returns the
            model's x, shape (n,).
        set_state: (env.unwrapped, x) -> observation: puts the environment into the state x.
            Episodes then start at random in the safe set. Observation wrappers inside see the
            result. Without it, resets of the environment that end outside are repeated up to 100
            times.
        regularisation: c >= 0; subtracts c |a_s - a|^2 (a the sanitised request, in [-1, 1]^d) from
            the reward.
        monitor: Whether to report which steps the model and W do not explain; see
            `StepCheck`.
        flat_info: Whether infos hold no dictionaries: `info["safeguard/action"]` instead of
            `info["safeguard"]["action"]`, the environment's own
            included, for agents that take no others.

    Raises:
        WrapperOrderError: If a wrapper below may change, repeat or skip actions.
        TypeError: If `env` is not a single Gymnasium environment, or `safeguard` or `system` is
            none.
        CertificateError: If the action space is not a bounded box of floating-point numbers, as
            many as the system has actions; if the model's action box is another one; if the numbers
            of the space are so far apart that verified actions would be rounded to unsafe ones, and
            the system has no room for that; or if the system is none that a monitor can compare
            steps with.
        ValueError: If `regularisation` is negative or not finite.

    Info:
        safeguard: requested and action, in units of the action space; distance, in units of the
            system's; intervened, changed, feasible, fallback, clipped; margin, inside and violation
            (1 if it violates the state constraints X) of the next state; task_reward, the reward
            without regularisation. Flags are 0 or 1, float32. With `monitor` also residual, the
            disturbance that explains the step best, shape (k,), and modelled, whether one in W
            does, up to the system's eps.
        cost, task_reward: What the environment itself reports under these names; if it reports
            nothing, violation and task_reward from above.
        environment: There only if the environment reports an `info["safeguard"]` of its own, which
            it holds as "safeguard".
    """

    # what Gymnasium itself sets: its random generator and the specification from its registry
    may_change = frozenset({"_np_random", "_np_random_seed", "_cached_spec"})

    def __init__(
        self,
        env: gymnasium.Env[Any, Any],
        safeguard: Safeguard,
        *,
        system: System,
        set_state: Callable[[Any, np.ndarray], Any] | None = None,
        regularisation: float = 0.0,
        monitor: bool = False,
        flat_info: bool = False,
    ):
        gymnasium.utils.RecordConstructorArgs.__init__(
            self,
            safeguard=safeguard,
            system=system,
            set_state=set_state,
            regularisation=regularisation,
            monitor=monitor,
            flat_info=flat_info,
            _disable_deepcopy=True,
        )
        if not isinstance(env, gymnasium.Env):
            raise TypeError(
                "`env` must be a single `gymnasium.Env`, but it is a "
                f"`{type(env).__name__}`; safeguard the environments before "
                "vectorising them."
            )
        require_parts(system, safeguard, regularisation)
        require_plant_actions(system)
        if set_state is not None:
            function("set_state", set_state, "(env.unwrapped, x) -> observation")
        as_flag("monitor", monitor)
        super().__init__(env)
        self._observers = observers(
            env,
            below=type(self).__name__,
            instead="Write `{name}(GymSafeguardWrapper(env, ...))`, not "
            "`GymSafeguardWrapper({name}(env), ...)`.",
        )
        # What is verified is safe also after it was rounded to a number of the action space.
        self._box, self._verified = onto_space(system, env.action_space)
        self.safeguard = safeguard
        self.system = system
        self.set_state = set_state
        self.regularisation = regularisation
        self.flat_info = as_flag("flat_info", flat_info)
        self._check = StepCheck.of(system) if monitor else None

    @property
    def guarantee(self) -> Guarantee:
        """What stands behind the safety of this environment."""
        return tested(self.unwrapped, self.system)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Starts an episode in the safe set.

        Args:
            seed: Seeds the environment, and from it the starts.
            options: Options of the environment's own reset. Where there are some, the environment
                chooses the start, `set_state` does not overrule it, and a start outside the safe
                set is drawn again, up to 100 times.

        Raises:
            CertificateError: If no reset ended in the safe set, or the state set there is not.
        """
        observation, info = self.env.reset(seed=seed, options=options)
        set_state = None if options else self.set_state
        if set_state is not None:
            x = np.asarray(_sample(self.system, draw_seed(self.np_random)))
            observation = self._observed(set_state(self.unwrapped, x))
        attempts = 1
        while not _is_inside(self.system, self._x()):
            if set_state is not None:
                raise no_safe_start(
                    "`set_state`", self._x(), "It must put the environment into the state x."
                )
            if attempts == ATTEMPTS:
                raise no_safe_start(f"{ATTEMPTS} resets", self._x(), _instead(options))
            observation, info = self.env.reset(options=options)
            attempts += 1
        still = np.zeros(self._box.shape, np.float32)
        record = self._record(None, nothing_done(len(still)), still)
        nothing = self._box.physical(still)
        record |= {"requested": nothing, "action": nothing.copy()}
        return observation, self._with_record(info, record, 0.0)

    def step(self, action: ArrayLike) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """One step under the safe replacement of `action`, of the shape of the action space.

        Raises:
            SetDimensionError: If the action has another shape or is not made of real numbers, or
                the environment's state is not; nothing has happened then. Or, after the step, if
                the environment's reward is no number.
        """
        request = np.asarray(to_action(action, self._box.shape, self._box.dtype))
        with np.errstate(over="ignore", invalid="ignore"):
            unit = self._box.unit(request).astype(np.float32)
        x = self._x()
        output = to_numpy(_guard(self._verified, self.safeguard, x, unit))
        # A safe request passes bit for bit; the way to [-1, 1] and back would round it. That way
        # may have rounded it into the box, hence the clip.
        executed = self._box.physical(output.action) if output.changed else self._box.clip(request)
        observation, reward, terminated, truncated, info = self.env.step(executed)
        record = self._record(x, output, self._box.unit(executed).astype(np.float32))
        record |= {"requested": self._box.physical(output.requested), "action": executed.copy()}
        reward = float(as_reward(self.unwrapped, reward))
        penalty = self.regularisation * float(np.sum((output.action - output.requested) ** 2))
        info = self._with_record(info, record, reward)
        return observation, reward - penalty, terminated, truncated, info

    def _observed(self, observation: Any) -> Any:
        """What the observation wrappers inside make of an observation of the environment itself."""
        if observation is None:
            raise TypeError(
                "`set_state` must return the environment's observation of the state, "
                "but it returned None."
            )
        for layer in self._observers:
            observation = layer.observation(observation)
        return observation

    def _x(self) -> np.ndarray:
        state = as_numbers("system.state(env)", self.system.state(self.unwrapped), overflow=True)
        with np.errstate(over="ignore"):
            return np.asarray(state).astype(np.float32)

    def _record(
        self, before: np.ndarray | None, output: SafeguardOutput, executed: np.ndarray
    ) -> dict[str, Any]:
        """The record of a step from the state `before` by the executed action, in units of
        [-1, 1]^d; or of a reset.
        """
        x, explanation = self._x(), None
        if self._check is not None:
            explanation = self._check.nothing()
            if before is not None:
                explanation = _explanation(self._check, before, executed, x)
        return to_numpy(_step_record(self.system, output, x, explanation))

    def _with_record(
        self, info: dict[str, Any], record: dict[str, Any], reward: float
    ) -> dict[str, Any]:
        record["task_reward"] = reward
        recorded = with_record(info, record, cost=record["violation"], task_reward=reward)
        return flattened(recorded, self.flat_info)


def _instead(options: dict[str, Any] | None) -> str:
    """What to do where no reset starts in the safe set."""
    if options:
        return f"Give `options` that start there, or none; they are {shown(options)}."
    return (
        "Give `set_state=`, a function (env.unwrapped, x) -> observation that puts the "
        "environment into the state x, or `options` of the environment that start there."
    )


# Each is compiled once for systems of equal content.
@compiled_by_content
def _guard(
    system: System, safeguard: Safeguard, x: jax.Array, action: jax.Array
) -> SafeguardOutput:
    return safe_unit_action(system, safeguard, x, action)


@compiled_by_content
def _step_record(
    system: System, output: SafeguardOutput, x: jax.Array, explanation: Explanation | None
) -> Record:
    return step_record(system, output, x, explanation)


@compiled_by_content
def _explanation(
    check: StepCheck, before: jax.Array, executed: jax.Array, x: jax.Array
) -> Explanation:
    return check.monitor(before, executed, x)


@compiled_by_content
def _is_inside(system: System, x: jax.Array) -> jax.Array:
    return system.margin(x) >= 0


@compiled_by_content
def _sample(system: System, seed: jax.Array) -> jax.Array:
    return system.sample_initial(key_of(seed))
