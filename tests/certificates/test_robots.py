"""The safe sets of the robots: proved again, as large as promised, and about the plants that are
written anew in NumPy.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from robot_plants import ROBOTS

import safe_wrappers as sw
from safe_wrappers.certificates import prove

# The least share of the constraint box.
SHARES = {
    ("safe_arm", "2_links"): 0.84,
    ("safe_arm", "3_links"): 0.83,
    ("safe_arm", "7_links"): 0.85,
    ("safe_quadrotor_3d", "wide"): 0.13,
}


@pytest.mark.parametrize(("system", "name"), ROBOTS)
def test_it_is_proved_again(system, name):
    certificate = sw.envs.load_certificate(system, name)
    assert certificate.name == name
    assert certificate.claim.model.name == system
    result = prove(certificate.claim)
    assert result.status == "proved", result.reason
    assert result.record._replace(program=certificate.record.program) == certificate.record
    assert certificate.record.is_of(result.record.program), (
        "run `python benchmarks/record_programs.py` under this version of JAX"
    )


@pytest.mark.parametrize(("system", "name"), ROBOTS)
def test_it_is_as_large_as_promised(system, name):
    """By 20,000 points of the constraint box, drawn here."""
    certificate = sw.envs.load_certificate(system, name)
    claim = certificate.claim
    assert certificate.metadata["share_of_constraints"] >= SHARES[system, name]
    H = np.asarray(claim.safe_state_set.H, np.float64)
    lower, upper = (
        np.asarray(end, np.float64)
        for end in (claim.constraint_set.lower, claim.constraint_set.upper)
    )
    points = np.random.default_rng(0).uniform(lower, upper, (20_000, len(lower)))
    share = np.mean((points @ H.T <= np.asarray(claim.safe_state_set.h)).all(axis=1))
    np.testing.assert_allclose(share, certificate.metadata["share_of_constraints"], atol=0.012)


@pytest.mark.parametrize(("system", "name"), ROBOTS)
def test_the_model_is_the_plant_written_anew(system, name):
    """In float64, over the whole constraint box and action box; the package's armatures are float32
    numbers, the plants' are not.
    """
    claim = sw.envs.load_certificate(system, name).claim
    rng, upper = np.random.default_rng(0), np.asarray(claim.constraint_set.upper, np.float64)
    x = rng.uniform(-upper, upper, (64, len(upper)))
    a = rng.uniform(-1, 1, (64, claim.model.action_size))
    w = rng.uniform(-0.5, 0.5, (64, claim.model.disturbance_size))
    with jax.enable_x64():
        stepped = jax.jit(jax.vmap(claim.model.unit_step))(*map(jnp.asarray, (x, a, w)))
    np.testing.assert_allclose(stepped, ROBOTS[system, name](x, a, w), rtol=0, atol=1e-6)


def test_a_set_of_other_links_is_refused():
    for links in (2, 3):
        with pytest.raises(sw.CertificateError, match=r"other parameters of 'safe_arm'.*links = "):
            sw.envs.certificate_of(sw.envs.get_model("safe_arm", links=links), "7_links")


@pytest.mark.parametrize(
    ("system", "name", "scale"),
    [
        ("safe_arm", "2_links", 0.9),
        pytest.param("safe_arm", "7_links", 0.8, marks=pytest.mark.slow),
    ],
)
def test_weaker_motors_are_not_proved(system, name, scale):
    """The same set, claimed of an arm whose motors give less."""
    claim = sw.envs.load_certificate(system, name).claim
    from safe_wrappers.envs import arm_dynamics

    design = arm_dynamics.DESIGNS[claim.model.action_size]
    weaker = arm_dynamics.planar_arm(
        "weaker",
        **design._replace(torque=tuple(scale * np.array(design.torque)))._asdict(),
    )
    result = prove(
        sw.Claim(
            weaker,
            safe_state_set=claim.safe_state_set,
            constraint_set=claim.constraint_set,
            disturbance_set=claim.disturbance_set,
            center=claim.center,
            sigma=claim.sigma,
            blocks=claim.blocks,
            virtual=claim.virtual,
        )
    )
    assert result.status != "proved"
