"""The derivatives of a safeguard: finite, consistent, and those that its gradient rule promises."""

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import jax
import numpy as np

from ..safe_actions import SafeActionSet
from ..safeguards import Exact, Safeguard, SafeguardOutput
from ._check_report import require_all

# Of central differences in float64, and where one-sided differences that disagree by more,
# relatively, show a kink.
_STEP, _KINK, _ERROR = 1e-6, 1e-3, 1e-6
# Kinks are this rare on random sets with random requests.
_KINKS = 0.02
_DIFFERENCES = 256  # at most so many sets


class Evaluation(NamedTuple):
    """A batch of calls with derivatives: the outputs, J t in forward mode (None if there is none),
    and J' g in reverse mode, w.r.t. (A, b, a).
    """

    output: SafeguardOutput
    pushed: np.ndarray | None
    pulled: tuple[np.ndarray, ...]


class Evaluator:
    """A safeguard on a batch of safe action sets with its derivatives along fixed random directions
    t and g, compiled once.

    Args:
        safeguard: The safeguard that is evaluated.
        shape: Shape of the rows A, (N, m, d).
        rng: Draws t and g.
    """

    def __init__(self, safeguard: Safeguard, shape: tuple[int, int, int], rng: np.random.Generator):
        n, m, d = shape
        self.tangents = tuple(
            rng.normal(size=size).astype(np.float32) for size in (shape, (n, m), (n, d))
        )
        self.cotangent = rng.normal(size=(n, d)).astype(np.float32)

        def call(anchor, A, b, a):
            output = safeguard(SafeActionSet(A, b, anchor), a)
            return output.action, output

        def forward(anchor, arguments, tangents):
            return jax.jvp(lambda *arguments: call(anchor, *arguments)[0], arguments, tangents)[1]

        def both(anchor, arguments, tangents, cotangent):
            pushed = forward(anchor, arguments, tangents) if self.has_forward_mode else None
            _, pullback, output = jax.vjp(
                lambda *arguments: call(anchor, *arguments), *arguments, has_aux=True
            )
            return Evaluation(output, pushed, pullback(cotangent))

        self.has_forward_mode = True
        try:
            jax.eval_shape(jax.vmap(forward), self.tangents[2], self.tangents, self.tangents)
        except TypeError:  # what JAX raises for a custom_vjp
            self.has_forward_mode = False
        self._both = jax.jit(jax.vmap(both))

    def __call__(
        self, A: np.ndarray, b: np.ndarray, anchor: np.ndarray, request: np.ndarray
    ) -> Evaluation:
        """NumPy arrays for sets of shapes (N, m, d), (N, m), (N, d) and requests (N, d)."""
        return jax.device_get(self._both(anchor, (A, b, request), self.tangents, self.cotangent))

    def check(
        self, A: np.ndarray, b: np.ndarray, request: np.ndarray, found: Evaluation, random: int
    ) -> None:
        """Checks that the derivatives are finite, and that both modes agree on the first `random`
        sets.
        """
        n, shown = len(A), {"A": A, "b": b, "request": request}
        values = found.pulled if found.pushed is None else (found.pushed, *found.pulled)
        finite = np.all([np.isfinite(value).reshape(n, -1).all(axis=1) for value in values], axis=0)
        must, instead = (
            "The derivatives of the executed action must be finite",
            "Look for a division or a root at 0 in a branch not taken: it needs a double "
            "jnp.where.",
        )
        require_all(finite, must, instead, **shown)
        if found.pushed is not None:
            one = np.einsum("nd,nd->n", self.cotangent, found.pushed, dtype=np.float64)
            terms = np.concatenate(
                [
                    (g.astype(np.float64) * t).reshape(n, -1)
                    for g, t in zip(found.pulled, self.tangents, strict=True)
                ],
                axis=1,
            )
            other = terms.sum(axis=1)
            # In float32 the derivative of a centre is worth its condition number, which shows in
            # the size of the terms that cancel; harsh sets are looked at for being finite alone.
            agree = (np.abs(one - other) <= 2e-3 * (1 + np.abs(terms).sum(axis=1))) | (
                np.arange(n) >= random
            )
            must = "Forward and reverse mode must give the same derivative, g' (J t) = (J' g)' t"
            require_all(
                agree,
                must,
                "Write derivative rules as `jax.custom_jvp` and let JAX transpose them.",
                **shown,
                forward=one,
                reverse=other,
            )


def check_gradient_rule(
    safeguard: Safeguard,
    A: np.ndarray,
    b: np.ndarray,
    anchor: np.ndarray,
    a: np.ndarray,
    rng: np.random.Generator,
) -> dict[str, float]:
    """Checks the derivatives against what the gradient rule promises, on sets with an interior;
    returns what was found.
    """
    A, b, anchor, a = (value[:_DIFFERENCES] for value in (A, b, anchor, a))
    return (
        _check_exact(safeguard, A, b, anchor, a, rng)
        if isinstance(safeguard.rule, Exact)
        else _check_rule(safeguard, A, b, anchor, a)
    )


