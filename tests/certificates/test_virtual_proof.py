"""Proofs of sets in virtual inputs, and what must not be proved."""

import dataclasses
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from virtual_plants import (
    ARM_V,
    DRONE_BLOCKS,
    DRONE_V,
    DRONE_W,
    DRONE_X,
    JOINT,
    LATERAL,
    arm,
    arm_claim,
    arm_sets,
    drone,
    drone_claim,
    lateral_set,
)

import safe_wrappers as sw
from safe_wrappers.certificates import Block, Certificate, Claim
from safe_wrappers.models import Cascade

CLAIMS = {"arm": arm_claim, "drone": drone_claim}


@pytest.mark.parametrize("name", CLAIMS)
def test_the_sets_are_proved_part_by_part(name):
    claim = CLAIMS[name]()
    proof = sw.prove(claim)
    assert proof.proved, proof.reason
    assert proof.margin >= claim.sigma
    names = [part.name for part in proof.parts]
    assert any("brought about by an action" in part for part in names)
    assert sum("whatever the others do" in part for part in names) == len(claim.blocks)
    assert all(part.reserve is None or part.reserve >= 0 for part in proof.parts)


def mutants():
    """What is wrong with each claim, and a word of the answer."""
    weak = arm(torque=(8.0, 15.0))
    box = np.float32([[0.5, 0], [-0.5, 0], [0, 1 / 3], [0, -1 / 3]])
    wrong_slope = LATERAL.A.copy()
    wrong_slope[2, 1] = wrong_slope[0, 1] = 0.0
    steep = LATERAL.A.copy()
    steep[2, 1] *= 1.3
    strong = sw.Box.symmetric([0.3, 1.2])
    return {
        "weaker motors": (lambda: arm_claim(model=weak), "Action 0 may have to be"),
        "larger inputs": (
            lambda: arm_claim(V=sw.Box.symmetric([12.0, 40.0])),
            "Action 1 may have to be",
        ),
        "stronger wind": (lambda: arm_claim(W=strong), "an input keeps the margins"),
        "no braking": (lambda: arm_claim(sets=(box, arm_sets()[1])), "an input keeps the margins"),
        "smaller X": (
            lambda: arm_claim(X=sw.Box.symmetric([2.0, 2.0, 3.0, 2.5])),
            "state 1 stays in X",
        ),
        "larger set": (
            lambda: arm_claim(sets=tuple(0.99 * H for H in arm_sets())),
            "stays in X",
        ),
        "weaker inputs": (
            lambda: arm_claim(V=sw.Box.symmetric([2.0, 4.0])),
            "an input keeps the margins",
        ),
        "larger margin": (lambda: arm_claim(sigma=1e-3), "an input keeps the margins"),
        "no slope": (
            lambda: drone_claim(forms=(LATERAL._replace(A=wrong_slope), JOINT)),
            "keeps its margin",
        ),
        "steeper slope": (
            lambda: drone_claim(forms=(LATERAL._replace(A=steep), JOINT)),
            "keeps its margin",
        ),
        "other gain": (
            lambda: drone_claim(forms=(LATERAL._replace(K=-LATERAL.K), JOINT)),
            "keeps its margin|stays in V",
        ),
        "gain beyond V": (
            lambda: drone_claim(V=sw.Box.symmetric([1.5, 2.0])),
            "input 0 stays in V|keeps its margin",
        ),
        "more tilt": (
            lambda: drone_claim(X=sw.Box.symmetric([2.0, 2.0, 0.5, 1.5, 1.5])),
            "keeps its margin|Action",
        ),
        "more wind": (lambda: drone_claim(W=sw.Box.symmetric([0.5, 0.3])), "keeps its margin"),
        "larger admissible set": (
            lambda: drone_claim(sets=(0.99 * lateral_set(), drone_claim_climb())),
            "keeps its margin|stays in",
        ),
        "more thrust beside": (
            lambda: drone_claim(V=sw.Box.symmetric([3.5, 2.5])),
            "keeps its margin|Action",
        ),
        "narrower tilt": (
            lambda: drone_claim(X=sw.Box.symmetric([2.0, 2.0, 0.29, 1.5, 1.5])),
            "state 1 stays in X",
        ),
    }


def drone_claim_climb():
    claim = drone_claim()
    block = claim.blocks[1]
    return np.asarray(block.factor(claim.safe_state_set).H)


@pytest.mark.parametrize("name", mutants())
def test_a_mutant_is_not_proved(name):
    make, message = mutants()[name]
    proof = sw.prove(make())
    assert proof.status == "inconclusive"
    assert re.search(message, proof.reason), proof.reason


