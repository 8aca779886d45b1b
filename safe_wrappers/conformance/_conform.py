"""Sampling a simulator against its model."""

import time
from collections.abc import Callable
from typing import Any

import gymnasium
import jax
import numpy as np

from .._batches import in_batches
from .._errors import CertificateError
from .._gate import as_flag, as_integer, as_number, as_seed, function
from ..safe_actions import ModelBased, StepCheck, System
from ._adversary import IsSafe, bang_bang, boundary_states, extreme, neighbours
from ._brax_runner import BraxRunner
from ._gymnasium_runner import GymRunner
from ._report import ConformanceReport, Sample
from ._steps import Steps
from ._subject import subject_of

# of the rounding allowance eps, most of which belongs to the rows of the safe action set
_SHARE = 0.1
_POPULATION = 512  # adversarial steps of a round
# of the search around the worst steps, relative to the spread of the states and to the actions
_WIDTHS = (0.3, 0.1, 0.03, 0.01)
_STARTS, _LENGTH, _HOLD = 512, 32, 4.0  # trajectories

Runner = BraxRunner | GymRunner


def conform(
    env: Any,
    system: System | None = None,
    *,
    samples: int = 10_000,
    own_disturbance: bool | None = None,
    start: Callable[..., Any] | None = None,
    allowance: np.ndarray | float | None = None,
    confidence: float = 1 - 1e-6,
    enlargement: float = 0.1,
    seed: int = 0,
) -> ConformanceReport:
    """Samples a simulator against the model of its system, and says whether the declared
    disturbance set covers the difference.

    A step conforms if x' = c(x) + B(x) a + E(x) w + r for some w in W, with N_i r at most a tenth
    of the rounding allowance eps_i for every facet N_i of the safe set: then the certificate's
    claim holds for it. There are two questions, and one answer for each:

    - The environment draws disturbances from W itself and reports them (`own_disturbance`, as the
      bundled ones do). They use W up, so the reported w must explain the step: *the model's error
      must be rounding*.
    - It does not (third-party environments). Everything in which it differs from the undisturbed
      model, noise included, is a disturbance: *the whole difference must fit into W*.

    Only safeguarded steps are compared, from states of the safe set: others never happen, and
    nothing is claimed about them.

    - random: states from `system.sample_initial` (for a polytope uniform by volume), requests
      uniform in the box, made safe. They are independent and identically distributed, so that
      probabilities can be stated (`violation_bound`).
    - held out: the same distribution, a quarter as many, not used for the smallest box.
    - adversarial: states at the boundary of the safe set with bang-bang requests, then four rounds
      of resampling around the steps with the largest differences, ever closer. About these and the
      next there is no probability statement.
    - trajectories: 512 of 32 steps under bang-bang requests, with whatever the simulator keeps from
      step to step.

    The answer is *tested*, never *proved*.

    Args:
        env: A single environment of Brax or Gymnasium, safeguarded or not, or a
            `PlaygroundSafeguardWrapper`. Of a `GymEnv` the Brax environment inside is compared.
        system: Its model and safe set, a `ModelSystem` or `ZonotopeSystem`. Default: `env.system`.
            For another system with safe action sets give `allowance`; the model and W are then
            `env.model` and `env.disturbance_set`.
        samples: N, random steps for the smallest box.
        own_disturbance: Whether `state.info["disturbance"]` after a step is the w that the
            environment drew in it, shape (k,). Default: whether there is such an entry. False makes
            it part of the difference.
        start: Puts the environment into a state: (x, key) -> state in Brax and Playground, by
            default `reset_to` of the wrapper, that of the environment or, for a `PipelineEnv`, a
            reset followed by its physics at x = (q, qd); (env.unwrapped, x) in Gymnasium, by
            default `set_state` of the wrapper.
        allowance: The error of each state that may remain after W has explained what it can, shape
            (n,) or (), in the states' units. Default: a tenth of the system's eps, per facet.
        confidence: 1 - beta of the probability statements.
        enlargement: The share of its widths by which `fitted` exceeds the smallest box, on each
            side.
        seed: Random seed of all samples, as far as the environment takes one.

    Raises:
        CertificateError: Without a system, a model, or room for rounding.
        TypeError: If it is not a single environment, or an option is of another type.
        WrapperOrderError: If it is wrapped for training.
        ValueError: If it cannot be started at given states, or an option is out of range.

    Example:
        >>> report = conform(envs.get_environment("safe_pendulum", backend="generalized"))
        >>> report.conforms
        True
    """
    samples = as_integer("samples", samples, 1)
    confidence = as_number("confidence", confidence, above=0.0, below=1.0)
    enlargement = as_number("enlargement", enlargement, 0.0)
    seed = as_seed(seed)
    if own_disturbance is not None:
        as_flag("own_disturbance", own_disturbance)
    if start is not None:
        function("start", start, "that puts the environment into a state")
    began = time.perf_counter()
    subject = subject_of(env, system, start)
    system = subject.system
    check = _step_check(subject.env, system, allowance)
    if isinstance(subject.env, gymnasium.Env):
        if own_disturbance:
            raise ValueError(
                "A Gymnasium environment reports no disturbance of its own; leave out "
                "`own_disturbance`."
            )
        runner: Runner = GymRunner(subject)
    else:
        runner = BraxRunner(subject, own_disturbance, check.model.disturbance_size)
    is_safe = in_batches(lambda x: system.margin(x) >= 0)
    compare = _Comparison(check, runner, is_safe, seed)
    rng = np.random.default_rng(seed)

    held_out = -(-samples // 4)
    keys = jax.random.split(jax.random.PRNGKey(seed), samples + held_out)
    x = np.asarray(in_batches(system.sample_initial)(keys), np.float64)
    both = compare(x, rng.uniform(-1, 1, (1, len(x), system.action_size)))
    if not len(both.x):
        raise ValueError(
            "No step began in the safe set; `start` must put the environment into the "
            "state that it is given."
        )
    cut = len(both.x) * samples // (samples + held_out)
    random, rest = both[:cut], both[cut:]

    starts = boundary_states(is_safe, x[rng.integers(len(x), size=_POPULATION)], rng)
    adversarial = [compare(starts, bang_bang((1, _POPULATION, system.action_size), rng))]
    spread = np.concatenate([np.std(x, axis=0), np.ones(system.action_size)])
    for width in _WIDTHS:
        seen = Sample.joined(random, *adversarial)
        worst = seen[extreme(seen.disturbance, seen.least_excess)]
        near, requests = neighbours(
            is_safe, worst.x, worst.action, count=_POPULATION, width=width * spread, rng=rng
        )
        adversarial.append(compare(near, requests[None]))

    starts = x[rng.integers(len(x), size=_STARTS)]
    trajectories = compare(
        starts, bang_bang((_LENGTH, _STARTS, system.action_size), rng, hold=_HOLD)
    )
    return ConformanceReport(
        name=subject.name,
        disturbance_set=check.disturbance_set,
        own_disturbance=runner.own_disturbance,
        random=random,
        held_out=rest,
        adversarial=Sample.joined(*adversarial),
        trajectories=trajectories,
        confidence=confidence,
        enlargement=enlargement,
        seconds=time.perf_counter() - began,
    )


class _Comparison:
    """Runs the simulator and explains its steps, in float64."""

    def __init__(self, check: StepCheck, runner: Runner, is_safe: IsSafe, seed: int):
        self._check = check
        self._runner = runner
        self._is_safe = is_safe
        self._seeds = iter(np.random.SeedSequence(seed).generate_state(64) >> 1)
        self._explain = in_batches(check.explain)

    def __call__(self, x: np.ndarray, requests: np.ndarray) -> Sample:
        """The steps that begin in the safe set, of those from x, shape (N, n), under the requests,
        shape (T, N, d).
        """
        steps = jax.tree.map(
            lambda value: np.asarray(value, np.float64),
            self._runner.run(x, requests, int(next(self._seeds))),
        )
        begins_safe = self._is_safe(steps.x)
        steps: Steps = jax.tree.map(lambda value: value[begins_safe], steps)
        if not begins_safe.any():
            return Sample.empty(self._check.model)
        with jax.enable_x64():
            explained = self._explain(steps.x, steps.action, steps.next_x, steps.drawn)
        drawn = np.zeros_like(explained.disturbance) if steps.drawn is None else steps.drawn
        return Sample(steps.x, steps.action, steps.next_x, drawn, *explained)


def _step_check(env: Any, system: System, allowance: np.ndarray | float | None) -> StepCheck:
    if allowance is None:
        return StepCheck.of(system, _SHARE)
    for source in (system, env):
        if isinstance(source, ModelBased):
            return StepCheck.per_state(source.model, source.disturbance_set, allowance)
    raise CertificateError(
        f"Neither `{type(system).__name__}` nor `{type(env).__name__}` has "
        "a `model` and a `disturbance_set` to compare with."
    )
