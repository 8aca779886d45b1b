import jax.numpy as jnp
import numpy as np
import pytest
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from PIL import Image

import safe_wrappers as sw
from safe_wrappers.plots import chosen_states, draw_gradient, draw_mapping
from safe_wrappers.safeguards import NAMES

# a_1 <= 0.5 and a row at 45 degrees that meets it in the vertex (0.5, 0).
A, B = (
    np.array([[1.0, 0.0], [np.sqrt(0.5), np.sqrt(0.5)]], np.float32),
    np.array([0.5, np.sqrt(0.125)], np.float32),
)
WEDGE = sw.ExplicitSystem(
    action_size=2,
    rows=lambda x: (jnp.asarray(A), jnp.asarray(B)),
    margin=lambda x: 1 - jnp.abs(x[0]),
    sample_initial=lambda key: jnp.zeros(1),
    state=lambda state: state.obs,
    anchor=lambda x: jnp.zeros(2),
)


def written(run_main, folder, *args):
    """Runs the command and returns the size of the one picture that it wrote into the folder."""
    assert run_main("show", *args, "--output", folder) == 0
    (file,) = folder.iterdir()
    with Image.open(file) as image:
        image.verify()
        return file.name, image.size


def test_one_action_of_states_that_are_chosen(run_main, capsys, tmp_path):
    name, (width, height) = written(run_main, tmp_path, "safe_pendulum")
    assert name == "safe_pendulum_boundary_projection.png"
    assert capsys.readouterr().out == f"Wrote {tmp_path / name}.\n"
    assert width > 2 * height > 1000


@pytest.mark.slow
def test_two_actions_of_a_given_state_under_other_options(run_main, tmp_path):
    options = (
        "--safeguard",
        "ray_mask",
        "--mapping",
        "linear",
        "--center",
        "box",
        "--gradient",
        "blend",
    )
    name, _ = written(
        run_main,
        tmp_path,
        "safe_seeker",
        *options,
        "--state",
        "-7.9",
        "1",
        "-4",
        "-4",
        "2",
        "4",
        "4",
        "2.5e0",
    )
    assert name == "safe_seeker_ray_mask_linear_box_blend.png"


@pytest.mark.slow
@pytest.mark.parametrize("safeguard", NAMES)
@pytest.mark.parametrize(
    "system", [name for name in sw.envs.registered_names() if name != "safe_quadrotor_3d"]
)
def test_every_system_and_safeguard_has_a_picture(run_main, tmp_path, system, safeguard):
    assert (
        written(run_main, tmp_path, system, "--safeguard", safeguard)[0]
        == f"{system}_{safeguard}.png"
    )


def test_four_actions_have_no_picture(run_main, capsys):
    assert run_main("show", "safe_quadrotor_3d") == 2
    assert "drawn for one or two actions, but safe_quadrotor_3d has 4" in capsys.readouterr().err


def test_the_states_leave_the_safeguard_something_to_do():
    env = sw.envs.get_environment("safe_pendulum")
    states = chosen_states(env, (0.0, 0.35, 0.75))
    np.testing.assert_array_equal(states, chosen_states(env, (0.0, 0.35, 0.75)))
    requests = np.linspace(-1, 1, 201)
    for x, share in zip(states, (0.0, 0.35, 0.75), strict=True):
        assert env.system.margin(jnp.asarray(x)) >= 0
        rows, offsets = map(np.asarray, env.system.safe_action_set(jnp.asarray(x)).unit_rows())
        assert np.mean(np.any(rows * requests > offsets[:, None], axis=0)) == pytest.approx(
            share, abs=0.1
        )


