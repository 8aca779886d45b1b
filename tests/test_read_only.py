import copy
import functools
import pickle

import numpy as np
import pytest

import safe_wrappers as sw
from safe_wrappers._read_only import ReadOnly, read_only

WAYS = pytest.mark.parametrize(
    "duplicate",
    [copy.copy, copy.deepcopy, lambda value: pickle.loads(pickle.dumps(value))],
    ids=["copy", "deepcopy", "pickle"],
)


class Kept(ReadOnly):
    def __init__(self, numbers):
        self.numbers, self.name = read_only(numbers), "kept"

    @functools.cached_property
    def total(self):
        return float(self.numbers.sum())


def require_read_only(array):
    assert not array.flags.writeable
    with pytest.raises(ValueError, match="cannot set WRITEABLE flag"):
        array.setflags(write=True)


@WAYS
@pytest.mark.parametrize("numbers", [np.arange(6.0).reshape(2, 3), np.zeros((0, 2), np.float32)])
def test_arrays_of_copies_are_read_only_and_caches_are_not_copied(duplicate, numbers):
    kept = Kept(numbers)
    assert kept.total == numbers.sum()
    found = duplicate(kept)
    assert set(vars(found)) == {"numbers", "name"}
    assert (found.name, found.total) == ("kept", kept.total)
    assert (found.numbers.dtype, found.numbers.shape) == (numbers.dtype, numbers.shape)
    np.testing.assert_array_equal(found.numbers, numbers)
    require_read_only(found.numbers)


@WAYS
def test_what_a_proof_speaks_about_cannot_be_changed_in_a_copy(duplicate):
    """A writable array of a claim would decide safety in memory."""
    claim = sw.envs.load_certificate("safe_cart_pole", "classic").claim
    found = duplicate(claim)
    assert (found.digest, found.program) == (claim.digest, claim.program)
    for array in (
        found.eps,
        found.gain,
        found.safe_state_set.H,
        found.disturbance_set.lower,
        found.constraint_set.upper,
    ):
        require_read_only(array)
    np.testing.assert_array_equal(found.safe_state_set.vertices(), claim.safe_state_set.vertices())
