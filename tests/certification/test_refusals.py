"""What is refused, before the search where that is possible, and what the errors say."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import safe_wrappers as sw
from safe_wrappers import certification
from safe_wrappers.certification import _anneal, _certify


def step(x, a, w):
    speed = x[1] + 0.1 * (a[0] + w[0])
    return jnp.stack([x[0] + 0.1 * speed, speed])


CART = sw.Model("cart", step, 2, 1, 1)
X, W = sw.Box.symmetric([1.0, 1.0]), sw.Box.symmetric([0.1])


@pytest.fixture
def no_search(monkeypatch):
    """Whatever is refused has to be refused before the search."""

    def search(*_, **__):
        raise AssertionError("the search began")

    monkeypatch.setattr(_anneal, "synthesise", search)
    monkeypatch.setattr(_anneal, "largest_set", search)


def chain(axes):
    """Double integrators that do not touch each other."""

    def move(x, a, w):
        speed = x[axes:] + 0.05 * (2.0 * a + w)
        return jnp.concatenate([x[:axes] + 0.05 * speed, speed])

    return sw.Model("chain", move, 2 * axes, axes, axes)


def coupled(n):
    """A chain in which every state enters the next one."""

    def move(x, a, w):
        return jnp.concatenate([x[:-1] + 0.1 * x[1:], x[-1:] + 0.1 * (a + w)])

    return sw.Model("coupled", move, n, 1, 1)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"model": step}, TypeError, "`model` .* must be a `Model`"),
        ({"constraints": ([-1, -1], [1, 1])}, TypeError, r"sw\.Box\(\[-1\.0, -1\.0\], \[1\.0, 1"),
        ({"constraints": None}, TypeError, r"`constraints` .* is missing.* sw\.Polytope\(H, h\)"),
        ({"disturbances": ([-0.3], [0.3])}, TypeError, r"sw\.Box\(\[-0\.3\], \[0\.3\]\)"),
        ({"disturbances": None}, TypeError, r"for example, sw\.Box\.symmetric\(\[0\.1\]\)"),
        ({"disturbances": X}, sw.SetDimensionError, "has dimension 2, but the model `cart` has 1"),
        ({"disturbances": sw.Box.symmetric([np.inf])}, sw.SetDimensionError, "must be bounded"),
        ({"constraints": W}, sw.SetDimensionError, "has dimension 1, but the model `cart` has 2"),
        ({"center": [0.0]}, sw.SetDimensionError, "`center` must hold 2 finite numbers"),
        ({"center": [2.0, 0.0]}, sw.SetDimensionError, "must lie strictly inside"),
        ({"facets": 3}, sw.SetDimensionError, "`facets` must be at least 4"),
        ({"facets": 2.5}, TypeError, "`facets`"),
        ({"disturbance_scales": (1.0, 1.5)}, ValueError, "the largest first"),
        ({"disturbance_scales": (0.5,)}, ValueError, "at least 1"),
        (
            {"constraints": sw.Polytope([[1.0, 0.0], [-1.0, 0.0]], [-1.0, -1.0])},
            sw.SetDimensionError,
            "no ball fits",
        ),
    ],
)
@pytest.mark.usefixtures("no_search")
def test_arguments_that_do_not_fit(change, error, message):
    arguments = {"model": CART, "constraints": X, "disturbances": W, **change}
    with pytest.raises(error, match=message):
        sw.certify(arguments.pop("model"), **arguments, progress=False)


@pytest.mark.usefixtures("no_search")
def test_an_operation_without_a_proof_rule_is_named_before_the_search():
    def strange(x, a, w):
        return step(x, a, w) + 0.01 * jax.lax.erf(x)

    with pytest.raises(sw.ModelError, match="`erf`"):
        sw.certify(sw.Model("strange", strange, 2, 1, 1), constraints=X, disturbances=W)


@pytest.mark.usefixtures("no_search")
def test_too_many_states_are_counted_before_the_search():
    limits, push = sw.Box.symmetric([1.0] * 12), sw.Box.symmetric([0.1])
    with pytest.raises(sw.SynthesisError, match=r"12 states and 28 facets may have 94,962 vert"):
        sw.certify(coupled(12), constraints=limits, disturbances=push, facets=28)
    push = sw.Box.symmetric([0.1] * 6)
    with pytest.raises(sw.SynthesisError, match=r"6 blocks .* 64,000,000 vertices.*each block"):
        sw.certify(chain(6), constraints=limits, disturbances=push, facets=20)


@pytest.mark.usefixtures("no_search")
def test_a_plant_that_cannot_rest_has_no_safe_set():
    def rolling(x, a, w):  # the position grows by at least 0.5 a step
        return jnp.stack([x[0] + 1.0 + 0.5 * a[0], 0.5 * x[1] + w[0]])

    with pytest.raises(sw.SynthesisError, match=r"No state was found .* slowest motion .* 0\.5 a"):
        sw.certify(sw.Model("rolling", rolling, 2, 1, 1), constraints=X, disturbances=W)


def test_a_mode_that_grows_and_that_no_action_reaches_is_named():
    def growing(x, a, w):
        return jnp.stack([x[0] + 0.1 * (a[0] + w[0]), 1.05 * x[1]])

    model = sw.Model("growing", growing, 2, 1, 1, state_names=("angle", "heat"))
    skewed = sw.Polytope([[1.0, 1], [-1, -1], [1, -1], [-1, 1]], [1.0] * 4)
    with pytest.raises(sw.SynthesisError, match=r"heat grows by the factor 1\.05 .* no action"):
        sw.certify(model, constraints=skewed, disturbances=W, progress=False)


def test_a_disturbance_that_is_too_strong_is_compared_with_the_actions():
    with pytest.raises(sw.SynthesisError, match=r"state 2 .* pushes 120% as hard .* no safe set"):
        sw.certify(
            CART,
            constraints=X,
            disturbances=sw.Box.symmetric([1.2]),
            seeds=1,
            iterations=20,
            progress=False,
        )


def test_symmetry_that_is_asked_for_in_vain_names_what_would_be_lost():
    lopsided = sw.Box([-1.0, -2.0], [1.0, 3.0])
    with pytest.raises(sw.SetDimensionError, match=r"state 2 may go from -2 to 3 .* can use 2 to"):
        sw.certify(
            CART,
            constraints=lopsided,
            disturbances=W,
            center=[0.0, 0.0],
            symmetric=True,
            progress=False,
        )


@pytest.fixture
def wrong_search(monkeypatch):
    """A search that returns the constraints, and remembers the counterexamples."""
    told = []

    def search(model, constraint_set, disturbance_set, *, center, counterexamples, **_):
        told.append(len(counterexamples))
        H = np.array([[1.001, 0], [-1.001, 0], [0, 1.001], [0, -1.001]], np.float32)
        box = sw.Polytope(H, np.ones(4, np.float32))
        return sw.synthesis.SynthesisResult(box, np.zeros(2), box.volume(), 0.0, 1, 0.1, {})

    monkeypatch.setattr(_anneal, "synthesise", search)
    return told


def test_what_is_not_proved_is_not_returned_and_counterexamples_go_back(wrong_search):
    with pytest.raises(
        sw.NotProved, match=r"sets were found .* none is proved.*more `facets`"
    ) as e:
        sw.certify(CART, constraints=X, disturbances=W, rounds=2, progress=False)
    assert e.value.proof.status == "counterexample"
    assert not e.value.proof.proved
    assert e.value.claim.model is CART
    assert wrong_search[:2] == [0, 1]


def test_a_proof_that_gives_up_is_no_proof(monkeypatch):
    def prove(claim, *, max_cells):
        return sw.Proof("inconclusive", 0, 0, np.nan, 0.0, None, "More cells are needed.")

    monkeypatch.setattr(_anneal, "prove", prove)
    with pytest.raises(sw.NotProved, match=r"More cells are needed.*larger `max_cells`"):
        sw.certify(CART, constraints=X, disturbances=W, facets=6, progress=False)


def test_the_largest_proved_set_is_kept_if_a_bolder_search_is_refuted(monkeypatch):
    proved, claims = _anneal.prove, []

    def prove(claim, **limits):
        claims.append(claim)
        if len(claims) == 1:
            return proved(claim, **limits)
        return sw.Proof("inconclusive", 0, 0, np.nan, 0.0, None, "not this one")

    monkeypatch.setattr(_anneal, "prove", prove)
    certificate = sw.certify(CART, constraints=X, disturbances=W, facets=6, progress=False)
    assert len(claims) > 1
    assert certificate.claim is claims[0]


def test_nothing_here_is_left_out_of_the_package():
    assert certification.certify is sw.certify is _certify.certify
    assert certification.NotProved is sw.NotProved
