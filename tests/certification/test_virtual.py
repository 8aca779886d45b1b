"""`certify` for plants with virtual inputs, and for those with many states."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.linalg import expm
from virtual_plants import ARM_W, ARM_X, DRONE_V, DRONE_W, DRONE_X, arm, drone

import safe_wrappers as sw
from safe_wrappers.certificates import Block
from safe_wrappers.certification._authorities import largest_inputs, need
from safe_wrappers.certification._virtual import share_of_box


def certified(model, X, W, **options):
    return sw.certify(model, constraints=X, disturbances=W, progress=False, **options)


def chain(masses, dt=0.1):
    """Masses between springs, a motor at both ends: 2 n states that all move one another."""
    n = masses
    stiffness = 2 * np.eye(n) - np.eye(n, k=1) - np.eye(n, k=-1)
    motion = np.zeros((3 * n + 2, 3 * n + 2))
    motion[:n, n : 2 * n] = np.eye(n)
    motion[n : 2 * n, : 2 * n] = np.hstack([-4.0 * stiffness, -0.4 * stiffness])
    motion[n, 2 * n] = motion[2 * n - 1, 2 * n + 1] = 1.0
    motion[n : 2 * n, 2 * n + 2 :] = 0.02 * np.eye(n)
    found = expm(motion * dt)[: 2 * n].astype(np.float32)
    A, B, E = np.split(found, [2 * n, 2 * n + 2], axis=1)

    def step(x, a, w):
        return jnp.sum(A * x, axis=1) + jnp.sum(B * a, axis=1) + jnp.sum(E * w, axis=1)

    X = sw.Box.symmetric([0.6] * n + [0.8] * n)
    return sw.Model("chain", step, 2 * n, 2, n), X, sw.Box.symmetric([1.0] * n)


def test_an_arm_falls_into_its_joints():
    certificate = certified(arm(), ARM_X, ARM_W, name="arm")
    claim = certificate.claim
    assert [block.states for block in claim.blocks] == [(0, 2), (1, 3)]
    assert all(form.K is None for form in claim.virtual.forms)
    assert certificate.record is not None
    shares = [share_of_box(claim, block) for block in claim.blocks]
    assert certificate.metadata["share_of_constraints"] == pytest.approx(np.prod(shares), abs=1e-4)
    assert np.prod(shares) > 0.8


def test_a_drone_falls_into_climb_and_sideways_motion():
    certificate = certified(drone(), DRONE_X, DRONE_W, inputs=DRONE_V, factors=["gain", None])
    claim = certificate.claim
    assert [block.states for block in claim.blocks] == [(0, 2, 3), (1, 4)]
    sideways, climb = claim.virtual.forms
    assert sideways.A[2, 1] == pytest.approx(0.02 * 10.1, rel=0.03)
    assert climb.K is None
    assert certificate.metadata["share_of_constraints"] > 0.6
    assert sideways.K is not None


@pytest.mark.slow
def test_a_gain_keeps_less_of_the_drone_with_more_facets():
    certificate = certified(drone(), DRONE_X, DRONE_W, inputs=DRONE_V)
    by_gain = certified(drone(), DRONE_X, DRONE_W, inputs=DRONE_V, factors=["gain", None])
    assert certificate.claim.virtual.forms[0].K is None  # vertices, chosen without being asked for
    assert by_gain.claim.virtual.forms[0].K is not None
    assert by_gain.metadata["facets"] > certificate.metadata["facets"]
    assert by_gain.metadata["shares"][0] < certificate.metadata["shares"][0]


@pytest.mark.slow
def test_many_states_that_move_one_another_are_one_block():
    model, X, W = chain(3)
    certificate = certified(model, X, W)
    claim = certificate.claim
    (block,) = claim.blocks
    assert block.states == tuple(range(6))
    assert block.actions == (0, 1)
    system = sw.ModelSystem(certificate, state=lambda state: state)
    x = jax.jit(jax.vmap(system.sample_initial))(jax.random.split(jax.random.PRNGKey(0), 2000))
    # On the boundary, too, where the gain asks for all that the actuators have.
    x = x / (1 - jax.vmap(system.margin)(x))[:, None] * 0.99999
    guard = sw.BoundaryProjection()
    out = jax.jit(jax.vmap(lambda x: sw.safe_action(system, guard, x, jnp.ones(2))))(x)
    assert bool(out.feasible.all())
    anchors = jax.vmap(lambda x: system.safe_action_set(x).anchor)(x)
    assert float(jnp.abs(anchors).max()) > 0.99


def test_many_small_blocks_are_proved_one_by_one():
    """Six carts, twelve states: their product has 64 million vertices, which nobody lists."""

    def step(x, a, w):
        position, speed = jnp.split(x, 2)
        speed = speed + 0.1 * (a + w)
        return jnp.concatenate([position + 0.1 * speed, speed])

    model = sw.Model("carts", step, 12, 6, 6)
    X = sw.Box.symmetric([2.0] * 6 + [1.0] * 6)
    certificate = certified(model, X, sw.Box.symmetric([0.2] * 6))
    assert len(certificate.claim.blocks) == 6
    assert certificate.metadata["share_of_constraints"] > 0.5


def test_blocks_may_be_given():
    blocks = (Block((0, 2), (0,)), Block((1, 3), (1,)))
    certificate = certified(arm(), ARM_X, ARM_W, blocks=blocks, inputs=sw.Box.symmetric([3, 4]))
    assert certificate.claim.blocks == blocks


def test_the_largest_inputs_use_the_actuators_up():
    caps = np.array([1000.0, 1000.0])
    found = largest_inputs(need(arm(), ARM_X, np.ones(2)), caps)
    assert found is not None
    needed = need(arm(), ARM_X, found)
    reach = needed.matrix @ found + needed.offset
    assert 0.9 < reach.max() <= 0.98501


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"X": sw.Box.symmetric([2, 2, np.inf, 3])}, sw.SetDimensionError, "bound every state"),
        (
            {"X": sw.Polytope(np.vstack([np.eye(4), -np.eye(4)]), np.ones(8))},
            TypeError,
            "must be a `Box`",
        ),
        ({"W": sw.Box.symmetric([50.0, 0.5])}, sw.SynthesisError, "no set can be kept"),
        ({"model": arm(torque=(0.5, 0.1))}, sw.SynthesisError, "Lower the speed limits first"),
    ],
)
def test_plants_without_a_set_are_told_why(changes, error, message):
    arguments = {"model": arm(), "X": ARM_X, "W": ARM_W, **changes}
    with pytest.raises(error, match=message):
        certified(arguments["model"], arguments["X"], arguments["W"])


def test_states_that_no_input_moves_are_named():
    model = sw.Model(
        "drifting",
        lambda x, a, w: jnp.concatenate([x[:1] + 0.1 * a, 0.9 * x[1:]]),
        8,
        1,
        state_names=tuple("abcdefgh"),
    )
    with pytest.raises(sw.SynthesisError, match="No input moves the states b"):
        certified(
            model,
            sw.Box.symmetric(np.ones(8)),
            None,
            inputs=sw.Box.symmetric([1.0]),
        )
