import jax.numpy as jnp
import numpy as np

from safe_wrappers.certificates._branch_and_bound import Search
from safe_wrappers.certificates._coverage import cover
from safe_wrappers.certificates._goal import Goal
from safe_wrappers.models import Model
from safe_wrappers.sets import Box, Polytope


def decide(model, *, w=0.02, max_cells=1000, max_depth=20):
    """The answer about the unit box."""
    n = model.state_size
    S = Polytope(*Box.symmetric(np.ones(n)).halfspaces())
    W = Box.symmetric(w * np.ones(model.disturbance_size))
    goal = Goal(S, Box.symmetric(1.1 * np.ones(n)), W, 2e-4, np.zeros(n))
    with np.errstate(all="ignore"):
        return Search(goal, model, cover(S, np.zeros(n))).run(max_cells, max_depth)


def test_a_function_that_is_undefined_in_the_set_is_not_proved():
    model = Model("pole", lambda x, a, w: 0.5 * x + 0.1 * a + w + 1e-9 * jnp.log(x + 0.5), 1, 1, 1)
    assert decide(model).status == "inconclusive"
