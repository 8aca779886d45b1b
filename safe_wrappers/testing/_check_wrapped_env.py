"""The contract of a safeguarded environment."""

from typing import Any, NamedTuple

import brax.envs
import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
from brax.envs.wrappers import training

from .._errors import CertificateError
from ..safe_actions import System
from ..safeguards import Safeguard
from ._check_report import CheckReport, require, require_all
from ._plant import Plant

_RECORD = {
    "requested",
    "action",
    "intervened",
    "changed",
    "distance",
    "feasible",
    "fallback",
    "margin",
    "inside",
    "violation",
    "task_reward",
}
_METRICS = {
    f"safeguard/{name}_per_step"
    for name in ("intervention", "distance", "infeasible", "fallback", "left_set")
} | {"safeguard/task_reward"}
_WRAP = "Use `SafeguardWrapper(env, safeguard)`."


class _Steps(NamedTuple):
    """All steps of a rollout, T steps in N environments: leaves of shape (T N, ...).

    Attributes:
        x: States before the step.
        after: States after it; after an episode's end, where the next one starts.
        request: The request that was sent.
        done: 1 at an episode's end.
        reward: The reward that was reported.
        info: The safeguard's record; empty without a safeguard.
        metrics: The metrics that were reported.
    """

    x: np.ndarray
    after: np.ndarray
    request: np.ndarray
    done: np.ndarray
    reward: np.ndarray
    info: dict[str, Any]
    metrics: dict[str, np.ndarray]


