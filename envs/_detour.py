"""The shorter way around discs in the plane: how long it is, and where it sets out."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from safe_wrappers._length import length

# Of tangents, in m: their slope has no bound where they vanish, on the circle.
_SHORTEST = 0.2


class Way(NamedTuple):
    """A way to a goal.

    Args:
        length: In m, shape ().
        heading: The unit vector in which it sets out, shape (2,).
    """

    length: jax.Array
    heading: jax.Array


class _Around(NamedTuple):
    """The ways around one disc: anticlockwise, with the disc on the left, and clockwise.

    Args:
        length: Shape (2,).
        heading: Shape (2, 2).
        touch, leave: Where they meet the circle and where they part from it, shape (2, 2).
    """

    length: jax.Array
    heading: jax.Array
    touch: jax.Array
    leave: jax.Array


def shorter_way(start: jax.Array, goal: jax.Array, discs: jax.Array) -> Way:
    """The shorter one of the two ways from start to goal around the first disc on the straight
    line, or the line itself.

    A way is a tangent to the circle, an arc of it and a tangent to the goal. Where another disc
    lies on a tangent, the tangent is replaced by the shorter way around that one; a third disc is
    not looked at, so that with more than two the way may lead through one. Ways and lengths are
    continuous in the start but where both sides are as long.

    Args:
        start: Shape (2,).
        goal: Shape (2,), in no disc.
        discs: (c1, c2, r), shape (k, 3).
    """
    blocked, first = _first(start, goal, discs)
    ways = _around(start, goal, discs[first])
    others = discs.at[first, 2].set(0.0)
    # The tangents of both ways: two from the start, two to the goal.
    begins = jnp.concatenate([jnp.stack([start, start]), ways.leave])
    ends = jnp.concatenate([ways.touch, jnp.stack([goal, goal])])
    legs = jax.vmap(_past, in_axes=(0, 0, None))(begins, ends, others)
    longer = legs.length - length(ends - begins)
    lengths = ways.length + longer[:2] + longer[2:]
    side = jnp.argmin(lengths)
    straight = _straight(start, goal)
    return Way(
        jnp.where(blocked, lengths[side], straight.length),
        jnp.where(blocked, legs.heading[side], straight.heading),
    )


def _past(start: jax.Array, goal: jax.Array, discs: jax.Array) -> Way:
    """The shorter way around the first disc on the line alone."""
    blocked, first = _first(start, goal, discs)
    ways, straight = _around(start, goal, discs[first]), _straight(start, goal)
    side = jnp.argmin(ways.length)
    return Way(
        jnp.where(blocked, ways.length[side], straight.length),
        jnp.where(blocked, ways.heading[side], straight.heading),
    )


def _straight(start: jax.Array, goal: jax.Array) -> Way:
    far = length(goal - start)
    return Way(far, (goal - start) / jnp.where(far > 0, far, 1.0))


def _first(start: jax.Array, goal: jax.Array, discs: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Whether a disc lies on the straight line, and which one is the first."""
    way, offset = goal - start, discs[:, :2] - start
    square = jnp.sum(way * way)
    along = jnp.sum(offset * way, axis=1) / jnp.where(square > 0, square, 1.0)
    aside = length(offset - along[:, None] * way)
    blocks = (along > 0) & (along < 1) & (aside < discs[:, 2])
    return jnp.any(blocks), jnp.argmin(jnp.where(blocks, along, jnp.inf))


def _around(start: jax.Array, goal: jax.Array, disc: jax.Array) -> _Around:
    centre, radius = disc[:2], disc[2]
    sides = jnp.array([1.0, -1.0], start.dtype)
    a, b = start - centre, goal - centre
    tangent_a, tangent_b = (
        jnp.sqrt(jnp.maximum(jnp.sum(v * v) - radius**2, _SHORTEST**2)) for v in (a, b)
    )
    # Between the start, or the goal, and its point on the circle, as the centre sees them.
    angle_a, angle_b = jnp.arctan2(tangent_a, radius), jnp.arctan2(tangent_b, radius)
    between = jnp.arctan2(a[0] * b[1] - a[1] * b[0], jnp.sum(a * b))
    arc = jnp.maximum((sides * between) % (2 * jnp.pi) - angle_a - angle_b, 0.0)
    touch = jax.vmap(lambda side: _on_circle(a, side * angle_a, disc))(sides)
    leave = jax.vmap(lambda side: _on_circle(b, -side * angle_b, disc))(sides)
    leg = touch - start
    return _Around(
        tangent_a + tangent_b + radius * arc,
        leg / jnp.maximum(length(leg), _SHORTEST / 10)[:, None],
        touch,
        leave,
    )


def _on_circle(direction: jax.Array, angle: jax.Array, disc: jax.Array) -> jax.Array:
    """The point of the circle in a direction from the centre, turned by an angle."""
    away = direction / jnp.maximum(length(direction), _SHORTEST / 10)
    cos, sin = jnp.cos(angle), jnp.sin(angle)
    turned = jnp.stack([cos * away[0] - sin * away[1], sin * away[0] + cos * away[1]])
    return disc[:2] + disc[2] * turned
