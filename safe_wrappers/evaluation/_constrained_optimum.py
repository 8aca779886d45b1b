"""The best that safe actions can reach in given episodes: from below by trajectories, from above by
a convex problem.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from brax.envs import Env, State

from .._gate import as_integer, as_number
from ..envs import ModelEnv
from ..safeguards import BoundaryProjection
from ..wrappers import SafeguardWrapper
from ._lqr import NoRegulator, lqr
from ._relaxation import NoBound, Plan, Relaxation

# Weight of the squared correction in the objective: a request that is far from what is executed has
# no gradient.
_CORRECTION = 0.1


class ConstrainedOptimum(NamedTuple):
    """What was found, for each episode.

    Args:
        returns: The highest return of a safe trajectory that was found, shape (episodes,): the
            optimum is at least that.
        bound: A return that no safe policy exceeds, shape (episodes,), infinite if none is known.
        actions: Executed actions of the best trajectories, in [-1, 1]^d, shape (steps, episodes,
            d).
        by_start: The highest returns that each start led to, by its name, shape (episodes,).
        no_bound: Why there is no bound, in words; None if there is one.
    """

    returns: np.ndarray
    bound: np.ndarray
    actions: np.ndarray
    by_start: dict[str, np.ndarray]
    no_bound: str | None

    @property
    def gap(self) -> float:
        """How far the mean of `returns` may be below the optimum at most, relative to it; infinite
        without a bound.
        """
        found = float(self.returns.mean())
        return (float(self.bound.mean()) - found) / abs(found)


class _Flight(NamedTuple):
    """Returns (episodes,), executed actions and next states (steps, episodes, ...)."""

    returns: Any
    actions: Any
    x: Any


def constrained_optimum(
    env: Env,
    keys: jax.Array,
    episode_length: int,
    *,
    policies: Mapping[str, Callable[[State], jax.Array]] | None = None,
    iterations: int = 200,
    learning_rate: float = 0.01,
    rounds: int = 8,
) -> ConstrainedOptimum:
    """The constrained optimum of episodes without disturbances, enclosed from both sides.

    From below by trajectory optimisation through the safeguarded environment, with boundary
    projection: Adam on what is added to the requests of a start in every step. The starts are
    doing nothing, clipped LQR where there is one, the given policies, and the plan that solves the
    convex problem, held by the regulator's gain. All of it is safe, so whatever is found can be
    reached. From above by that convex problem, which contains all safe trajectories (see the page
    on tasks where safety binds). Neither side uses the other's proof.

    A policy that is to be compared must be evaluated without disturbances, too:
    `env.with_disturbance("none")`.

    Args:
        env: An environment of the library that steps a model, without a safeguard.
        keys: Random keys of the episodes, as `episode_keys` gives them.
        episode_length: Steps of each episode.
        policies: More starts by name, for example trained policies: state -> action, unbatched.
        iterations: Steps of Adam for each start.
        learning_rate: Of Adam; it decays to 0 by a cosine.
        rounds: How often tangents of the reward are added to the convex problem; 0 leaves the bound
            out.

    Raises:
        TypeError: If `env` does not step a model, or an argument is no number.
        ValueError: If a number is out of range.
    """
    if not isinstance(env, ModelEnv):
        raise TypeError(
            "`env` must be an environment that steps a model, such as those of `sw.envs`, without "
            f"a safeguard, but it is a {type(env).__name__}."
        )
    episode_length = as_integer("episode_length", episode_length, 1)
    iterations, rounds = as_integer("iterations", iterations, 1), as_integer("rounds", rounds, 0)
    learning_rate = as_number("learning_rate", learning_rate, 0.0, 1.0)
    calm = env.with_disturbance("none")
    n, d, episodes = env.model.state_size, env.model.action_size, len(keys)
    still = jnp.zeros((episode_length, episodes, d))
    nowhere = jnp.zeros((episode_length, episodes, n))
    loose = jnp.zeros((d, n))
    try:
        regulator = lqr(calm)
    except NoRegulator:
        regulator = None

    guarded = SafeguardWrapper(calm, BoundaryProjection())
    first = jax.jit(jax.vmap(guarded.reset))(keys)
    starts = np.asarray(jax.vmap(calm.system.state)(first))
    optimise = _optimiser(guarded, first, iterations, learning_rate)
    free = optimise(None)
    flights = {"still": free(still, nowhere, loose)}
    if regulator is not None:
        target = jnp.broadcast_to(jnp.asarray(regulator.target), nowhere.shape)
        held = jnp.broadcast_to(jnp.asarray(regulator.action), still.shape)
        flights["lqr"] = free(held, target, jnp.asarray(regulator.gain))
    for name, policy in (policies or {}).items():
        flights[name] = optimise(policy)(still, nowhere, loose)

    no_bound, bound = None, np.full(episodes, np.inf)
    if rounds:
        try:
            plans = _plans(calm, first, starts, _best(flights), rounds)
            bound = np.array([plan.bound for plan in plans])
            # The state before each step, to which the action of the plan belongs.
            x = np.stack([np.vstack([s, p.x[:-1]]) for s, p in zip(starts, plans, strict=True)], 1)
            action = jnp.asarray(np.stack([plan.action for plan in plans], axis=1), jnp.float32)
            gain = loose if regulator is None else jnp.asarray(regulator.gain)
            flights["plan"] = free(action, jnp.asarray(x, jnp.float32), gain)
        except NoBound as error:
            no_bound = str(error)
    best = _best(flights)
    by_start = {name: np.asarray(flight.returns) for name, flight in flights.items()}
    return ConstrainedOptimum(
        np.asarray(best.returns), bound, np.asarray(best.actions), by_start, no_bound
    )


def _best(flights: dict[str, _Flight]) -> _Flight:
    chosen = np.argmax(np.stack([flight.returns for flight in flights.values()]), axis=0)

    def take(axis, *parts):
        parts = np.moveaxis(np.stack([np.asarray(part) for part in parts]), axis + 1, 1)
        return np.moveaxis(parts[chosen, np.arange(len(chosen))], 0, axis)

    parts = zip((0, 1, 1), *flights.values(), strict=True)
    return _Flight(*(take(*part) for part in parts))


def _optimiser(
    guarded: SafeguardWrapper, first: State, iterations: int, learning_rate: float
) -> Callable[..., Callable[..., _Flight]]:
    state_of = jax.vmap(guarded.system.state)
    adam = optax.adam(optax.cosine_decay_schedule(learning_rate, iterations))

    def optimise(policy: Callable[[State], jax.Array] | None) -> Callable[..., _Flight]:
        """(added actions, reference states, gain) -> the best flight of each episode."""

        def fly(added: jax.Array, reference: jax.Array, gain: jax.Array) -> Any:
            def step(state: State, now: tuple[jax.Array, jax.Array]):
                action, x = now
                request = action + (x - state_of(state)) @ gain.T
                if policy is not None:
                    request = request + jax.vmap(policy)(state)
                state = jax.vmap(guarded.step)(state, request)
                record = state.info["safeguard"]
                flight = (state.metrics["safeguard/task_reward"], record["action"], state_of(state))
                return state, (flight, jnp.sum(jnp.square(record["distance"])))

            (reward, executed, x), correction = jax.lax.scan(step, first, (added, reference))[1]
            flight = _Flight(jnp.sum(reward, axis=0), executed, x)
            return _CORRECTION * jnp.sum(correction) - jnp.sum(flight.returns), flight

        @jax.jit
        def run(added: jax.Array, reference: jax.Array, gain: jax.Array) -> _Flight:
            def iterate(carry, _):
                added, moments, best = carry
                (_, flight), slope = jax.value_and_grad(fly, has_aux=True)(added, reference, gain)
                slope = jnp.where(jnp.isfinite(slope), slope, 0.0)
                better = flight.returns > best.returns
                best = _Flight(
                    jnp.where(better, flight.returns, best.returns),
                    *(
                        jnp.where(better[:, None], new, old)
                        for new, old in zip(flight[1:], best[1:], strict=True)
                    ),
                )
                updates, moments = adam.update(slope, moments)
                return (optax.apply_updates(added, updates), moments, best), None

            nothing = jax.tree.map(jnp.zeros_like, jax.eval_shape(fly, added, reference, gain)[1])
            nothing = nothing._replace(returns=jnp.full_like(nothing.returns, -jnp.inf))
            start = (added, adam.init(added), nothing)
            return jax.lax.scan(iterate, start, None, length=iterations)[0][2]

        return run

    return optimise


def _plans(
    env: ModelEnv, first: State, starts: np.ndarray, guess: _Flight, rounds: int
) -> list[Plan]:
    """The convex problem of each episode, with tangents at the best flight first."""
    relaxation = Relaxation(env, len(guess.actions))
    plans = []
    for i, start in enumerate(starts.astype(np.float64)):
        info = jax.tree.map(lambda part, i=i: part[i], dict(first.info))
        flight = (np.asarray(guess.x)[:, i], np.asarray(guess.actions)[:, i])
        plans.append(relaxation.solve(start, info, flight, rounds))
    return plans
