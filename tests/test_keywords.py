"""Unknown keyword arguments are refused in Python's own words, which clients read."""

import gymnasium
import pytest

import safe_wrappers as sw
from safe_wrappers.safeguards import make_safeguard


@pytest.mark.parametrize("kind", [TypeError, ValueError, sw.UnknownOptionError])
def test_a_client_that_tries_a_keyword_learns_that_there_is_none(kind):
    """TorchRL makes an environment with `frameskip=1` first, and goes on without it only after
    this very text of a TypeError."""
    with pytest.raises(kind, match="got an unexpected keyword argument 'frameskip'"):
        gymnasium.make("SafeWrappers/Pendulum-v0", frameskip=1)
    with pytest.raises(kind, match="got an unexpected keyword argument 'frameskip'"):
        gymnasium.make_vec("SafeWrappers/Seeker-v0", num_envs=2, frameskip=1)


def test_the_error_names_what_there_is_and_the_nearest():
    with pytest.raises(sw.UnknownOptionError, match=r"'safe_st'; its options are 'safe_set'.*mean"):
        sw.envs.get_environment("safe_pendulum", safe_st="narrow")
    with pytest.raises(sw.UnknownOptionError, match="the safeguard 'ray_mask' got an unexpected"):
        make_safeguard("ray_mask", width=3)
    with pytest.raises(sw.UnknownOptionError, match="'width'; its options are 'gradient'"):
        make_safeguard("boundary_projection", width=3)