def test_too_small_an_allowance_is_not_proved():
    claim = drone_claim()
    smaller = Claim(
        claim.model,
        safe_state_set=claim.safe_state_set,
        constraint_set=claim.constraint_set,
        disturbance_set=claim.disturbance_set,
        sigma=claim.sigma,
        blocks=claim.blocks,
        virtual=claim.virtual,
        eps=claim.eps / 4,
        gain=claim.gain,
    )
    proof = sw.prove(smaller)
    assert proof.status == "inconclusive"
    assert "`eps` of facet" in proof.reason


def test_a_matrix_that_is_singular_somewhere_is_refused():
    """Nothing is said of rounding where the equations of motion have no solution."""
    parts = drone().virtual
    with pytest.raises((sw.ModelError, sw.CertificateError)):
        drone_claim(
            model=Cascade(
                "drone",
                parts.step,
                matrix=lambda x: jnp.diag(jnp.stack([x[2], jnp.ones_like(x[2])])),
                offset=parts.offset,
                action_box=drone().action_box,
                state_size=5,
                disturbance_size=2,
            )
        )


def test_an_offset_with_a_derivative_of_its_own_is_refused():
    @jax.custom_jvp
    def odd(x):
        return x

    odd.defjvp(lambda primals, tangents: (primals[0], 2 * tangents[0]))
    parts = drone().virtual
    forged = Cascade(
        "drone",
        lambda x, v, w: parts.step(x, odd(v), w),
        matrix=parts.matrix,
        offset=parts.offset,
        action_box=drone().action_box,
        state_size=5,
        disturbance_size=2,
    )
    with pytest.raises(sw.ModelError, match=r"custom_jvp|derivative"):
        sw.prove(drone_claim(model=forged))


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"blocks": ()}, Exception, "one form for each block|blocks"),
        ({"X": sw.Box.symmetric([2.0, 2.0, 0.3, np.inf, 1.5])}, sw.CertificateError, "finite"),
        ({"forms": (LATERAL,)}, Exception, "one form for each block|zip"),
        ({"forms": (LATERAL._replace(A=np.eye(2)), JOINT)}, sw.SetDimensionError, "`A`"),
        (
            {"blocks": (Block((0, 2), (1,)), Block((1, 3, 4), (0,)))},
            Exception,
            "block",
        ),
    ],
)
def test_claims_that_do_not_fit_together_are_refused(changes, error, message):
    if "blocks" in changes:
        claim = drone_claim()
        with pytest.raises(error, match=message):
            Claim(
                claim.model,
                safe_state_set=claim.safe_state_set,
                constraint_set=DRONE_X,
                disturbance_set=DRONE_W,
                blocks=changes["blocks"],
                virtual=claim.virtual,
            )
        return
    with pytest.raises(error, match=message):
        drone_claim(**changes)


def test_a_certificate_is_written_and_read_exactly(tmp_path):
    claim = drone_claim()
    proof = sw.prove(claim)
    path = tmp_path / "drone.json"
    Certificate(claim, "drone", proof=proof).save(path)
    read = Certificate.load(path, drone())
    assert read.claim.digest == claim.digest
    assert read.record == proof.record
    for form, other in zip(read.claim.virtual.forms, claim.virtual.forms, strict=True):
        for one, two in zip(form, other, strict=True):
            assert (one is None and two is None) or np.array_equal(one, two)
    assert sw.prove(read.claim).proved


def test_the_assumption_about_the_mass_matrix_is_named():
    claim = arm_claim()
    assert sw.prove(claim).proved
    system = sw.ModelSystem(claim, state=lambda state: state)
    assert system.guarantee.status == "proved"
    assert "positive semidefinite" in str(system.guarantee)
    claim = drone_claim()
    sw.prove(claim)
    assert "positive semidefinite" not in str(
        sw.ModelSystem(claim, state=lambda state: state).guarantee
    )


def test_another_form_is_another_claim():
    claim = arm_claim()
    other = arm_claim(V=sw.Box.symmetric([ARM_V[0], ARM_V[1] * 0.99]))
    assert claim.digest != other.digest
    assert dataclasses.asdict(claim.virtual.inputs)["upper"][0] == np.float32(ARM_V[0])


def test_margins_grow_with_what_rounding_needs():
    claim = arm_claim()
    assert np.all(claim.margins >= claim.sigma)
    assert claim.margins.max() > 2 * claim.eps.max()
    assert DRONE_BLOCKS[0].actions == (1,)
    assert DRONE_V.dim == 2
