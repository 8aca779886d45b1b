"""Random one-step models and claims about them, near the edge between true and false.

A model is x' = s (M x + sum of terms of the state) + B(x) a + t E(x) w, with the action and the
disturbance sent through random operations as well. The terms are written as users write them:
friction, stencils, look-ups, loops, mass matrices, derivatives declared by hand, and what the
prover must refuse.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import strategies as st

from safe_wrappers.models import Model
from safe_wrappers.sets import Box, Polytope


@jax.custom_jvp
def _squared(v):
    return v * v


_squared.defjvp(lambda primals, tangents: (_squared(*primals), 2 * primals[0] * tangents[0]))


@jax.custom_jvp
def _scaled_gradient(v):
    return v


_scaled_gradient.defjvp(lambda primals, tangents: (primals[0], 0.5 * tangents[0]))


@jax.custom_vjp
def _clipped_gradient(v):
    return v


_clipped_gradient.defvjp(lambda v: (v, None), lambda _, g: (jnp.clip(g, -1.0, 1.0),))

# Terms of the state: (x, i, j, p, q) -> scalar, with i, j < n, p in [0.3, 2], |q| <= 0.8.
TERMS = {
    "sin": lambda x, i, j, p, q: jnp.sin(p * x[i] + q),
    "product": lambda x, i, j, p, q: x[i] * x[j],
    "quotient": lambda x, i, j, p, q: x[i] / (2.5 + jnp.sin(x[j])),
    "tanh": lambda x, i, j, p, q: jnp.tanh(p * x[i]) * x[j],
    "exp": lambda x, i, j, p, q: jnp.exp(-x[i] * x[i]) * x[j],
    "log": lambda x, i, j, p, q: jnp.log(2.0 + x[i] * x[i]),
    "sqrt": lambda x, i, j, p, q: jnp.sqrt(1.5 + x[i] * x[j] * 0.5 + x[i] ** 2),
    "integer power": lambda x, i, j, p, q: (x[i] - q * x[j]) ** 3,
    "negative power": lambda x, i, j, p, q: (3.0 + x[i]) ** -2 * p,
    "pow": lambda x, i, j, p, q: (2.5 + x[i]) ** (0.5 + p),
    "pow of abs": lambda x, i, j, p, q: jnp.abs(x[i]) ** 1.5,
    "abs": lambda x, i, j, p, q: jnp.abs(x[i] - q),
    "drag": lambda x, i, j, p, q: jnp.abs(x[i]) * x[i],
    "sign": lambda x, i, j, p, q: 0.2 * jnp.sign(x[i]),
    "max": lambda x, i, j, p, q: jnp.maximum(p * x[i], q * x[j] + 0.1),
    "min": lambda x, i, j, p, q: jnp.minimum(x[i], q),
    "clip": lambda x, i, j, p, q: jnp.clip(p * x[i], -0.5, 0.4),
    "where": lambda x, i, j, p, q: jnp.where(x[i] > q, 0.3 * x[i], 0.1 * x[j]),
    "where and": lambda x, i, j, p, q: jnp.where((x[i] > q) & ~(x[j] > 0.5), 0.2, 0.1 * x[i]),
    "where of states": lambda x, i, j, p, q: jnp.where(x[i] > x[j], 0.1, -0.1) * x[i],
    "where of a value": lambda x, i, j, p, q: jnp.where(jnp.sin(p * x[i]) > q, 1e-5, 0.0),
    "condition as a number": lambda x, i, j, p, q: (x[i] > q) * 0.2,
    "cond": lambda x, i, j, p, q: jax.lax.cond(x[i] > q, lambda v: 0.2 * v, jnp.sin, x[j]),
    "relu": lambda x, i, j, p, q: jax.nn.relu(x[i] + q),
    "softplus": lambda x, i, j, p, q: jax.nn.softplus(x[i]),
    "atan2": lambda x, i, j, p, q: jnp.arctan2(x[i], 2.5 + x[j]),
    "hypot": lambda x, i, j, p, q: jnp.linalg.norm(jnp.append(x, 0.5)),
    "gather fill": lambda x, i, j, p, q: (
        x.at[jnp.array([i, len(x) + j])].get(mode="fill", fill_value=float(j)).sum()
    ),
    "gather clip": lambda x, i, j, p, q: x.at[len(x) + j].get(mode="clip"),
    "gather in bounds": lambda x, i, j, p, q: x.at[i].get(mode="promise_in_bounds"),
    "gather backwards": lambda x, i, j, p, q: x[-1 - i],
    "take with wrap": lambda x, i, j, p, q: jnp.take(x, jnp.array([i + 2 * len(x)]), mode="wrap")[
        0
    ],
    "gather of NaN": lambda x, i, j, p, q: x.at[len(x)].get(mode="fill") * 0.0,
    "dynamic slice": lambda x, i, j, p, q: jax.lax.dynamic_slice(x, (len(x) + i,), (1,))[0],
    "dynamic index": lambda x, i, j, p, q: x[(x[i] > q).astype(jnp.int32) * (len(x) - 1)],
    "scatter": lambda x, i, j, p, q: x.at[i].set(q * x[j])[j],
    "scatter-add": lambda x, i, j, p, q: x.at[jnp.array([i, i, 9])].add(p * x[j], mode="drop")[i],
    "scatter-mul": lambda x, i, j, p, q: x.at[i].multiply(p)[j],
    "scatter-max": lambda x, i, j, p, q: x.at[i].max(q)[j],
    "update slice": lambda x, i, j, p, q: jax.lax.dynamic_update_slice(x, p * x[:1], (9,))[i],
    "pad": lambda x, i, j, p, q: jnp.pad(x, (1, 1), constant_values=q)[i],
    "pad at the edge": lambda x, i, j, p, q: jnp.pad(x, 2, mode="edge")[i],
    "reshape": lambda x, i, j, p, q: jnp.tile(x, 2).reshape(2, -1).T.reshape(-1)[i],
    "roll": lambda x, i, j, p, q: jnp.flip(jnp.roll(x, j))[i],
    "cumsum": lambda x, i, j, p, q: jnp.cumsum(x)[i],
    "cumprod": lambda x, i, j, p, q: jnp.cumprod(1.0 + 0.2 * x)[i],
    "scan": lambda x, i, j, p, q: jax.lax.scan(lambda c, v: (0.5 * c + v * jnp.cos(c), c), x[j], x)[
        0
    ],
    "loop": lambda x, i, j, p, q: jax.lax.fori_loop(0, 3, lambda t, v: v + 0.1 * jnp.sin(v), x[i]),
    "matrix": lambda x, i, j, p, q: jnp.einsum("ij,j->i", jnp.eye(len(x)) * p + q, x)[i],
    "solve": lambda x, i, j, p, q: jnp.linalg.solve(_mass(x, i, q), jnp.append(x[j], q))[0],
    "cholesky": lambda x, i, j, p, q: jax.scipy.linalg.solve(
        _mass(x, i, q), jnp.append(x[j], 0.1), assume_a="pos"
    )[1],
    "integers": lambda x, i, j, p, q: jnp.sum(jnp.arange(3) * jnp.array([1, 0, 2])) * 0.1 * x[i],
    "integers wrap": lambda x, i, j, p, q: (jnp.array(50_000) * 50_000 % 7) * 0.1 * x[i],
    "cast of a flag": lambda x, i, j, p, q: (x[j] <= q).astype(jnp.float32) * 0.3,
    "cast to integer": lambda x, i, j, p, q: (3 * x[i]).astype(jnp.int32) * 0.1,
    "rounded": lambda x, i, j, p, q: jnp.round(2 * x[i]) * 0.1,
    "remainder": lambda x, i, j, p, q: (x[i] + 2.0) % 0.5,
    "bfloat16": lambda x, i, j, p, q: x[i].astype(jnp.bfloat16).astype(x.dtype),
    "float16": lambda x, i, j, p, q: (x[i] + jnp.float16(q)).astype(jnp.float16) * 1.0,
    "dtype branch": lambda x, i, j, p, q: x[i] * (0.3 if jnp.finfo(x.dtype).bits == 32 else 0.1),
    "tiny": lambda x, i, j, p, q: (x[i] * 1e-30) * 1e-12 * 1e38 * 1e4,
    "huge": lambda x, i, j, p, q: (x[i] * 1e25) * (1e25 + x[j]) * 1e-25 * 1e-25,
    "right derivative": lambda x, i, j, p, q: _squared(x[i]),
    "wrong derivative": lambda x, i, j, p, q: _scaled_gradient(p * x[i]),
    "clipped gradient": lambda x, i, j, p, q: _clipped_gradient(x[i]) * x[j],
    "sort": lambda x, i, j, p, q: jnp.sort(x)[i],
}
# Ways of the action and of the disturbance: (x, v, p, q) -> v, linear in v.
WAYS = {
    "plain": lambda x, v, p, q: v,
    "scaled by the state": lambda x, v, p, q: v * (1.0 + 0.3 * jnp.sin(p * x[0])),
    "divided by the state": lambda x, v, p, q: v / (1.5 + 0.4 * jnp.abs(x[-1])),
    "scatter-add": lambda x, v, p, q: jnp.zeros_like(v).at[jnp.arange(len(v))].add(v),
    "cumsum": lambda x, v, p, q: jnp.cumsum(v),
    "where": lambda x, v, p, q: jnp.where(x[0] > q, v, 0.7 * v),
    "solve": lambda x, v, p, q: jnp.linalg.solve(
        jnp.eye(len(v)) * (1.5 + 0.3 * x[0]) + 0.1 * jnp.ones((len(v), len(v))), v
    ),
    "loop": lambda x, v, p, q: jax.lax.fori_loop(0, 2, lambda t, u: u * (1.0 + 0.1 * x[0]), v),
    "gather fill": lambda x, v, p, q: v.at[jnp.arange(len(v) + 1)].get(mode="fill", fill_value=0)[
        : len(v)
    ],
    "wrong derivative": lambda x, v, p, q: _scaled_gradient(v),
    "clipped gradient": lambda x, v, p, q: _clipped_gradient(v),
    "bfloat16": lambda x, v, p, q: v.astype(jnp.bfloat16).astype(v.dtype),
    "stop_gradient": lambda x, v, p, q: 0.5 * v + 0.5 * jax.lax.stop_gradient(v),
    "not affine": lambda x, v, p, q: v * (1.0 + 0.05 * v),
}
# What has no rule, or no bound of its rounding: refused wherever it stands.
REFUSED_TERMS = {
    "bfloat16",
    "cast to integer",
    "cumprod",
    "dynamic index",
    "dynamic slice",
    "float16",
    "gather of NaN",
    "huge",
    "remainder",
    "rounded",
    "scatter-max",
    "scatter-mul",
    "sort",
    "tiny",
}
# What is not affine in action or disturbance, or whose derivative is not its own.
REFUSED_WAYS = {
    "bfloat16",
    "clipped gradient",
    "not affine",
    "stop_gradient",
    "wrong derivative",
}


class Structure(NamedTuple):
    """What a random model is made of: sizes, terms by name, ways by name, and a seed of numbers."""

    n: int
    d: int
    k: int
    terms: tuple[str, ...]
    action: str
    disturbance: str
    seed: int


def structures():
    """Structures of random models, most of them without what has to be refused.

    Hypothesis chooses the seed: its own choice of parts prefers the first of each list.
    """
    return st.integers(0, 2**32 - 1).map(_structure)


def _structure(seed):
    rng = np.random.default_rng(seed)
    n, d, k = (int(rng.integers(low, high)) for low, high in ((1, 4), (1, 3), (0, 3)))
    terms = tuple(_mostly(rng, TERMS, REFUSED_TERMS) for _ in range(rng.integers(1, 4)))
    ways = (_mostly(rng, WAYS, REFUSED_WAYS) for _ in range(2))
    return Structure(n, d, k, terms, *ways, seed)


def _mostly(rng, names, seldom):
    """One of the names, one time in nine one that is seldom."""
    known = sorted(set(names) - seldom)
    return str(rng.choice(known if rng.integers(9) else sorted(seldom)))


class Problem(NamedTuple):
    """A model and sets."""

    model: Model
    S: Polytope
    W: Box


def problem(structure):
    """The model of a structure with random numbers, a polytope and a box, scaled so that the least
    margin of an action is near 0 or well above, as the seed will have it.
    """
    rng = np.random.default_rng(structure.seed)
    n, d, k = structure.n, structure.d, structure.k
    parts = _parts(structure, rng)
    S = _polytope(n, rng)
    # The part of the room at the critical states that drift or disturbance take.
    taken = rng.choice([rng.uniform(0.3, 0.95), rng.uniform(0.95, 1.2)])
    with np.errstate(invalid="ignore"):  # some terms are not finite, to be refused
        drift, push = _scales(parts, S, (d, k), taken)

    def step(x, a, w):
        c, B, E = parts(x, a, w)
        return drift * c + B + push * E

    return Problem(Model("random", step, n, d, k), S, Box.symmetric(np.ones(k, np.float32)))


def _mass(x, i, q):
    return jnp.array([[2.0, 0.3], [0.3, 1.5]]) + 0.2 * x[i] * jnp.array([[1.0, 0.0], [0.0, q]])


def _parts(structure, rng):
    """The drift c(x) with c(0) = 0, B(x) a and E(x) w, as one function of (x, a, w)."""
    n, d, k = structure.n, structure.d, structure.k
    M = np.eye(n) * rng.uniform(0.4, 1.0) + 0.12 * rng.normal(size=(n, n))
    B = 0.25 * rng.normal(size=(n, d)) + 0.6 * np.eye(n, d)
    E = 0.3 * rng.normal(size=(n, k))
    M, B, E = (np.float32(matrix) for matrix in (M, B, E))
    chosen = [
        (
            TERMS[name],
            *(int(v) for v in rng.integers(n, size=2)),
            float(rng.uniform(0.3, 2.0)),
            float(rng.uniform(-0.8, 0.8)),
            np.float32(0.3 * rng.normal(size=n)),
        )
        for name in structure.terms
    ]
    p, q = float(rng.uniform(0.3, 2.0)), float(rng.uniform(-0.8, 0.8))

    def drift(x):
        c = M @ x
        for term, i, j, p, q, direction in chosen:
            c = c + term(x, i, j, p, q) * direction
        return c

    offset = np.asarray(drift(jnp.zeros(n, jnp.float32)), np.float32)
    offset = np.where(np.isfinite(offset), offset, 0.0).astype(np.float32)

    def parts(x, a, w):
        forced = B @ WAYS[structure.action](x, a, p, q)
        pushed = E @ WAYS[structure.disturbance](x, w, p, q) if k else jnp.zeros_like(x)
        return drift(x) - offset, forced, pushed

    return parts


def _polytope(n, rng):
    """A random polytope with the origin inside: 2, 6 or 8 facets for 1, 2 or 3 states."""
    H = np.concatenate([np.eye(n), -np.eye(n)]) * rng.uniform(0.7, 1.4, (2 * n, 1))
    if n > 1:
        extra = rng.normal(size=(2, n))
        extra = extra / np.linalg.norm(extra, axis=1, keepdims=True) / rng.uniform(0.9, 1.3, (2, 1))
        H = np.concatenate([H, extra])
    return Polytope(H.astype(np.float32), np.ones(len(H), np.float32))


def _scales(parts, S, sizes, taken):
    """Factors of drift and disturbance at which so much of the actions' room is taken."""
    H, vertices = np.asarray(S.H, np.float64), S.vertices()
    x = np.concatenate([vertices, 0.5 * (vertices + np.roll(vertices, 1, axis=0))])
    drift, forced, pushed = _forms(parts, x, *sizes)
    drift = np.nan_to_num(drift, posinf=1e30, neginf=-1e30)  # 0 times infinity is no number
    levels = np.linspace(-1, 1, 9)
    u = np.stack(np.meshgrid(*[levels] * forced.shape[2]), -1).reshape(-1, forced.shape[2])

    def least(s, t):
        worst = s * drift @ H.T + t * np.abs(np.einsum("mi,xik->xmk", H, pushed)).sum(axis=2)
        pull = np.einsum("mi,xid,ud->xmu", H, forced, u)
        return (1 - worst[:, :, None] - pull).min(axis=1).max(axis=1).min()

    room = least(1.0, 0.0)
    if sizes[1] and room > 0.05:
        wide = _bisected(lambda t: least(1.0, t) - (1 - taken) * room)
        return np.float32(1.0), np.float32(wide)
    s = _bisected(lambda s: least(s, 0.0) - (1 - taken) * least(0.0, 0.0))
    return np.float32(s), np.float32(0.01)


def _forms(parts, x, d, k):
    """c (states, n), B (states, n, d) and E (states, n, k), by differences, in float32."""
    x = jnp.asarray(x, jnp.float32)

    def at(a, w):
        return jax.vmap(lambda x: parts(x, a, w))(x)

    still, calm = jnp.zeros(d), jnp.zeros(k)
    c = np.asarray(at(still, calm)[0], np.float64)
    forced = [np.asarray(at(e, calm)[1], np.float64) for e in jnp.eye(d)]
    pushed = [np.asarray(at(still, e)[2], np.float64) for e in jnp.eye(k)]
    zeros = np.zeros((*c.shape, 0))
    return c, np.stack(forced, axis=-1), np.stack(pushed, axis=-1) if k else zeros


def _bisected(function):
    """Where the function falls through 0, between 0 and 8."""
    low, high = 0.0, 8.0
    for _ in range(30):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if function(middle) > 0 else (low, middle)
    return low