def check_wrapped_env(
    env: Any,
    *,
    envs: int = 64,
    steps: int = 100,
    tolerance: float = 1e-4,
    baseline: bool = True,
    seed: int = 0,
) -> CheckReport:
    """Checks a safeguarded environment: that trainers can use it, that nothing gets around the
    safeguard, and short adversarial rollouts.

    1. Brax's contract: reset and step return the same tree with the same shapes and dtypes and no
       weak types, with both kinds of keys; so do Brax's training and evaluation wrappers around it.
       All metrics and info keys of the safeguard are there.
    2. It cannot be bypassed: it is its own `unwrapped`, is no `brax.envs.Wrapper`, and refuses
       other physics.
    3. In rollouts of random, bang-bang, oversized and NaN actions, through vectorisation, episodes
       and resets: every state that is reached lies in the safe set, and with a model every next
       state for every vertex of W, counted in float64; the action that moved the environment is the
       one that is reported, up to `tolerance`; the flags are true; the reward is the task's without
       the regularisation.

    Args:
        env: A `SafeguardWrapper` or `PlaygroundSafeguardWrapper`, with no wrapper around it. For
            Gymnasium there are Gymnasium's own `check_env` and `conform`.
        envs: Number of parallel environments.
        steps: Number of steps of each, in two episodes.
        tolerance: How far the environment's step may lie outside the model's for all w in W, in the
            scale where the safe set's centre has margin 1. Only for systems with a model and
            half-spaces.
        baseline: Whether to send the same requests to the environment without the safeguard, to see
            whether they lead out of the set.
        seed: Random seed of all samples.

    Returns:
        The numbers that were found. "states outside without the safeguard" should be large:
        otherwise the rollouts prove little.

    Raises:
        ContractError: An AssertionError, on the first of these that does not hold.

    Example:
        >>> env = SafeguardWrapper(envs.SafePendulum(safe_set="narrow"), BoundaryProjection())
        >>> check_wrapped_env(env).findings["states outside the safe set"]
        0
    """
    _check_bypass(env)
    _check_trees(env)
    rng = np.random.default_rng(seed)
    keys = jax.random.split(jax.random.PRNGKey(seed), envs)
    wrapped = _wrapped_for_training(env, episode_length=max(steps // 2, 1))
    _check_trees(training.EvalWrapper(wrapped), keys)

    requests = _requests(rng, (steps, envs, env.action_size))
    rollout = _rollout(wrapped, env.system, keys, requests)
    contained = _check_containment(env.system, rollout, tolerance)
    _check_records(rollout, getattr(env, "regularisation", 0.0))
    interventions = int(rollout.metrics["safeguard/intervention_per_step"].sum())
    findings = {"steps": steps * envs, "interventions": interventions, **contained}
    if not baseline:
        return CheckReport(type(env).__name__, findings, ("the environment without the safeguard",))
    raw = _rollout(
        training.VmapWrapper(env.env), env.system, keys, np.clip(np.nan_to_num(requests), -1, 1)
    )
    findings["states outside without the safeguard"] = int(
        (_margins(env.system, raw.after) < 0).sum()
    )
    return CheckReport(type(env).__name__, findings)


def _check_bypass(env: Any) -> None:
    found = f"it is the Gymnasium environment `{type(env).__name__}`"
    instead = (
        "Use `gymnasium.utils.env_checker.check_env` for the interface, and "
        "`safe_wrappers.conform` for the step."
    )
    require(
        not isinstance(env, gymnasium.Env),
        "`env` must be a `SafeguardWrapper` or `PlaygroundSafeguardWrapper`",
        found,
        instead,
    )
    parts = isinstance(getattr(env, "system", None), System) and isinstance(
        getattr(env, "safeguard", None), Safeguard
    )
    require(
        parts,
        "`env` must have a `system` and a `safeguard`",
        f"it is a `{type(env).__name__}` without them",
        _WRAP,
    )
    found = f"it is a `{type(env).__name__}`"
    require(
        not isinstance(env, brax.envs.Wrapper),
        "A safeguarded environment must not be a `brax.envs.Wrapper`, whose `unwrapped` is bare",
        found,
        _WRAP,
    )
    found = f"it is a `{type(env.unwrapped).__name__}`"
    must = "`env.unwrapped` must be `env` itself: domain randomisation steps `env.unwrapped`"
    require(env.unwrapped is env, must, found, "Return `self` from `unwrapped`.")
    for name in ("sys", "_mjx_model"):
        if not hasattr(type(env), name):
            continue
        refused = False
        try:
            setattr(env, name, getattr(env, name, None))  # not every environment has one
        except CertificateError:
            refused = True
        must = (
            f"Setting `env.{name}`, as domain randomisation does, must raise CertificateError: the "
            "certificate speaks about one plant"
        )
        require(refused, must, "it was accepted", _WRAP)


def _signature(tree: Any) -> dict[str, tuple[Any, ...]]:
    return {
        jax.tree_util.keystr(path): (leaf.shape, str(leaf.dtype), leaf.weak_type)
        for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
    }


def _check_trees(env: Any, keys: jax.Array | None = None) -> None:
    """One environment, or a batch of them if there are keys."""
    batch = () if keys is None else keys.shape[:1]
    state = jax.eval_shape(env.reset, jax.random.PRNGKey(0) if keys is None else keys)
    after = jax.eval_shape(
        env.step, state, jax.ShapeDtypeStruct((*batch, env.action_size), jnp.float32)
    )
    one, other = _signature(state), _signature(after)
    differences = {
        name: (one.get(name), other.get(name))
        for name in one | other
        if one.get(name) != other.get(name)
    }
    must = (
        "`reset` and `step` must return the same tree, with the same (shape, dtype, weak type) of "
        "every leaf"
    )
    require(
        not differences,
        must,
        f"they differ in {differences}",
        "Set every key in `reset`, and give constants a dtype: `jnp.zeros(())`, not `0.0`.",
    )
    require(
        jax.tree.structure(state) == jax.tree.structure(after),
        must,
        "their structures differ",
        "Return the state with `.replace`.",
    )

    ours = (state.reward, state.done, state.metrics, state.info["safeguard"])
    weak = [name for name, (*_, is_weak) in _signature(ours).items() if is_weak]
    require(
        not weak,
        "Reward, done, metrics and the safeguard's info must not be weakly typed",
        f"{weak} are",
        "Give constants a dtype.",
    )
    for name, value in (("reward", state.reward), ("done", state.done)):
        fits = value.shape == batch and jnp.issubdtype(value.dtype, jnp.floating)
        require(
            fits,
            f"`{name}` must be a floating-point number per environment",
            f"it is {value}",
            "Cast it.",
        )
    missing = sorted(_METRICS - set(state.metrics)) + sorted(_RECORD - set(state.info["safeguard"]))
    require(
        not missing,
        "All metrics and info keys of `SafeguardWrapper` must be there",
        f"{missing} are missing",
        "Keep the dictionaries: `{**state.info, ...}`.",
    )
    if keys is None:
        typed = _signature(jax.eval_shape(env.reset, jax.random.key(0)))
        require(
            typed == one,
            "`reset` must accept both kinds of keys",
            "jax.random.key(0) gives another tree",
            "Convert the key at the start of `reset`: `jax.random.key_data(key)`.",
        )


def _wrapped_for_training(env: Any, episode_length: int) -> Any:
    if isinstance(env, brax.envs.Env):
        return training.wrap(env, episode_length=episode_length)
    from mujoco_playground import wrapper  # pyright: ignore[reportMissingImports] # an environment of another kind that passed so far is Playground's

    return wrapper.wrap_for_brax_training(env, episode_length=episode_length)


def _requests(rng: np.random.Generator, shape: tuple[int, int, int]) -> np.ndarray:
    """In each environment one kind throughout: random, bang-bang with random holding times, or
    oversized with NaN among it.
    """
    envs = shape[1]
    switches = rng.random(shape) < rng.uniform(0.02, 1, (1, envs, 1))
    bang_bang = np.where(np.cumsum(switches, axis=0) % 2, 1.0, -1.0)
    unruly = np.where(rng.random(shape) < 0.05, np.nan, 3 * rng.normal(size=shape))
    kind = np.arange(envs)[None, :, None] % 3
    return np.select([kind == 0, kind == 1], [rng.uniform(-1, 1, shape), bang_bang], unruly).astype(
        np.float32
    )


def _rollout(env: Any, system: System, keys: jax.Array, requests: np.ndarray) -> _Steps:
    x_of = jax.vmap(system.state)

    def step(state, request):
        after = env.step(state, request)
        info = {name: after.info[name] for name in ("safeguard",) if name in after.info}
        return after, (
            x_of(state),
            x_of(after),
            request,
            after.done,
            after.reward,
            info,
            after.metrics,
        )

    steps = jax.device_get(
        jax.jit(lambda keys, requests: jax.lax.scan(step, env.reset(keys), requests)[1])(
            keys, requests
        )
    )
    return _Steps(*jax.tree.map(lambda value: value.reshape(-1, *value.shape[2:]), steps))


def _margins(system: System, x: np.ndarray) -> np.ndarray:
    """In float64, shape (N,), of states (N, n); -inf for one that is not finite."""
    with jax.enable_x64():
        margin = np.asarray(
            jax.jit(jax.vmap(system.margin))(jnp.asarray(x, jnp.float64)), np.float64
        )
    return np.where(np.isfinite(margin), margin, -np.inf)


def _check_records(steps: _Steps, regularisation: float) -> None:
    """What is reported: the sanitised request, the flags and the reward."""
    guard, metrics, request = steps.info["safeguard"], steps.metrics, steps.request
    shown = {"state": steps.x, "request": request, "action": guard["action"]}
    require_all(
        (np.abs(guard["action"]) <= 1).all(axis=1),
        "The executed action must lie in the action box",
        _WRAP,
        **shown,
    )
    finite = np.all(np.isfinite(request), axis=1)
    sanitised = (guard["requested"] == np.clip(np.where(finite[:, None], request, 0), -1, 1)).all(
        axis=1
    )
    require_all(
        sanitised | ~finite,
        "The recorded request must be what was sent, clipped to the box",
        _WRAP,
        **shown,
        recorded=guard["requested"],
    )
    for metric, flag in (
        ("intervention", "intervened"),
        ("distance", "distance"),
        ("fallback", "fallback"),
    ):
        value = metrics[f"safeguard/{metric}_per_step"]
        must = f"The metric `safeguard/{metric}_per_step` must be what the record says"
        require_all(value == guard[flag], must, _WRAP, **shown, metric=value, record=guard[flag])
    gap = np.sum((guard["action"] - guard["requested"]).astype(np.float64) ** 2, axis=1)
    expected = metrics["safeguard/task_reward"] - regularisation * gap
    must = (
        f"The reward must be `safeguard/task_reward` less {regularisation:g} |action - requested|^2"
    )
    near = np.abs(steps.reward - expected) <= 1e-5 * (1 + np.abs(expected))
    require_all(
        near,
        must,
        "Subtract the regularisation from the reward.",
        **shown,
        reward=steps.reward,
        expected=expected,
    )


def _check_containment(system: System, steps: _Steps, tolerance: float) -> dict[str, float]:
    """The states that were reached, and those that any vertex of W could have led to."""
    guard = steps.info["safeguard"]
    start, margin = _margins(system, steps.x), _margins(system, steps.after)
    shown = {"state": steps.x, "action": guard["action"], "next_state": steps.after}
    must = "An episode must start in the safe set, and every state that is reached must lie in it"
    instead = (
        "Let `reset` draw from `system.sample_initial`; compare the model, W and the step with the "
        "plant by `check_system(system, model=...)`;"
        " let nothing step around the safeguard."
    )
    require_all(
        (start >= 0) & (margin >= 0),
        must,
        instead,
        **shown,
        margins=np.stack([start, margin], axis=1),
    )
    metrics = steps.metrics
    quiet = (guard["feasible"] == 1) & (guard["inside"] == 1) & (guard["violation"] == 0)
    quiet &= (metrics["safeguard/infeasible_per_step"] == 0) & (
        metrics["safeguard/left_set_per_step"] == 0
    )
    require_all(
        quiet,
        "In the safe set every step must be reported as feasible, inside and without violation",
        _WRAP,
        **shown,
        margin=margin,
    )
    findings = {"states outside the safe set": 0, "least margin": margin.min()}

    model, disturbance_set, S = (
        getattr(system, name, None) for name in ("model", "disturbance_set", "safe_state_set")
    )
    if model is None or disturbance_set is None:
        return findings
    plant = Plant(model, disturbance_set, system.margin)
    worst = plant.worst(steps.x, guard["action"])
    must = "The executed action must keep the next state in the safe set for every disturbance"
    case = {
        "state": steps.x,
        "action": guard["action"],
        "disturbance": worst.disturbance,
        "next_state": worst.next_state,
        "its_margin": worst.margin,
    }
    require_all(worst.margin >= 0, must, instead, **case)
    findings["least margin for the worst disturbance"] = worst.margin.min()
    if S is None or not hasattr(S, "halfspaces"):
        return findings
    # In the direction of every facet the next state lies between those for the vertices of W.
    H = np.asarray(S.halfspaces()[0], np.float64)
    reach, place = (
        plant.next_states(steps.x, guard["action"]) @ H.T,
        steps.after.astype(np.float64) @ H.T,
    )
    beyond = np.maximum(reach.min(axis=1) - place, place - reach.max(axis=1)).max(axis=1)
    beyond = np.where(steps.done > 0, 0, beyond)
    must = (
        "The environment must step its system's model, with the action that it reports and a "
        f"disturbance in W, up to {tolerance:g}"
    )
    instead = (
        "Compare the two, or enlarge W; nothing may clamp the state or execute another action."
    )
    require_all(beyond <= tolerance, must, instead, **shown, distance=beyond)
    return findings | {
        "greatest distance from the model's next states": max(float(beyond.max()), 0.0)
    }
