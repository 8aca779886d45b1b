"""Claims about models whose actions are volts: what is proved, stored and executed."""

import dataclasses

import jax
import numpy as np
import pytest
from volts import BOXES, cart, claim, ends, system, worst_speed

import safe_wrappers as sw
from safe_wrappers import CertificateError, ModelError
from safe_wrappers.certificates._derivative import require_one_derivative

COUNT = 4000


def cases(box, seed=0):
    """States of S, half of them near the limits of the speed, and requests around the box."""
    rng, (low, high) = np.random.default_rng(seed), ends(box)
    x = rng.uniform(-1, 1, (COUNT, 2))
    x[::2, 1] = rng.choice([-1, 1], COUNT // 2) * (1 - 10.0 ** rng.uniform(-7, -1, COUNT // 2))
    reach = high - low
    request = rng.uniform(low - 0.3 * reach, high + 0.3 * reach, (COUNT, 1))
    request[::5], request[1::5] = low, high
    return x.astype(np.float32), request.astype(np.float32)


@pytest.mark.parametrize("box", BOXES)
def test_the_claim_is_proved_whatever_the_units(box):
    found = claim(cart(box))
    proof = sw.prove(found)
    assert proof.proved, proof.reason
    np.testing.assert_allclose(
        found.model.affine(np.zeros(2, np.float32)).B, [[0], [0.1]], rtol=1e-3
    )


def test_the_allowance_covers_the_rounding_of_the_natural_action():
    """At 1,000 V a volt is 16,384 numbers of float32: half of one of them moves the speed."""
    rounding = np.spacing(np.float32(1e3)) / 2 * 0.1
    assert claim(cart("far from 0")).eps[1] >= rounding
    assert claim(cart("12 V")).eps[1] >= 5e-6


@pytest.mark.parametrize("box", BOXES)
def test_the_executed_number_keeps_the_next_state_inside(box):
    """In float64 from the equations, and in float32 by the model's own step in natural units."""
    low, high = ends(box)
    x, request = cases(box)
    plant, model = system(box), cart(box)
    protect = jax.jit(jax.vmap(lambda x, a: sw.safe_action(plant, sw.BoundaryProjection(), x, a)))
    output = protect(x, request)
    action = np.asarray(output.action)
    assert np.all(np.asarray(output.feasible & output.inside))
    assert np.all((action >= low) & (action <= high))
    assert np.all(worst_speed(box, x, action) <= 1)
    for w in (-1.0, 1.0):
        after = jax.jit(jax.vmap(lambda x, a, w=w: model.step(x, a, np.float32([w]))))(x, action)
        assert np.all(np.abs(np.asarray(after, np.float64)) <= 1)
    # Without the safeguard the clipped requests leave the set, so the test can fail.
    clipped = np.clip(request, np.float32(low), np.float32(high))
    assert np.mean(worst_speed(box, x, clipped) > 1) > 0.05


def test_a_certificate_remembers_the_action_box(tmp_path):
    found = claim(cart("12 V"))
    path = tmp_path / "cart.json"
    sw.Certificate(found, "volts", proof=sw.prove(found)).save(path)
    assert sw.Certificate.load(path, cart("12 V")).record is not None
    wider = dataclasses.replace(cart("12 V"), action_box=sw.Box([-24.0], [24.0]))
    with pytest.raises(CertificateError, match="is about another function of the name 'cart'"):
        sw.Certificate.load(path, wider)


@pytest.mark.parametrize("name", ["unit_step", "natural_action"])
def test_a_model_that_maps_actions_by_itself_is_refused(name):
    def own(self, *arguments):
        return getattr(super(kind, self), name)(*arguments)

    kind = type("Own", (sw.Model,), {name: own})
    model = kind("own", cart().step, 2, 1, 1, action_box=cart().action_box)
    with pytest.raises(ModelError, match=f"must leave `{name}` as `Model` defines it"):
        require_one_derivative(model, claim(cart()).safe_state_set, np.zeros(2))
