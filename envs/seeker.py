"""The safe seeker: reach a goal among circular obstacles, with explicit safe action sets.

Lemma. Let s = 0.1 m be the step at |a_i| = 1, w = 0.05 m the bound of the disturbance, both per
coordinate, eps = `ALLOWANCE` and R = `REACH`. Let all gaps, between obstacles and between each
obstacle and the walls, be at least 2 R. At every position p outside the obstacles (c_i, r_i) and
inside the walls |p_j| <= 8, with n_i = (p - c_i) / |p - c_i|:

1. An action with s n_i . a >= r_i - n_i . (p - c_i) + w |n_i|_1 + eps for all i and s |a_j| <= 8 -
   |p_j| - w - eps on the side of each wall leads to such a position again, with eps to spare,
   whatever the disturbance.
2. The anchor satisfies all these rows with `certified_slack` to spare: it is sign(n_i) of the
   obstacle nearer than R if there is one, and -sign(p) otherwise.

Proof. 1: |p' - c_i| >= n_i . (p' - c_i) >= n_i . (p - c_i) + s n_i . a - w |n_i|_1, and each wall
likewise. 2: A row whose obstacle or wall is farther than R has slack R - sqrt(2) (s + w) - eps > 0
for every action, since |n_i|_1 <= sqrt(2). By the gaps, a position nearer than R to an obstacle is
farther than R from everything else, and sign(n_i) leaves its row (s - w) |n_i|_1 - eps >= s - w -
eps. Without such an obstacle only walls are near, at most one per coordinate, and -sign(p) leaves
their rows s - w - eps. Both are positive.

Rounding, in float32 with unit u = 2^-24, for rows nearer than R (the others have room): 4 u on a
distance of at most 4.25 m, 5 u on each component of n_i, 3 u on the sums of b, and 2 u 8 m sqrt(2)
on the two additions of the step: together less than `ROUNDING`, a tenth of eps. `certified_slack`
checks the lemma's inequalities in exact rationals, with that rounding.
"""

import dataclasses
import functools
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from brax import base

from safe_wrappers._errors import CertificateError
from safe_wrappers._gate import one_of
from safe_wrappers._length import length
from safe_wrappers._own import own
from safe_wrappers.certificates import COMPILED, DISTURBED, OBSERVED, Guarantee
from safe_wrappers.models import ActionUnits
from safe_wrappers.safe_actions import ExplicitSystem
from safe_wrappers.sets import Box

from . import dynamics
from ._detour import shorter_way
from ._model_env import Disturbance, ModelEnv, joint_state

HALF_WIDTH = 8.0  # m, of the square that the walls enclose
STEP, NOISE = 0.1, 0.05  # m per step and coordinate, at most
RADII = (2.0, 4.0)  # m
GAP = 1.0  # m, the least one of a layout that is drawn
CLEARANCE = 0.5  # m, of starts and goals
BERTH = 0.1  # m, between obstacles and the way that is observed

ALLOWANCE = 1e-4  # m, in every row
ROUNDING = 1e-5  # m
REACH = 0.25  # m, beyond which a row never binds

# Candidates of which the first admissible one is taken: a layout with probability 0.13, a start
# 0.7, a goal about 0.3.
_CANDIDATES = 128


def certified_slack(
    gap: float = GAP,
    *,
    step: float = STEP,
    noise: float = NOISE,
    allowance: float = ALLOWANCE,
    reach: float = REACH,
) -> float:
    """The slack in metres that the anchor keeps at every safe position, by the lemma, its
    inequalities checked in exact rationals.

    Args:
        gap: Least gap between obstacles, and between obstacles and walls.
        step: Farthest move per coordinate.
        noise: Bound of the disturbance per coordinate.
        allowance: Part of every row.
        reach: Distance beyond which a row never binds.

    Raises:
        CertificateError: If the lemma does not hold for these lengths.
    """
    g, s, w, eps, R, u = (
        Fraction(value) for value in (gap, step, noise, allowance, reach, ROUNDING)
    )
    diagonal = Fraction(1414213563, 10**9)  # an upper bound of sqrt(2)
    assert diagonal**2 > 2
    slack = min(s - w - eps - u, R - diagonal * (s + w) - eps - u)
    if g - u < 2 * R or slack <= 0:
        raise CertificateError(
            f"Safe actions are certified for gaps of at least {2 * reach:g} m and steps that "
            "outweigh the noise, "
            f"but the gap is {gap:g} m and the certified slack {float(slack):g} m."
        )
    return float(slack)


