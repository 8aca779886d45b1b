import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import linprog

from safe_wrappers import CertificateError
from safe_wrappers.certificates import Block, Certificate, Claim, prove
from safe_wrappers.certificates._enclosure import ModelEnclosure
from safe_wrappers.certificates._product import candidates, reduction
from safe_wrappers.models import Model
from safe_wrappers.sets import Box, Polytope

FIRST, SECOND = BLOCKS = (Block((1,), (0,)), Block((0, 2), (1,)))
W = Box([-0.02, 0.0], [0.02, 0.01])


def coupled(state=0.05, action=0.05):
    """State 1 and action 0 form a block, the others another; the first feels the state 0, the
    second the action 0, as strongly as told.
    """

    def step(x, a, w):
        first = 1.1 * x[1] + state * jnp.sin(x[0]) + 0.4 * a[0] + w[0]
        second = 1.1 * x[0] + 0.05 * x[2] + action * jnp.cos(x[2]) * a[0] + 0.3 * a[1] + w[1]
        return jnp.stack([second, first, 0.5 * x[2] * x[0]])

    return Model("coupled", step, 3, 2, 2)


def certify(model, *, x_max=(1.1, 1.2, 1.3), H=None, blocks=BLOCKS, constraint_set=None):
    H = np.concatenate([np.eye(3), -np.eye(3)]) if H is None else H
    return Claim(
        model,
        safe_state_set=Polytope(H, np.ones(len(H))),
        constraint_set=constraint_set or Box.symmetric(x_max),
        disturbance_set=W,
        blocks=blocks,
    )


def largest_margin(claim, model, x):
    """max_a min_i [1 - max_w H_i f(x, a, w)] of the joint system, independently in float64."""
    with jax.enable_x64():
        c, B, E = (np.asarray(part) for part in model.affine(jnp.asarray(x)))
    H = np.asarray(claim.safe_state_set.H, np.float64)
    center, radius = (np.asarray(part, np.float64) for part in (W.center, W.radius))
    b = 1 - H @ c - H @ E @ center - np.abs(H @ E) @ radius
    program = linprog(
        [0, 0, -1],
        A_ub=np.column_stack([H @ B, np.ones(len(H))]),
        b_ub=b,
        bounds=[(-1, 1), (-1, 1), (None, None)],
    )
    return -program.fun


def test_a_product_is_proved_block_by_block():
    model = coupled()
    claim = certify(model)
    result = prove(claim)
    assert result.proved
    rng = np.random.default_rng(0)
    for x in [*claim.safe_state_set.vertices(), *rng.uniform(-1, 1, (50, 3))]:
        assert largest_margin(claim, model, x) >= result.margin - 1e-9


def test_dependence_is_that_of_the_operations():
    assert ModelEnclosure(coupled(), np.zeros(2)).dependence() == [
        (0, 2, 3, 4, 6),
        (0, 1, 3, 5),
        (0, 2),
    ]


@pytest.mark.parametrize(("block", "given", "opposed"), [(FIRST, [0], []), (SECOND, [], [0])])
def test_the_reduced_model_is_the_joint_one_whatever_the_arguments_left_out(block, given, opposed):
    model = coupled()
    goal, reduced = reduction(certify(model), block)
    states, actions = [*block.states, *given], [*block.actions, *opposed]
    assert (reduced.state_size, reduced.action_size, reduced.disturbance_size) == (
        len(states),
        len(block.actions),
        len(opposed) + 2,
    )
    rng = np.random.default_rng(0)
    with jax.enable_x64():
        for _ in range(20):
            x, a, w = (jnp.asarray(rng.uniform(-1, 1, size)) for size in (3, 2, 2))
            y = reduced.step(
                x[jnp.array(states)],
                a[jnp.array(actions)][:1],
                jnp.concatenate([a[jnp.array(actions)][1:], w]),
            )
            np.testing.assert_array_equal(
                y[: len(block.states)], model.step(x, a, w)[jnp.array(block.states)]
            )
            np.testing.assert_array_equal(y[len(block.states) :], 0)
    assert (
        np.asarray(goal.disturbance_set.lower).tolist()
        == [-1.0] * len(opposed) + np.asarray(W.lower, np.float64).tolist()
    )
    assert (
        np.asarray(goal.disturbance_set.upper).tolist()
        == [1.0] * len(opposed) + np.asarray(W.upper, np.float64).tolist()
    )


def test_the_reduced_set_holds_the_factor_and_all_that_x_allows_of_the_others():
    box = Box([-0.3, -1.2, -1.3], [0.7, 1.2, 1.3])
    H = np.concatenate([np.eye(3), -np.eye(3)]) / np.array([0.2, 1.0, 1.0])
    goal, _ = reduction(certify(coupled(), H=H, constraint_set=box), FIRST)
    S = goal.safe_state_set
    for corner in (
        [1.0, box.lower[0]],
        [1.0, box.upper[0]],
        [-1.0, box.lower[0]],
        [-1.0, box.upper[0]],
    ):
        assert np.all(np.asarray(S.H) @ np.asarray(corner, np.float64) <= 1)
    for beyond in ([1.001, 0.0], [0.0, 0.701], [0.0, -0.301]):
        assert np.any(np.asarray(S.H) @ np.array(beyond) > 1)
    assert np.asarray(goal.constraint_set.upper).tolist() == [pytest.approx(1.2), np.inf]


