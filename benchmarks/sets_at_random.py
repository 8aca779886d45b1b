"""Random, harsh and needle-shaped safe action sets by the million: every executed action is checked
in float64, and no set that is known to hold a safe action may be called infeasible.

A needle has its rows near one line, so that the set is thin, with an action whose slack is at least
2 tau: twice of what the projection aims at, and what a certificate promises. Rows of random and
harsh sets have lengths from 1e-3 to 1e3. The request is uniform for the first two and a corner of
the box for needles.

    python benchmarks/sets_at_random.py --out benchmarks/results/sets_at_random.json
    python benchmarks/sets_at_random.py --actions 2 --random 0 --harsh 0 --needles 819200
"""

import argparse
import json
import platform
import time

import jax
import jax.numpy as jnp
import numpy as np

from safe_wrappers._margins import tau
from safe_wrappers.safe_actions import SafeActionSet
from safe_wrappers.safeguards import BoundaryProjection
from safe_wrappers.testing._action_sets import HARSH, harsh_sets, needles, product, random_sets

ROWS = {1: 8, 2: 12, 3: 14, 4: 16, 7: 22, 8: 24}
# Kinds of harsh sets whose middle has a slack that the draw knows.
_KNOWN = [HARSH.index(kind) for kind in ("near-parallel", "duplicate", "zero", "needle")]


@jax.jit
@jax.vmap
def verified(A, b, request, weight):
    """The whole call with its anchor, and its derivatives w.r.t. rows, offsets and request."""

    def call(A, b, request):
        output = BoundaryProjection()(SafeActionSet.from_rows(A, b), request)
        return output.action, (output.feasible, output.fallback)

    action, pullback, flags = jax.vjp(call, A, b, request, has_aux=True)
    finite = [jnp.all(jnp.isfinite(part)) for part in pullback(weight)]
    return action, *flags, jnp.stack(finite).all()


def drawn(rng, kind, n, d):
    """A float32 batch of one kind: A, b, requests, and which sets surely hold a safe action with
    twice the room that a map aims at.
    """
    m = ROWS[d]
    if kind == "needles":
        A, b, inner = needles(rng, n, d, m)
        request = rng.choice([-1.0, 1.0], (n, d))
        known = np.ones(n, bool)
    else:
        sets = random_sets if kind == "random" else harsh_sets
        state = rng.bit_generator.state
        A, b, request, rest = sets(rng, n, d, m)
        if kind == "random":
            inner, known = rest, np.ones(n, bool)
        else:
            # The middle is drawn first, and the same whatever breaks the set.
            again = np.random.default_rng()
            again.bit_generator.state = state
            inner, known = random_sets(again, n, d, m)[3], np.isin(rest, _KNOWN)
        length = 10 ** rng.uniform(-3, 3, b.shape)
        A, b = A * length[..., None], b * length
    A, b, request = (v.astype(np.float32) for v in (A, b, request))
    distance = distances(A, b, inner)
    return A, b, request, known & (distance >= 2 * tau(d, np.float32))


def distances(A, b, action):
    """The slack of the worst row as a distance, in float64, shape (n,); for a zero row it is b."""
    rows, offsets = A.astype(np.float64), b.astype(np.float64)
    length = np.linalg.norm(rows, axis=2)
    slack = offsets - product(rows, np.asarray(action, np.float64))
    return (slack / np.where(length > 0, length, 1)).min(axis=1)


def count(kind, d, n, batch, seed):
    """Counts over n sets of one kind, in batches."""
    rng = np.random.default_rng([seed, d, ("random", "harsh", "needles").index(kind)])
    counts = {
        "sets": 0,
        "known to be feasible": 0,
        "called infeasible of these": 0,
        "fallbacks of these": 0,
        "called feasible": 0,
        "violations of these": 0,
        "not finite": 0,
        "outside the box": 0,
    }
    worst = np.inf
    while counts["sets"] < n:
        A, b, request, known = drawn(rng, kind, batch, d)
        weight = rng.normal(size=request.shape).astype(np.float32)
        action, feasible, fallback, finite = jax.device_get(verified(A, b, request, weight))
        distance = distances(A, b, action)
        counted = (
            batch,
            known.sum(),
            (known & ~feasible).sum(),
            (known & fallback).sum(),
            feasible.sum(),
            (feasible & ~(distance >= 0)).sum(),
            (~(finite & np.isfinite(action).all(axis=1))).sum(),
            (np.abs(action) > 1).any(axis=1).sum(),
        )
        for name, more in zip(counts, counted, strict=True):
            counts[name] += int(more)
        worst = min(worst, float(distance[feasible].min(initial=np.inf)))
    return {"kind": kind, "actions": d, "rows": ROWS[d], **counts, "least distance": worst}


def main():
    """Prints one row per number of actions and kind."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--actions", nargs="+", type=int, default=[1, 2, 3, 4, 7], choices=ROWS)
    parser.add_argument("--random", type=int, default=1_000_000)
    parser.add_argument("--harsh", type=int, default=200_000)
    parser.add_argument("--needles", type=int, default=819_200)
    parser.add_argument("--batch", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", help="a JSON file for the counts")
    args = parser.parse_args()
    found = []
    for d in args.actions:
        for kind in ("random", "harsh", "needles"):
            if n := getattr(args, kind):
                start = time.time()
                found.append(count(kind, d, n, min(n, args.batch), args.seed))
                print(f"{found[-1]}, {time.time() - start:.0f} s", flush=True)
    if args.out:
        record = {
            "platform": f"{platform.machine()}, {jax.devices()[0].platform}, jax {jax.__version__}",
            "seed": args.seed,
            "counts": found,
        }
        with open(args.out, "w", encoding="utf-8") as file:
            json.dump(record, file, indent=1)
            file.write("\n")


if __name__ == "__main__":
    main()
