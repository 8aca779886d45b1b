"""Verified boundary projections per second, forward and backward, beside other differentiable QP
solvers.

Random sets, derivatives w.r.t. A, b and a, float32 (Moreau: float64, the only precision it offers).
The column of this library is the full call: unit rows, accept test, projection, accept test,
pull-back; the libraries solve the bare projection. The variants take turns and medians are
compared, so that a drift of the machine's speed cancels in the ratio. The gap is the largest
difference from this library's result: where it is above 1e-3, qpax did not converge in float32 for
a few of the problems. One core and one thread, or Moreau's idle threads slow down the others:

    pip install qpax cvxpylayers moreau  # as far as wanted; what is not installed is named as such
    export OMP_NUM_THREADS=1 RAYON_NUM_THREADS=1
    taskset -c 0 python benchmarks/projection.py
    taskset -c 0 python benchmarks/projection.py --actions 2 --rows 28 --batch 256 --repeats 200
"""

import argparse
import contextlib
import importlib.util
import itertools
import os
import platform
import statistics
import time

import jax
import jax.numpy as jnp
import numpy as np

from safe_wrappers.safe_actions import SafeActionSet
from safe_wrappers.safeguards import BoundaryProjection


def random_problems(rng, n, d, m):
    """Rows (n, m, d) of any length, offsets (n, m), requests (n, d) and interior points (n, d),
    float32.
    """
    A = rng.normal(size=(n, m, d))
    inner = rng.uniform(-0.7, 0.7, (n, d))
    b = np.einsum("nmd,nd->nm", A, inner) + rng.uniform(0.1, 1.5, (n, m)) * np.linalg.norm(
        A, axis=-1
    )
    return [v.astype(np.float32) for v in (A, b, rng.uniform(-1, 1, (n, d)), inner)]


def with_box(A, b):
    """The rows and those of the box [-1, 1]^d."""
    d = A.shape[-1]
    eye = jnp.eye(d, dtype=A.dtype)
    return jnp.concatenate([A, eye, -eye]), jnp.concatenate([b, jnp.ones(2 * d, A.dtype)])


def safe_wrappers_projection(d, m):
    """The verified call of this library."""
    return jax.vmap(
        lambda A, b, a, anchor: BoundaryProjection()(SafeActionSet(A, b, anchor), a).action
    )


def qpax_projection(d, m):
    """qpax, an interior point method in JAX."""
    import qpax

    def project(A, b, a, _):
        rows, offsets = with_box(A, b)
        return qpax.solve_qp_primal(jnp.eye(d), -a, jnp.zeros((0, d)), jnp.zeros(0), rows, offsets)

    return jax.vmap(project)


def moreau_projection(d, m):
    """cvxpylayers with the solver Moreau, an interior point method behind a callback."""
    import cvxpy
    from cvxpylayers.jax import CvxpyLayer

    x, A, b, a = cvxpy.Variable(d), cvxpy.Parameter((m, d)), cvxpy.Parameter(m), cvxpy.Parameter(d)
    problem = cvxpy.Problem(cvxpy.Minimize(cvxpy.sum_squares(x - a)), [A @ x <= b, x <= 1, x >= -1])
    layer = CvxpyLayer(problem, parameters=[A, b, a], variables=[x], solver="MOREAU")
    return lambda A, b, a, _: layer(A, b, a)[0]


SOLVERS = {
    "safe_wrappers": (safe_wrappers_projection, np.float32, ()),
    "qpax": (qpax_projection, np.float32, ("qpax",)),
    "cvxpylayers+moreau": (moreau_projection, np.float64, ("cvxpylayers", "moreau")),
}


@contextlib.contextmanager
def precision(dtype):
    """Switches 64-bit types for the whole process: the scoped switch of JAX does not reach the
    thread of Moreau's callback.
    """
    jax.config.update("jax_enable_x64", dtype == np.float64)
    yield
    jax.config.update("jax_enable_x64", False)


def gradient(solver, problems):
    """A compiled function without arguments: the projections of a batch and the gradient of a
    quadratic of them.
    """
    make, dtype, _ = SOLVERS[solver]
    A, b, a, anchor = (v.astype(dtype) for v in problems)

    def loss(A, b, a):
        x = project(A, b, a, anchor)
        return jnp.sum(x**2), x

    with precision(dtype):
        project = make(A.shape[2], A.shape[1])
        arguments = [jnp.asarray(v) for v in (A, b, a)]
        compiled = (
            jax.jit(jax.value_and_grad(loss, (0, 1, 2), has_aux=True)).lower(*arguments).compile()
        )

    def call(_alive=project):  # Moreau's callback refers to its layer weakly
        with precision(dtype):
            return jax.block_until_ready(compiled(*arguments))

    return call


def medians(functions, repeats):
    """Median seconds of each function; in every repeat each runs twice, in turn, and the second run
    counts: the first one warms the caches.
    """
    times = [[] for _ in functions]
    for _ in range(repeats):
        for function, record in zip(functions, times, strict=True):
            function()
            start = time.perf_counter()
            function()
            record.append(time.perf_counter() - start)
    return [statistics.median(record) for record in times]


def main():
    """Prints one row per number of actions, rows and problems."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--actions", nargs="+", type=int, default=[1, 2, 4, 8])
    parser.add_argument("--rows", nargs="+", type=int, default=[8, 24, 64])
    parser.add_argument("--batch", nargs="+", type=int, default=[8, 256, 4096])
    parser.add_argument("--solvers", nargs="+", default=list(SOLVERS), choices=list(SOLVERS))
    parser.add_argument("--repeats", type=int, default=30)
    args = parser.parse_args()
    installed = {
        name: all(importlib.util.find_spec(module) for module in SOLVERS[name][2])
        for name in args.solvers
    }

    device = jax.devices()[0]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    print(
        f"{platform.processor() or platform.machine()}, {cores} cores usable, "
        f"{device.device_kind}, jax {jax.__version__}; projections per second"
    )
    print("  d   m     B  unsafe  " + "".join(f"{name:>20}" for name in args.solvers) + "    gap")
    for d, m, n in itertools.product(args.actions, args.rows, args.batch):
        problems = random_problems(np.random.default_rng(0), n, d, m)
        functions = {name: gradient(name, problems) for name in args.solvers if installed[name]}
        seconds = dict(zip(functions, medians(list(functions.values()), args.repeats), strict=True))
        results = [np.asarray(function()[0][1]) for function in functions.values()]
        gap = max(float(np.abs(result - results[0]).max()) for result in results)
        unsafe = np.mean(np.abs(results[0] - problems[2]).max(axis=1) > 1e-4)
        columns = "".join(
            f"{n / seconds[name]:20,.0f}" if installed[name] else f"{'not installed':>20}"
            for name in args.solvers
        )
        print(f"{d:3d} {m:3d} {n:5d}  {unsafe:5.0%}  {columns} {gap:6.0e}", flush=True)


if __name__ == "__main__":
    main()