def test_a_coupling_that_is_too_strong_is_rejected_by_a_true_counterexample():
    model = coupled(state=0.5)
    claim = certify(model)
    result = prove(claim)
    assert result.status == "counterexample"
    x = result.counterexample
    assert np.max(np.abs(x)) <= 1
    # Constants of the program are float32 numbers, those of the reference are not.
    assert largest_margin(claim, model, x) == pytest.approx(result.margin, abs=1e-6)
    assert result.margin < 0


def test_a_state_without_safe_action_is_found_although_an_earlier_block_is_inconclusive():
    """X allows more of state 0 than the first block bears, S does not; with |state 2| <= 5 the
    second block runs away.
    """
    model, answers = coupled(state=0.3), []
    for reach in (1.0, 5.0):
        H = np.concatenate([np.eye(3), -np.eye(3)]) / np.array([1.0, 1.0, reach])
        claim = certify(model, H=H, x_max=(1.6, 1.2, 6.0))
        answers.append(prove(claim))
    assert [answer.status for answer in answers] == ["inconclusive", "counterexample"]
    assert abs(answers[1].counterexample[2]) == pytest.approx(5.0)
    assert largest_margin(claim, model, answers[1].counterexample) < 0


def test_a_set_that_is_safe_only_if_the_blocks_agree_is_inconclusive():
    """Against every action 0 the second block fails, but with action 0 at rest it does not."""
    model = coupled(state=0.0, action=0.5)
    claim = certify(model)
    for vertex in claim.safe_state_set.vertices():
        assert largest_margin(claim, model, vertex) > claim.sigma
    result = prove(claim)
    assert result.status == "inconclusive"
    assert not result.proved
    assert "refutes the blocks, not the set" in result.reason


def test_a_factor_outside_the_constraints_is_a_counterexample():
    result = prove(certify(coupled(), x_max=(1.1, 1.2, 0.9)))
    assert result.status == "counterexample"
    assert abs(result.counterexample[2]) > 0.9
    assert np.max(np.abs(result.counterexample)) <= 1


def test_limits_are_inconclusive_never_proved():
    model = coupled(state=0.3)
    assert prove(certify(model)).proved
    result = prove(certify(model), max_depth=0)
    assert result.status == "inconclusive"
    assert np.isnan(result.margin)


def test_candidates_combine_a_state_with_all_vertices_of_the_other_blocks():
    S = certify(coupled()).safe_state_set
    # the second number is a state that was given
    points = np.array(candidates(S, BLOCKS, FIRST, np.array([0.25, 99.0])))
    assert sorted(map(tuple, points.round(9).tolist())) == [
        (a, 0.25, b) for a in (-1.0, 1.0) for b in (-1.0, 1.0)
    ]


def test_a_needed_bound_that_x_does_not_give_is_asked_for():
    for constraint_set, message in (
        (Box.symmetric([np.inf, 1.2, 1.3]), "X must bound state 0 on both sides"),
        (Polytope(*Box.symmetric([1.1, 1.2, 1.3]).halfspaces()), "must be a box"),
    ):
        with pytest.raises(CertificateError, match=message):
            prove(certify(coupled(), constraint_set=constraint_set))


@pytest.mark.parametrize(
    ("blocks", "message"),
    [
        ((FIRST, Block((2,), (1,))), r"each of the 3 states once, but they hold \[\[1\], \[2\]\]"),
        ((FIRST, Block((0, 1, 2), (1,))), "each of the 3 states once"),
        ((FIRST, Block((0, 2), (0,))), "each of the 2 actions once"),
        (
            (FIRST, Block((0,), (1,)), Block((2,), ())),
            r"facet 0 = \[1\.  0\.  0\.5\] has entries in 2 blocks",
        ),
    ],
    ids=["missing state", "shared state", "missing action", "coupled facet"],
)
def test_blocks_that_are_not_those_of_the_set_are_refused(blocks, message):
    H = np.concatenate([np.eye(3), -np.eye(3)])
    H[0, 2] = 0.5
    with pytest.raises(CertificateError, match=message):
        certify(coupled(), blocks=blocks, H=H)


def test_blocks_round_trip_through_the_file(tmp_path):
    model = coupled()
    Certificate(certify(model), "product").save(tmp_path / "product.json")
    loaded = Certificate.load(tmp_path / "product.json", model).claim
    assert loaded.blocks == BLOCKS
    assert prove(loaded).proved
    alone = certify(model, blocks=())
    Certificate(alone, "alone").save(tmp_path / "alone.json")
    assert Certificate.load(tmp_path / "alone.json", model).claim.blocks == ()
    assert prove(alone).proved  # the same set by the ordinary proof
