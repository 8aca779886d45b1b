import jax
import jax.numpy as jnp
import numpy as np
import pytest

from safe_wrappers import ModelError
from safe_wrappers._errors import SetDimensionError
from safe_wrappers.envs.dynamics import pendulum
from safe_wrappers.models import Model
from safe_wrappers.sets import Box, Polytope
from safe_wrappers.synthesis import SynthesisError, SynthesisResult, _synthesise, synthesise

X, W = Box.symmetric(np.array([1.0, 1.5])), Box.symmetric(np.array([0.1]))


def drag_step(x, a, w):
    position, velocity = x
    velocity = velocity + 0.1 * (a[0] - 0.3 * velocity * jnp.abs(velocity) + w[0])
    return jnp.stack([position + 0.1 * velocity, velocity])


DRAG = Model("drag", drag_step, 2, 1, 1)


@pytest.fixture(scope="module")
def drag_result() -> SynthesisResult:
    return synthesise(DRAG, X, W, facets=8, seeds=2, progress=False)


def smallest_margin(next_state, S: Polytope, w_max: float, points_per_edge: int = 400) -> float:
    """The smallest best margin on the boundary of a planar S, by brute force: a grid of actions and
    both vertices of W.
    """
    H, vertices = np.asarray(S.H, np.float64), S.vertices()
    vertices = vertices[np.argsort(np.arctan2(vertices[:, 1], vertices[:, 0]))]
    fraction = np.linspace(0, 1, points_per_edge)[:, None, None]
    boundary = ((1 - fraction) * vertices + fraction * np.roll(vertices, -1, axis=0)).reshape(-1, 2)
    actions = np.linspace(-1, 1, 801)
    worst = np.stack(
        [next_state(boundary[:, None, :], actions[None, :], w) @ H.T for w in (-w_max, w_max)]
    ).max(axis=(0, -1))
    return float((1 - worst).max(axis=1).min())


def drag_next(x, a, w):
    velocity = x[..., 1] + 0.1 * (a - 0.3 * x[..., 1] * np.abs(x[..., 1]) + w)
    return np.stack([x[..., 0] + 0.1 * velocity, velocity], axis=-1)


def pendulum_next(x, a, w):
    velocity = x[..., 1] + 0.05 * (1.5 * 9.81 * np.sin(x[..., 0]) + 90.0 * a + w)
    return np.stack([x[..., 0] + 0.05 * velocity, velocity], axis=-1)


