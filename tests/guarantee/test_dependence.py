"""What a block of a product set depends on is all that reaches it: the proof of a block puts the
other states at zero, so a path that is overlooked would be a false proof.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from guarantee.random_models import TERMS

from safe_wrappers import ModelError
from safe_wrappers.certificates import Block, Claim, prove
from safe_wrappers.certificates._enclosure import ModelEnclosure
from safe_wrappers.models import Model
from safe_wrappers.sets import Box, Polytope


@pytest.mark.parametrize("name", sorted(set(TERMS) - {"gather of NaN"}))
def test_a_value_depends_on_every_state_that_changes_it(name):
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (300, 2)).astype(np.float32)
    for i, j in ((0, 1), (1, 0)):

        def term(x, i=i, j=j):
            return TERMS[name](x, i, j, 1.3, 0.4)

        model = Model("term", lambda x, a, w, f=term: jnp.stack([f(x) + a[0], x[1]]), 2, 1, 0)
        try:
            found = ModelEnclosure(model, np.zeros(0)).dependence()[0]
        except ModelError:
            return
        before = jax.vmap(term)(x)
        for state in range(2):
            other = x.copy()
            other[:, state] = rng.uniform(-1, 1, len(x))
            if np.any(jax.vmap(term)(other) != before):
                assert state in found


PUSHES = {
    "a comparison": lambda x: jnp.where(x > 0.5, 0.6, 0.0),
    "a flag": lambda x: (x > 0.5) * 0.6,
    "a sign": lambda x: 0.6 * jnp.sign(x),
    "a branch": lambda x: jax.lax.cond(x > 0.5, lambda: 0.6, lambda: 0.0),
    "two conditions": lambda x: jnp.where((x > 0.5) & (x < 0.9), 0.6, 0.0),
    "a bend": lambda x: jax.nn.relu(x - 0.4),
    "a loop": lambda x: jax.lax.fori_loop(0, 3, lambda t, v: jnp.minimum(v, 0.3) + 0.1, x),
}


@pytest.mark.parametrize("push", PUSHES)
def test_a_block_that_is_pushed_by_another_state_alone_is_not_proved(push):
    def claim(push):
        def step(x, a, w):
            first = x[0] + push(x[1]) + 0.3 * a[0] + w[0]
            return jnp.stack([first, 0.5 * x[1] + 0.3 * a[1]])

        return Claim(
            Model("pushed", step, 2, 2, 1),
            safe_state_set=Polytope(np.concatenate([np.eye(2), -np.eye(2)]), np.ones(4)),
            constraint_set=Box.symmetric([1.1, 1.1]),
            disturbance_set=Box.symmetric([0.05]),
            blocks=(Block((0,), (0,)), Block((1,), (1,))),
        )

    assert not prove(claim(PUSHES[push]), max_cells=3_000).proved
    assert prove(claim(lambda x: 0.0), max_cells=3_000).proved
