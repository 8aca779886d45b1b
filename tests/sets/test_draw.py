import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib import pyplot
from matplotlib.figure import Figure
from scipy.spatial import ConvexHull

from safe_wrappers._errors import SetDimensionError
from safe_wrappers.sets import Box, Polytope, Zonotope, draw, outline

BOX = Box([-1.0, -2.0, -3.0], [1.0, 2.0, 4.0])


@pytest.mark.parametrize(
    "body",
    [BOX, Polytope(*BOX.halfspaces()), Zonotope(BOX.center, np.diag(BOX.radius))],
    ids=["box", "polytope", "zonotope"],
)
def test_the_outline_is_closed_counterclockwise_and_follows_the_axes(body):
    polygon = outline(body, (2, 0))
    assert polygon.shape == (5, 2)
    np.testing.assert_array_equal(polygon[0], polygon[-1])
    assert {tuple(np.round(p, 6)) for p in polygon} == {(-3, -1), (-3, 1), (4, -1), (4, 1)}
    area = 0.5 * np.sum(polygon[:-1, 0] * polygon[1:, 1] - polygon[1:, 0] * polygon[:-1, 1])
    assert area == pytest.approx(14)


@given(seed=st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=20)
def test_the_outline_is_the_hull_of_the_projected_vertices(seed):
    zonotope = Zonotope(np.zeros(4), np.random.default_rng(seed).normal(size=(4, 6)))
    hull = ConvexHull(zonotope.vertices()[:, [3, 1]])
    for body in (zonotope, zonotope.to_polytope()):
        polygon = outline(body, (3, 1))
        assert len(polygon) == len(hull.vertices) + 1
        assert ConvexHull(polygon).volume == pytest.approx(hull.volume)


@pytest.mark.parametrize("axes", [(0, 0), (0, 3), (-1, 0), (0, 1, 2)])
def test_axes_must_be_two_coordinates(axes):
    with pytest.raises(
        SetDimensionError, match="`axes` must be two different indices from 0 to 2, but they are"
    ):
        outline(BOX, axes)


def test_unbounded_sets_are_refused_only_where_they_are_drawn():
    box = Box([-1.0, -1.0, -np.inf], [1.0, 1.0, np.inf])
    assert len(outline(box, (0, 1))) == 5
    with pytest.raises(SetDimensionError, match="The box must be bounded"):
        outline(box, (0, 2))
    with pytest.raises(SetDimensionError, match="The polytope must be bounded"):
        outline(Polytope([[1.0, 0.0], [-1.0, 0.0], [0.0, -1.0]], [1.0, 1.0, 0.0]))


def test_flat_sets_are_refused():
    with pytest.raises(
        SetDimensionError,
        match=r"must have an interior in the coordinates \(0, 1\), but it is flat there",
    ):
        outline(Box([0.0, -1.0], [0.0, 1.0]))
    with pytest.raises(SetDimensionError, match="The generators must span all 2 dimensions"):
        outline(Zonotope(np.zeros(3), np.eye(3)[:, 1:]))


def test_draw_fills_the_outline_with_a_solid_edge():
    ax = Figure().subplots()
    assert draw(BOX, ax, axes=(0, 2), color="red", label="X") is ax
    (polygon,) = ax.patches
    np.testing.assert_array_equal(polygon.get_xy(), outline(BOX, (0, 2)))
    assert polygon.get_label() == "X"
    assert polygon.get_facecolor() == (1.0, 0.0, 0.0, 0.2)
    assert polygon.get_edgecolor() == (1.0, 0.0, 0.0, 1.0)


def test_the_style_wins():
    ax = Figure().subplots()
    draw(BOX, ax, facecolor="none", edgecolor="lime", linewidth=3)
    draw(BOX, ax, alpha=0.5)
    outlined, pale = ax.patches
    assert outlined.get_facecolor()[3] == 0
    assert outlined.get_edgecolor() == (0.0, 1.0, 0.0, 1.0)
    assert outlined.get_linewidth() == 3
    assert pale.get_facecolor()[3] == 0.5


def test_the_current_axes_are_the_default(monkeypatch):
    ax = Figure().subplots()
    monkeypatch.setattr(pyplot, "gca", lambda: ax)
    assert draw(BOX) is ax
    assert len(ax.patches) == 1