class SafeSeeker(ModelEnv):
    """A point that seeks a goal among circular obstacles and walls, drawn anew for every episode.

    | | |
    |---|---|
    | state | position p (m, 2); for each obstacle its centre (m, 2) and radius (m), constant |
    | action | 2, in [-1, 1]^2: the velocity in m/s per coordinate |
    | disturbance | w, |w_i| <= 0.05 m |
    | dynamics | p' = p + 0.1 a + w, dt = 0.1 s |
    | observation | p, goal - p, for each obstacle c - p and r; the unit vector in which the |
    | | shorter way around the obstacles sets out, and its length (m) |
    | reward | -(d + 0.01 |a|^2), d the distance to the goal in the next state, m |
    | constraints | |p_i| <= 8, |p - c| >= r for each obstacle |

    The layout: two obstacles of radius 2 to 4, at least 1 m apart from each other and from the
    walls; a start at least 0.5 m from all of them; a goal likewise, such that the straight way
    there leads through an obstacle (but for about one reset in 200,000, where no candidate has
    that). An episode of 240 steps lasts 24 s, and no goal is farther than 15 m in a coordinate.

    The way keeps 0.1 m from the obstacles. Its length tells on which side to pass them: the
    distance to the goal alone leads straight at an obstacle, and policies that did not observe the
    way came to rest there. It is part of the observation only; the reward does not know it.

    There is no certificate. The safe action set has one row per obstacle, the half-space of next
    positions beyond the tangent at its nearest point, and one per wall; the safe states are all
    positions that satisfy the constraints. That these rows are sound, and never empty for layouts
    with such gaps, is a lemma: see the module. The guarantee is about layouts that `reset` draws;
    for others call `gaps`.

    Args:
        backend: "closed_form".
        disturbance: "uniform", "none", "worst_case" or a function (key, x, a) -> w.
        initial_states: "uniform".

    Raises:
        ValueError: If an option is unknown.

    Info:
        goal: The position to reach, shape (2,); renewed on reset.

    Example:
        >>> env = SafeSeeker()
        >>> env.observation_size, env.action_size
        (13, 2)
    """

    system: ExplicitSystem

    def __init__(
        self,
        *,
        backend: str = "closed_form",
        disturbance: Disturbance = "uniform",
        initial_states: str = "uniform",
    ):
        one_of("backend", backend, ("closed_form",))
        one_of("initial_states", initial_states, ("uniform",))
        super().__init__(_MODEL, _SYSTEM, _DISTURBANCES, disturbance=disturbance)
        self.slack = certified_slack()

    @own
    def _promised(self) -> Guarantee:
        # Equal parts, not the same objects: a copy is as safe as its original.
        if not _equal((self.model, self.system, self.disturbance_set), _LEMMA):
            by = f"the lemma in safe_wrappers.envs.seeker is about other parts than `{self!r}` has"
            return Guarantee("tested", by)
        if type(self).sample_initial is not ModelEnv.sample_initial:
            by = (
                "the lemma in safe_wrappers.envs.seeker is about layouts with the gaps that it "
                "draws"
            )
            return Guarantee("tested", by)
        by = (
            "the lemma in safe_wrappers.envs.seeker: its explicit safe action sets are sound and "
            "never empty; its constants were checked in exact rationals "
            f"(slack {self.slack:.4f} m)"
        )
        return Guarantee("certified", by, (OBSERVED, DISTURBED, COMPILED))

    def task_info(self, x: jax.Array, key: jax.Array) -> dict[str, jax.Array]:
        return {"goal": _draw_goal(key, x)}

    def observe(self, x: jax.Array, info: Mapping[str, Any]) -> jax.Array:
        position, obstacles = split(x)
        relative = obstacles - jnp.concatenate([position, jnp.zeros(1, x.dtype)])
        way = shorter_way(position, info["goal"], obstacles + jnp.array([0.0, 0.0, BERTH], x.dtype))
        return jnp.concatenate(
            [position, info["goal"] - position, relative.ravel(), way.heading, way.length[None]]
        )

    def reward(self, x: jax.Array, action: jax.Array, info: Mapping[str, Any]) -> jax.Array:
        return -(length(x[:2] - info["goal"]) + 0.01 * jnp.sum(action * action))

    def admissible(self, x: jax.Array) -> jax.Array:
        """Whether x is safe and its layout keeps the gaps of the lemma."""
        obstacles = split(x)[1]
        return (
            super().admissible(x)
            & (jnp.min(gaps(obstacles)) >= 2 * REACH + ROUNDING)
            & jnp.all(obstacles[:, 2] >= 0)
        )

    def observation_bound(self) -> np.ndarray:
        # Between two points of the square it is at most its width; a radius is at most half of it.
        relative = np.array([2 * HALF_WIDTH, 2 * HALF_WIDTH, HALF_WIDTH])
        layout = [relative] * (self.model.state_size // 3)
        # Rounding of a unit vector. A way has at most five tangents and three arcs, none of which
        # is longer than the diagonal and half a circle.
        way = [1 + ROUNDING, 1 + ROUNDING, 5 * 1.5 * 2 * HALF_WIDTH + 3 * np.pi * HALF_WIDTH]
        return np.concatenate([[HALF_WIDTH] * 2, [2 * HALF_WIDTH] * 2, *layout, way])

    @own
    def adversaries(self, x: jax.Array, action: jax.Array) -> jax.Array:
        """The vertices of W, which are worst for the walls, and for each obstacle the w that ends
        nearest to its centre.
        """
        nominal, obstacles = split(self.model.unit_step(x, action, jnp.zeros(2, x.dtype)))
        bound = jnp.asarray(self.disturbance_set.upper, x.dtype)
        return jnp.concatenate(
            [super().adversaries(x, action), jnp.clip(obstacles[:, :2] - nominal, -bound, bound)]
        )

    @own
    def _pipeline_init(self, x: jax.Array) -> Any:
        # The layout takes the place of a velocity, which the point does not have, and not one in
        # `info`: whatever restores a pipeline state restores all that safety depends on.
        nothing: Any = None
        return base.State(x[:2], x[2:], nothing, nothing, nothing)

    @property
    def observation_size(self) -> int:
        return 5 + self.model.state_size


def _equal(found: Any, known: Any) -> bool:
    """Whether two objects are of the same classes, functions and numbers throughout."""
    if type(found) is not type(known):
        return False
    if isinstance(known, np.ndarray):
        return found.dtype == known.dtype and np.array_equal(found, known)
    if isinstance(known, functools.partial):
        found, known = ((bound.func, bound.args, bound.keywords) for bound in (found, known))
    if dataclasses.is_dataclass(known):
        names = [field.name for field in dataclasses.fields(known)]
        return all(_equal(getattr(found, name), getattr(known, name)) for name in names)
    if isinstance(known, ActionUnits):
        found, known = (tuple(sorted(vars(units).items())) for units in (found, known))
    if isinstance(known, tuple):
        return len(found) == len(known) and all(map(_equal, found, known))
    return bool(found == known)


def split(x: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The position, shape (2,), and the obstacles (c1, c2, r), shape (k, 3), of a state of shape (2
    + 3 k,).
    """
    return x[:2], x[2:].reshape(-1, 3)


def clearances(position: jax.Array, obstacles: jax.Array) -> jax.Array:
    """Distances in m from a position, shape (2,), to each obstacle and to the nearest wall,
    negative beyond. Shape (k + 1,).
    """
    return jnp.append(
        length(position - obstacles[:, :2]) - obstacles[:, 2],
        HALF_WIDTH - jnp.max(jnp.abs(position)),
    )


def margin(x: jax.Array) -> jax.Array:
    """The clearance from obstacles and walls in units of 8 m: 1 at the centre of an empty square.

    Shape ().
    """
    return jnp.min(clearances(*split(x))) / HALF_WIDTH


def gaps(obstacles: jax.Array) -> jax.Array:
    """Gaps in m between obstacles (c1, c2, r), shape (k, 3), and between each obstacle and the
    walls, shape (k + k (k - 1) / 2,).
    """
    centres, radii = obstacles[:, :2], obstacles[:, 2]
    i, j = jnp.triu_indices(len(obstacles), k=1)
    between = length(centres[i] - centres[j]) - radii[i] - radii[j]
    return jnp.concatenate([HALF_WIDTH - jnp.max(jnp.abs(centres), axis=1) - radii, between])


def rows(x: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Rows A (k + 4, 2) and b (k + 4,) of the safe action set in m: see the lemma."""
    position, obstacles = split(x)
    offset = position - obstacles[:, :2]
    distance = length(offset)
    normal = offset / jnp.where(distance > 0, distance, 1.0)[:, None]
    beyond = distance - obstacles[:, 2] - NOISE * jnp.sum(jnp.abs(normal), axis=1)
    eye = jnp.eye(2, dtype=x.dtype)
    walls = HALF_WIDTH - NOISE - jnp.concatenate([position, -position])
    return STEP * jnp.concatenate([-normal, eye, -eye]), jnp.concatenate(
        [beyond, walls]
    ) - ALLOWANCE


def anchor(x: jax.Array) -> jax.Array:
    """The certified safe action: away from the obstacle in reach, else inwards from the walls.

    Shape (2,).
    """
    position, obstacles = split(x)
    clearance = clearances(position, obstacles)[:-1]
    nearest = jnp.argmin(clearance)
    return jnp.where(
        clearance[nearest] < REACH, jnp.sign(position - obstacles[nearest, :2]), -jnp.sign(position)
    )


def sample_initial(key: jax.Array) -> jax.Array:
    """A start among two obstacles, uniform over those with the gaps and the clearance of
    `SafeSeeker`. Shape (8,).
    """
    radius_key, centre_key, start_key = jax.random.split(key, 3)
    radii = jax.random.uniform(
        radius_key, (_CANDIDATES, 2, 1), jnp.float32, minval=RADII[0], maxval=RADII[1]
    )
    centres = jax.random.uniform(
        centre_key, (_CANDIDATES, 2, 2), jnp.float32, minval=-1.0, maxval=1.0
    ) * (HALF_WIDTH - GAP - radii)
    layouts = jnp.concatenate([centres, radii], axis=-1)
    admissible = jax.vmap(lambda layout: jnp.min(gaps(layout)) >= GAP)(layouts)
    # In one of 10^7 draws there is none; then this one, so that the lemma holds always.
    spare = jnp.array([[-4.0, 0.0, 2.0], [4.0, 0.0, 2.0]], jnp.float32)
    obstacles = jnp.where(jnp.any(admissible), layouts[jnp.argmax(admissible)], spare)
    starts = _draw_positions(start_key)
    clear = jax.vmap(lambda start: jnp.min(clearances(start, obstacles)) >= CLEARANCE)(starts)
    return jnp.concatenate([starts[jnp.argmax(clear)], obstacles.ravel()])


def _draw_goal(key: jax.Array, x: jax.Array) -> jax.Array:
    """A goal in the clear, behind an obstacle as seen from x; if no candidate is both, one that is
    in the clear. Shape (2,).
    """
    position, obstacles = split(x)

    def score(goal):
        way = goal - position
        # The point of the straight way that is nearest to each centre.
        along = jnp.sum((obstacles[:, :2] - position) * way, axis=1) / jnp.sum(way * way)
        nearest = position + jnp.clip(along, 0.0, 1.0)[:, None] * way
        blocked = jnp.any(length(nearest - obstacles[:, :2]) < obstacles[:, 2])
        return blocked + 2 * (jnp.min(clearances(goal, obstacles)) >= CLEARANCE)

    goals = _draw_positions(key).astype(x.dtype)
    return goals[jnp.argmax(jax.vmap(score)(goals))]


def _draw_positions(key: jax.Array) -> jax.Array:
    # In float32 also where 64-bit types are switched on: the lemma counts its rounding.
    return jax.random.uniform(key, (_CANDIDATES, 2), jnp.float32, minval=-1.0, maxval=1.0) * (
        HALF_WIDTH - CLEARANCE
    )


# What the lemma speaks about.
_MODEL = dynamics.seeker()
_DISTURBANCES = Box.symmetric([NOISE, NOISE])
_SYSTEM = ExplicitSystem(
    action_size=2,
    rows=rows,
    margin=margin,
    sample_initial=sample_initial,
    state=joint_state,
    anchor=anchor,
)
_LEMMA = (_MODEL, _SYSTEM, _DISTURBANCES)