def test_a_double_integrator_with_drag(drag_result):
    S = drag_result.safe_state_set
    assert S.H.dtype == np.float32
    assert np.all(np.asarray(S.h) == 1)
    assert len(S.H) <= 8
    assert np.array_equal(S.H, np.concatenate([S.H[: len(S.H) // 2], -S.H[: len(S.H) // 2]]))
    assert np.all(np.abs(S.vertices()) <= [1.0, 1.5])
    # The largest invariant set has area 4.6 or a little more: parabolas of full braking cut the box
    # of area 6.
    assert drag_result.volume >= 4.3
    assert drag_result.volume == pytest.approx(S.volume(), rel=1e-5)
    margin = smallest_margin(drag_next, S, 0.1)
    assert margin >= 5e-4 - 1e-4  # the grid of actions costs a little
    assert drag_result.margin == pytest.approx(margin, abs=3e-4)


def test_the_pendulum_fills_its_state_box():
    x_max = np.array([np.pi, 8.0])
    result = synthesise(
        pendulum(),
        Box(-x_max, x_max),
        W,
        facets=6,
        seeds=1,
        margin=8e-4,
        disturbance_scale=1.2,
        progress=False,
    )
    assert result.volume >= 99.87
    assert len(result.safe_state_set.H) == 6
    assert np.all(np.abs(result.safe_state_set.vertices()) <= x_max)
    assert smallest_margin(pendulum_next, result.safe_state_set, 0.1) >= 4e-4 - 1e-4


def test_settings_reproduce_the_set(drag_result):
    again = synthesise(DRAG, X, W, progress=False, **drag_result.settings)
    assert np.array_equal(again.safe_state_set.H, drag_result.safe_state_set.H)


def test_more_facets_from_a_warm_start_lose_nothing(drag_result):
    more = synthesise(DRAG, X, W, facets=10, warm_start=drag_result.safe_state_set, progress=False)
    assert more.volume >= drag_result.volume * (1 - 1e-5)
    assert len(more.safe_state_set.H) <= 10


def test_unbounded_constraints_take_their_scale_from_the_regulator():
    result = synthesise(
        DRAG, Box.symmetric(np.array([1.0, np.inf])), W, facets=6, seeds=1, progress=False
    )
    assert np.abs(result.safe_state_set.vertices()[:, 0]).max() <= 1
    assert result.volume >= 4.0
    assert smallest_margin(drag_next, result.safe_state_set, 0.1) >= 4e-4


def test_a_model_without_symmetry_and_a_box_off_centre():
    def step(x, a, w):
        return drag_step(x, a + 0.2 * jnp.sin(x[0]) ** 2, w)

    model, box = Model("tilted", step, 2, 1, 1), Box(np.array([-1.0, -1.5]), np.array([0.5, 1.5]))
    with pytest.raises(ModelError, match=r"symmetric about `center`.* at x = .*symmetric=False"):
        synthesise(model, X, W, facets=8, symmetric=True, progress=False)
    with pytest.raises(
        SetDimensionError, match=r"state 1 may go from -1 to 0\.5 about .* can use 0\.5 to"
    ):
        synthesise(model, box, W, facets=8, symmetric=True, progress=False)
    result = synthesise(model, box, W, facets=7, seeds=1, progress=False)
    assert result.settings["symmetric"] is False
    vertices = result.safe_state_set.vertices()
    assert np.all(vertices >= [-1.0, -1.5])
    assert np.all(vertices <= [0.5, 1.5])
    assert vertices[:, 0].min() < -0.9
    assert (
        smallest_margin(
            lambda x, a, w: drag_next(x, a + 0.2 * np.sin(x[..., 0]) ** 2, w),
            result.safe_state_set,
            0.1,
        )
        >= 3e-4
    )


def test_two_inputs():
    def step(x, a, w):
        return 1.1 * x + 0.2 * a + w

    result = synthesise(
        Model("plane", step, 2, 2, 2),
        Box.symmetric(np.ones(2)),
        Box.symmetric(np.array([0.02, 0.02])),
        facets=4,
        seeds=1,
        progress=False,
    )
    assert result.volume == pytest.approx(4.0, rel=1e-3)
    assert result.margin > 0


def test_a_counterexample_becomes_a_sample(drag_result):
    settings = {
        **drag_result.settings,
        "counterexamples": np.array([[0.9, 0.4], [-0.5, 1.0]]),
        "seeds": 1,
    }
    result = synthesise(DRAG, X, W, progress=False, **settings)
    assert result.volume >= 4.0


def test_a_progress_bar_is_shown_on_request(capsys):
    synthesise(DRAG, X, W, facets=4, seeds=1, iterations=5)
    assert "drag" in capsys.readouterr().err
    synthesise(DRAG, X, W, facets=4, seeds=1, iterations=5, progress=False)
    assert capsys.readouterr().err == ""


def test_a_disturbance_stronger_than_the_action_has_no_set():
    with pytest.raises(SynthesisError, match=r"pushes 150% as hard .* no safe set"):
        synthesise(
            DRAG,
            X,
            Box.symmetric(np.array([1.5])),
            facets=6,
            seeds=1,
            iterations=20,
            progress=False,
        )


def test_a_model_that_cannot_be_stabilised_is_named():
    model = Model(
        "runaway", lambda x, a, w: jnp.stack([1.2 * x[0] + w[0], 0.5 * x[1] + a[0]]), 2, 1, 1
    )
    with pytest.raises(
        SynthesisError, match=r"state 1 grows by the factor 1\.2 a step, and no act"
    ):
        synthesise(model, X, W, facets=6, progress=False)


def test_a_model_that_is_not_affine_is_refused():
    model = Model("square", lambda x, a, w: x + a[0] * jnp.abs(a[0]) + w[0], 2, 1, 1)
    with pytest.raises(ModelError, match="affine"):
        synthesise(model, X, W, facets=6, progress=False)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"facets": 7}, "even and at least 4"),
        ({"facets": 2}, "even and at least 4"),
        ({"facets": 2, "symmetric": False}, "at least 3"),
        (
            {"constraint_set": Box.symmetric([1.0, 1.0, 1.0])},
            "`constraint_set` must have dimension 2",
        ),
        ({"constraint_set": Box([0.5, -1.0], [1.0, 1.0])}, "must lie strictly inside"),
        ({"center": np.zeros(3)}, "`center` must hold 2 finite numbers"),
        ({"disturbance_set": Box.symmetric([0.1, 0.1])}, "`disturbance_set` must have dimension 1"),
        (
            {"disturbance_set": Box([-0.1], [0.2]), "symmetric": True},
            "The disturbances must be symmetric",
        ),
        (
            {"warm_start": Polytope([[1.0, 0.0], [-1.0, 0.1], [0.0, 1.0], [0.0, -1.0]], [1.0] * 4)},
            "both signs",
        ),
        (
            {"warm_start": Polytope(np.concatenate([np.eye(3), -np.eye(3)]), np.ones(6))},
            "`warm_start` must have dimension 2",
        ),
    ],
)
def test_arguments_that_do_not_fit_are_named(change, message):
    arguments = {
        "constraint_set": X,
        "disturbance_set": W,
        "facets": 6,
        "progress": False,
        **change,
    }
    with pytest.raises(SetDimensionError, match=message):
        synthesise(DRAG, **arguments)