def _action(safeguard: Safeguard) -> Callable:
    """(anchor, A, b, a) -> the executed action; the anchor is a constant for every safeguard's
    derivative.
    """
    return lambda anchor, A, b, a: safeguard(SafeActionSet(A, b, anchor), a).action


def _check_exact(
    safeguard: Safeguard,
    A: np.ndarray,
    b: np.ndarray,
    anchor: np.ndarray,
    a: np.ndarray,
    rng: np.random.Generator,
) -> dict[str, float]:
    """Against central differences in float64, w.r.t. the action and w.r.t. the rows."""
    with jax.enable_x64():
        arguments = tuple(np.asarray(value, np.float64) for value in (A, b, 0.99 * a))
        anchor = np.asarray(anchor, np.float64)
        action = jax.vmap(_action(safeguard))

        @jax.jit
        def differences(arguments, directions):
            moved = [
                action(
                    anchor,
                    *(value + step * t for value, t in zip(arguments, directions, strict=True)),
                )
                for step in (-_STEP, _STEP)
            ]
            middle, exact = jax.jvp(lambda *args: action(anchor, *args), arguments, directions)
            return (
                (moved[1] - moved[0]) / (2 * _STEP),
                (moved[0] + moved[1] - 2 * middle) / _STEP,
                exact,
            )

        errors, kinks = [], []
        for moves in ((0, 0, 1), (1, 1, 0)):
            directions = tuple(
                move * rng.normal(size=value.shape)
                for move, value in zip(moves, arguments, strict=True)
            )
            central, jump, exact = jax.device_get(differences(arguments, directions))
            scale = 1 + np.abs(central).max(axis=1)
            smooth = np.abs(jump).max(axis=1) < _KINK * scale
            error = np.where(smooth, np.abs(exact - central).max(axis=1) / scale, 0)
            must = (
                'With gradient="exact" the derivative w.r.t. the '
                f"{'action' if moves[2] else 'rows'} must be that of central differences, off kinks"
            )
            shown = {
                "A": A,
                "b": b,
                "request": 0.99 * a,
                "derivative": exact,
                "difference": central,
            }
            require_all(
                error <= _ERROR,
                must,
                "Let JAX differentiate `project`, or correct its derivative rule.",
                **shown,
            )
            must = f"The map must have kinks at {100 * _KINKS:g} % of random requests at most"
            require_all(
                smooth | (smooth.mean() >= 1 - _KINKS),
                must,
                "Look for rounding or for steps in `project`.",
                **shown,
            )
            errors.append(error.max())
            kinks.append((~smooth).mean())
    return {"largest relative error of a derivative": max(errors), "share of kinks": max(kinks)}


def _check_rule(
    safeguard: Safeguard, A: np.ndarray, b: np.ndarray, anchor: np.ndarray, a: np.ndarray
) -> dict[str, float]:
    """Against the value and the derivatives of the same safeguard with gradient="exact"."""
    rule = safeguard.rule

    def jacobians(safeguard):
        def value(b, a, A, anchor):
            return (_action(safeguard)(anchor, A, b, a),) * 2

        return jax.vmap(jax.jacrev(value, (0, 1), has_aux=True))

    both = jax.jit(
        lambda *args: [
            jacobians(guard)(*args)
            for guard in (safeguard, dataclasses.replace(safeguard, gradient=Exact()))
        ]
    )
    ((d_b, d_a), value), ((exact_b, exact_a), exact) = jax.device_get(both(b, a, A, anchor))
    shown = {"A": A, "b": b, "request": a}
    must = f'gradient="{rule.name}" must not change the executed action'
    require_all(
        (np.abs(value - exact) <= 1e-6).all(axis=1),
        must,
        "Look at the derivative rule's primal output.",
        **shown,
        action=value,
        exact=exact,
    )
    promised = [("rows", d_b, exact_b if rule.keeps_state else 0 * exact_b)]
    if rule.linearised is rule:
        promised += [("action", d_a, np.asarray(rule.jacobian(exact_a)))]
    errors = []
    for name, found, expected in promised:
        error = (np.abs(found - expected) / (1 + np.abs(expected))).reshape(len(a), -1).max(axis=1)
        must = (
            f'With gradient="{rule.name}" the derivative w.r.t. the {name} must be what the rule '
            "says"
        )
        require_all(
            error <= 1e-4,
            must,
            "See `Safeguard` for the rules.",
            **shown,
            derivative=found,
            expected=expected,
        )
        errors.append(error.max())
    return {"largest error of a derivative rule": max(errors)}