def test_arrows_end_at_safe_actions_and_lost_gradients_are_coloured():
    """The projection onto the wedge: what is drawn is what it does."""
    ax, below = Figure().subplots(2, 1)
    arrows = draw_mapping(ax, WEDGE, sw.BoundaryProjection(), np.zeros(1, np.float32))
    starts = np.asarray(arrows.get_offsets())
    ends = starts + np.stack([arrows.U, arrows.V], axis=1)
    assert np.all(np.any(starts @ A.T > B, axis=1))
    assert np.all(ends @ A.T <= B + 1e-6)
    np.testing.assert_allclose(arrows.get_array(), np.linalg.norm(ends - starts, axis=1), atol=1e-6)

    image = draw_gradient(below, WEDGE, sw.BoundaryProjection(), np.zeros(1, np.float32))
    lost = np.asarray(image.get_array())
    first, second = np.meshgrid(*[(np.arange(len(lost)) + 0.5) / len(lost) * 2 - 1] * 2)
    active = (first > 0.5).astype(int) + (first + second > 0.5)
    clear = (np.abs(first - 0.5) > 0.02) & (np.abs(first + second - 0.5) > 0.02)
    outer = clear & (active == 0)
    np.testing.assert_allclose(lost[outer], 0, atol=1e-3)
    np.testing.assert_allclose(lost[clear & (first > 0.5) & (second < -0.02)], 0.5, atol=1e-3)
    np.testing.assert_allclose(
        lost[clear & (first > 0.5) & (second > 0.02) & (second < first - 0.52)], 1, atol=1e-3
    )
    (glyphs,) = (artist for artist in below.collections if isinstance(artist, LineCollection))
    spans = np.array([np.ptp(path, axis=0) for path in glyphs.get_segments()])
    # Circles, upright segments where the straight row is active, and points.
    assert {tuple(span) for span in (spans > 1e-4).astype(int)} == {(1, 1), (0, 1), (0, 0)}


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("show safe_pendulm", "unknown system 'safe_pendulm'; did you mean 'safe_pendulum'?"),
        ("show safe_pendulum --safeguard ray", "unknown safeguard 'ray'; did you mean 'ray_mask'?"),
        ("show safe_pendulum --safeguard none", "unknown safeguard 'none'"),
        (
            "show safe_pendulum --mapping linear",
            "'boundary_projection' got an unexpected keyword argument 'mapping'; its options are",
        ),
        (
            "show safe_pendulum --center box",
            "'boundary_projection' got an unexpected keyword argument 'center'; its options are",
        ),
        (
            "show safe_pendulum --safeguard ray_mask --mapping linar",
            "--mapping is 'linar', but it must be one of 'linear', 'hyperbolic'. Did you mean",
        ),
        (
            "show safe_pendulum --safeguard gauge_map --center orthogonal",
            "--center is 'orthogonal', but it must be one of 'chebyshev', 'analytic', 'box'.",
        ),
        (
            "show safe_pendulum --gradient inwards",
            "Did you mean 'inward'?",
        ),
        (
            "show safe_pendulum --safeguard ray_mask --gradient inward",
            "--gradient is 'inward', but it must be one of",
        ),
        ("show safe_pendulum --safe-set ful", "did you mean 'full'?"),
        ("show safe_pendulum --state 1", "--state must have 2 numbers, but it has 1."),
        (
            "show safe_pendulum --state 3 8",
            "--state must lie in the safe set, where the margin is "
            "at least 0, but its margin is -0.",
        ),
        ("show safe_pendulum --state nan 0", "but its margin is nan."),
        (
            "show safe_seeker --state -7 0 -3 0 3.9 3 0 2",
            "covers; this one is safe, but not covered: see SafeSeeker.admissible.",
        ),
        ("show safe_pendulum --state a b", "Error parsing --state"),
        (
            "show safe_pendulum --output picture.pdf",
            "--output must end in .png, but it is picture.pdf.",
        ),
        ("show safe_pendulum --output nowhere/picture.png", "folder that can be written to"),
        ("show safe_pendulum --outptu x", "unknown option '--outptu'; did you mean '--output'?"),
    ],
)
def test_a_wrong_argument_gets_one_line_and_exit_code_2(
    run_main, capsys, monkeypatch, tmp_path, command, message
):
    monkeypatch.chdir(tmp_path)
    assert run_main(*command.split()) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1
    assert printed.err.startswith("safe-wrappers: ")
    assert message in printed.err
    assert list(tmp_path.iterdir()) == []
