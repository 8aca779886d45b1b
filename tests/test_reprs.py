"""`print` of the library's objects: one line, no arrays, whatever JAX has put into them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from volts import cart, claim, system

import safe_wrappers as sw
from safe_wrappers.certificates import Proof
from safe_wrappers.synthesis import SynthesisResult

SQUARE = sw.Polytope(np.concatenate([np.eye(2), -np.eye(2)]), np.ones(4))
PROOF = Proof("proved", 54, 7, 2.1e-3, 1.25, None, "every simplex keeps the margin")
LOST = Proof("inconclusive", 1, 1, float("nan"), 0.1, None, "words " * 50)
RESULT = SynthesisResult(SQUARE, np.zeros(2), 4.0, 1e-3, 12, 3.0, {})


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (cart(), "Model('cart', 2 states, 1 action from -12 to 12, 1 disturbance)"),
        (sw.Model("m", lambda x, a, w: x, 1, 2), "Model('m', 1 state, 2 actions, 0 disturbances)"),
        (sw.Box([-1.0, 0.0], [1.0, np.inf]), "Box(-1 .. 1, 0 .. inf)"),
        (SQUARE, "Polytope(4 facets in 2 dimensions)"),
        (sw.Zonotope([0.0, 0.0], np.ones((2, 3))), "Zonotope(3 generators in 2 dimensions)"),
        (PROOF, "Proof(proved with margin 0.0021, 54 cells, 1.25 s)"),
        (
            claim(cart()),
            "Claim('cart', 2 states, 1 action, 1 disturbance, 4 facets, sigma=0.0002)",
        ),
        (
            sw.Certificate(claim(cart()), "square"),
            "Certificate('square' of 'cart', 4 facets, no record of a proof)",
        ),
        (system(), "ModelSystem('cart', 2 states, 1 action, 4 facets)"),
        (
            RESULT,
            "SynthesisResult(4 facets in 2 dimensions, volume 4, margin 0.001, 12 iterations; "
            "not proved)",
        ),
        (
            sw.SafeActionSet.from_rows(jnp.ones((3, 2)), jnp.ones(3)),
            "SafeActionSet(3 rows in 2 actions)",
        ),
    ],
)
def test_one_line_says_what_it_is(value, text):
    assert repr(value) == text
    assert len(text) <= 100


@pytest.mark.parametrize(
    "value",
    [
        LOST,
        sw.Box.symmetric(np.arange(1.0, 60.0)),
        sw.Model("a name " * 40, lambda x, a, w: x, 1, 1),
        sw.models.enclosed(cart(), np.ones(2)),
    ],
)
def test_what_is_long_is_cut(value):
    assert len(repr(value)) <= 100
    assert "\n" not in repr(value)
    assert "array" not in repr(value)


def test_inside_jit_and_vmap_a_repr_raises_nothing():
    shown = []

    def look(box, polytope, rows):
        shown.extend(map(repr, (box, polytope, rows)))
        return box.lower

    rows = sw.SafeActionSet.from_rows(jnp.ones((3, 2)), jnp.ones(3))
    box = sw.Box(np.zeros(2, np.float32), np.ones(2, np.float32))
    jax.jit(look)(box, SQUARE, rows)
    batch = jax.tree.map(lambda leaf: np.stack([leaf, leaf]), (box, SQUARE, rows))
    shown += map(repr, batch)
    repr(jax.tree.map(lambda leaf: None, batch))
    assert all("\n" not in text for text in shown)
