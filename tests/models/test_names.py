import jax.numpy as jnp
import numpy as np
import pytest
from volts import cart

import safe_wrappers as sw
from safe_wrappers import Box, Model, ModelError, SetDimensionError
from safe_wrappers.models import program_digest


def step(x, a, w):
    return x


@pytest.mark.parametrize(
    ("options", "sizes"),
    [
        ({"state_names": ("gap", "speed"), "action_names": ["force"]}, (2, 1)),
        ({"state_size": 3, "action_box": Box([-1.0, 0.0], [1.0, 2.0])}, (3, 2)),
        ({"state_size": 2, "state_names": ("gap", "speed"), "action_size": 1}, (2, 1)),
    ],
)
def test_sizes_follow_from_names_and_box(options, sizes):
    model = Model("m", step, **options)
    assert (model.state_size, model.action_size) == sizes
    assert model.disturbance_size == 0


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"action_size": 1}, ModelError, "give `state_size` or `state_names`"),
        ({"state_size": 1}, ModelError, "`action_size` or `action_names`"),
        (
            {"state_size": 3, "state_names": ("gap", "speed"), "action_size": 1},
            ModelError,
            "`state_size` says 3 and `state_names` says 2",
        ),
        (
            {"state_size": 2, "action_size": 2, "action_box": Box([-1.0], [1.0])},
            ModelError,
            "`action_size` says 2 and `action_box` says 1",
        ),
        ({"state_names": ("a", "a"), "action_size": 1}, ModelError, "different names"),
        ({"state_names": ("a",), "action_names": ("a",)}, ModelError, "different names"),
        ({"state_names": "gap", "action_size": 1}, TypeError, "a tuple of texts"),
        (
            {"state_names": ("gap",), "action_size": 1, "units": {"gab": "m"}},
            ModelError,
            "`units` names 'gab', which is no state and no action .* its names are 'gap'",
        ),
        ({"state_size": 1, "action_size": 1, "units": ["m"]}, TypeError, "dictionary of texts"),
        (
            {"state_size": 1, "action_box": ([-1], [1])},
            TypeError,
            r"`Box\(\[-12\.0\], \[12\.0\]\)`",
        ),
    ],
)
def test_contradictions_are_refused(options, error, message):
    with pytest.raises(error, match=message):
        Model("m", step, **options)


def test_labels_are_names_with_units_or_numbers():
    assert cart().state_labels == ("drift (m)", "speed (m/s)")
    assert cart().action_labels == ("voltage (V)",)
    plain = Model("m", step, 2, 1)
    assert plain.state_labels == ("state 1", "state 2")
    assert plain.action_labels == ("action 1",)


def test_a_model_is_called_in_natural_units_with_lists_and_checks_their_length():
    np.testing.assert_allclose(cart()([0, 0.5], [6.0], [0]), [0.025, 0.55], rtol=1e-6)
    np.testing.assert_allclose(
        cart().unit_step(*map(jnp.float32, ([0, 0.5], [0.5], [0]))), [0.025, 0.55], rtol=1e-6
    )
    with pytest.raises(SetDimensionError, match=r"one value per state variable \(drift \(m\), spe"):
        cart()([0.0], [6.0], [0.0])
    with pytest.raises(SetDimensionError, match=r"value per actuator \(voltage \(V\)\)"):
        cart()([0.0, 0.0], [6.0, 1.0], [0.0])
    with pytest.raises(SetDimensionError, match="The disturbance must have shape"):
        cart()([0.0, 0.0], [6.0], [])


def test_names_and_units_change_no_program_and_the_plain_box_neither():
    def move(x, a, w):
        return x + jnp.sin(x) * a[0] + w

    plain = Model("m", move, 2, 1, 2)
    named = Model(
        "m",
        move,
        disturbance_size=2,
        action_box=Box([-1.0], [1.0]),
        state_names=("gap", "speed"),
        units={"gap": "m"},
    )
    volts = Model("m", move, 2, 1, 2, action_box=sw.Box([-2.0], [1.0]))
    assert program_digest(plain) == program_digest(named)
    assert program_digest(plain) != program_digest(volts)
