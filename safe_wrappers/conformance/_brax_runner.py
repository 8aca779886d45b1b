"""Brax environments whose steps are recorded."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from brax import envs

from .._batches import cut, joined, rows_of
from ..wrappers import StartableEnv
from ._steps import Steps, executed
from ._subject import Start, Subject


class BraxRunner:
    """Runs a Brax environment from given states.

    Args:
        subject: The environment; a system that reads its state and makes requests safe; start, (x,
            key) -> the environment's state. Default: `env.reset_to`, or for a `PipelineEnv` its
            physics at x = (q, qd).
        own_disturbance: Whether `info["disturbance"]` is what the environment drew, shape (k,).
            Default: whether it is there.
        disturbance_size: k.

    Raises:
        ValueError: If the environment cannot be started at given states, or reports no such
            disturbance.
    """

    def __init__(self, subject: Subject, own_disturbance: bool | None, disturbance_size: int):
        env, system, start = subject.env, subject.system, subject.start or _default_start(subject)
        key = jax.random.PRNGKey(0)
        info = jax.eval_shape(lambda: start(system.sample_initial(key), key)).info
        reported = np.shape(info.get("disturbance")) == (disturbance_size,)
        if own_disturbance and not reported:
            raise ValueError(
                "With `own_disturbance` the environment must report the disturbance of each step "
                f"as info['disturbance'], shape ({disturbance_size},)."
            )
        self.own_disturbance = reported if own_disturbance is None else own_disturbance

        def advance(state: Any, request: jax.Array) -> tuple[Any, Steps]:
            x = system.state(state)
            action = executed(system, x, request)
            with jax.default_matmul_precision("highest"):
                after = env.step(state, action)
            return after, Steps(
                x,
                action,
                system.state(after),
                after.info["disturbance"] if self.own_disturbance else None,
            )

        self._start, self._advance = jax.jit(jax.vmap(start)), jax.jit(jax.vmap(advance))

    def run(self, x: np.ndarray, requests: np.ndarray, seed: int) -> Steps:
        """Steps from the states x, shape (N, n), under requests that are made safe, shape (T, N,
        d): arrays over T N steps.
        """
        found = []
        for rows, real in rows_of(len(x)):
            keys = jax.random.split(
                jax.random.fold_in(jax.random.PRNGKey(seed), rows[0]), len(rows)
            )
            state = self._start(jnp.asarray(x[rows], jnp.float32), keys)
            for request in requests[:, rows]:
                state, steps = self._advance(state, jnp.asarray(request, jnp.float32))
                found.append(cut(steps, real))
        return joined(found)


def _default_start(subject: Subject) -> Start:
    env = subject.env
    if isinstance(env, StartableEnv):
        return env.reset_to
    if isinstance(env, envs.PipelineEnv):
        return functools.partial(_start_pipeline, env)
    raise ValueError(
        f"{subject.name} must be started at chosen states, but it has no `reset_to`; "
        "give `start=`, a function (x, key) -> state."
    )


def _start_pipeline(env: envs.PipelineEnv, x: jax.Array, key: jax.Array) -> envs.State:
    """A reset whose physics is then put into the state x = (q, qd)."""
    sizes = env.sys.q_size(), env.sys.qd_size()
    if x.shape != (sum(sizes),):
        raise ValueError(
            f"Without `start=` the state must be x = (q, qd) of all joints, shape ({sum(sizes)},), "
            f"but the system's has shape {x.shape}; give `start=`, "
            "a function (x, key) -> state, for example `reset_to` of a `BraxPlant`."
        )
    q, qd = jnp.split(x, sizes[:1])
    return env.reset(key).replace(pipeline_state=env.pipeline_init(q, qd))  # pyright: ignore[reportAttributeAccessIssue]
