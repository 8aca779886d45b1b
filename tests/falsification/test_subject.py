"""What can be attacked, and errors that say what cannot."""

import pytest
from falsification.unsafe import CLAIM, ENV
from integrators import Integrator, system
from off_center import tank_claim

import safe_wrappers as sw
from safe_wrappers import BoundaryProjection, RayMask
from safe_wrappers.falsification._subject import subject_of


def test_the_safeguard_is_the_wrappers_or_the_one_that_is_given():
    wrapped = sw.SafeguardWrapper(ENV, RayMask())
    assert subject_of(wrapped, None, None).safeguard is wrapped.safeguard
    assert isinstance(subject_of(ENV, None, None).safeguard, BoundaryProjection)
    assert isinstance(subject_of(ENV, "ray_mask", None).safeguard, RayMask)
    assert subject_of(ENV, "none", None).safeguard is None
    with pytest.raises(ValueError, match="safeguarded already by RayMask; leave out `safeguard`"):
        sw.attack(wrapped, "none")
    with pytest.raises(ValueError, match="`safeguard` is 'ray', but it must be one of"):
        sw.soak(ENV, "ray", steps=1)
    with pytest.raises(TypeError, match="`safeguard` must be a safeguard or the name of one"):
        sw.attack(ENV, 3)


def test_the_judge_speaks_for_the_plant_and_not_for_the_safeguards_system():
    other = sw.SafeguardWrapper(ENV, BoundaryProjection(), system=sw.envs.SafePendulum().system)
    assert subject_of(other, None, None).judge.digest == CLAIM.digest
    assert subject_of(sw.envs.SafeSeeker(), None, None).judge.digest is None


def test_what_cannot_be_attacked_is_named():
    with pytest.raises(TypeError, match=r"must be a `ModelEnv` .* but it is a `Integrator`"):
        sw.attack(Integrator())
    wrapped = sw.SafeguardWrapper(Integrator(), BoundaryProjection(), system=system())
    with pytest.raises(TypeError, match="`SafeguardWrapper` around a `Integrator`"):
        sw.attack(wrapped)
    with pytest.raises(TypeError, match="it is a `Certificate`"):
        sw.soak(ENV.system.certificate, steps=1)
    with pytest.raises(TypeError, match="`claim` must be a `Claim` or a `Certificate`"):
        sw.attack(ENV, claim=ENV)
    with pytest.raises(ValueError, match=r"`claim` must be about .* \(2, 1, 1\), .* \(1, 1, 1\)"):
        sw.attack(ENV, claim=tank_claim())


@pytest.mark.parametrize(
    ("options", "said"),
    [({"budget": 0.0}, "budget"), ({"seed": -1}, "seed"), ({"max_steps": 0}, "max_steps")],
)
def test_options_out_of_range_are_refused(options, said):
    with pytest.raises(ValueError, match=said):
        sw.attack(ENV, **options)
    with pytest.raises(ValueError, match="steps"):
        sw.soak(ENV, steps=0)