@pytest.mark.parametrize(("given", "used"), [(None, 1e-3), (0.0, 0.0), (0.01, 0.01)])
def test_a_margin_of_0_is_a_margin(given, used, monkeypatch):
    class Stop(Exception):
        pass

    def stop(problem, *_):
        raise Stop(problem.margin)

    monkeypatch.setattr(_synthesise, "Search", stop)
    with pytest.raises(Stop) as stopped:
        synthesise(DRAG, X, W, facets=6, margin=given, progress=False)
    assert stopped.value.args == (used,)


@pytest.mark.parametrize(
    ("X", "W", "name"),
    [((-1.0, 1.0), W, "constraint_set"), (X, ([-0.3], [0.3]), "disturbance_set")],
)
def test_sets_that_are_no_boxes_are_refused(X, W, name):
    with pytest.raises(TypeError, match=f"`{name}` is .*must be a `Box`.*; write `Box"):
        synthesise(DRAG, X, W, facets=6, progress=False)


def test_an_operation_that_no_proof_can_follow_is_found_before_the_search(monkeypatch):
    class Started(Exception):
        pass

    def start(*_):
        raise Started

    monkeypatch.setattr(_synthesise, "_problem", start)
    model = Model("erf", lambda x, a, w: drag_step(x, a, w) + jax.scipy.special.erf(x), 2, 1, 1)
    with pytest.raises(ModelError, match=r"No proof can follow the model 'erf': .*`erf`"):
        synthesise(model, X, W, facets=6, progress=False)
    with pytest.raises(Started):
        synthesise(model, X, W, facets=6, provable=False, progress=False)
    with pytest.raises(Started):
        synthesise(DRAG, X, W, facets=6, progress=False)


def test_the_synthesis_does_not_know_the_prover():
    import ast
    import pathlib

    import safe_wrappers.synthesis

    for path in pathlib.Path(safe_wrappers.synthesis.__path__[0]).glob("*.py"):
        modules = [
            node.module or ""
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.ImportFrom)
        ]
        assert not any("certificates" in module for module in modules), path
