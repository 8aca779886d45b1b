import numpy as np
import pytest

from safe_wrappers.plots import curve_grid

CURVE = np.array(
    [[0, -5000.0, -6000.0, -4000.0], [512, -7.0, -8.0, -6.5], [1024, -6.0, -6.5, -5.5]]
)
BETTER = CURVE * [1.0, 0.5, 0.5, 0.5]


def lines(ax):
    return {tuple(line.get_ydata()) for line in ax.lines}


def test_each_curve_has_a_picture_with_its_band_and_all_the_same_axes():
    figure = curve_grid({"a": CURVE, "b": BETTER}, title="two")
    first, second = figure.axes
    assert first.get_ylim() == second.get_ylim()
    assert lines(first) == {tuple(-CURVE[:, 1])}
    (band,) = first.collections
    heights = band.get_paths()[0].vertices[:, 1]
    assert (heights.min(), heights.max()) == (5.5, 6000.0)


def test_the_reference_and_the_curve_behind_are_in_every_picture():
    figure = curve_grid({"a": CURVE, "b": BETTER}, title="two", reference=-5.0, behind="b")
    first, second = figure.axes
    assert {(5.0, 5.0), tuple(-CURVE[:, 1]), tuple(-BETTER[:, 1])} == lines(first)
    assert {(5.0, 5.0), tuple(-BETTER[:, 1])} == lines(second)


def test_the_end_of_every_curve_is_in_the_picture_and_the_best_return_is_up():
    ax = curve_grid({"a": CURVE, "b": BETTER}, title="two", reference=-2.0).axes[0]
    low, high = ax.get_ylim()
    assert low > 6.5 > 2.75 > 2.0 > high
    assert low < 5000.0  # where nothing is learned yet


def test_pictures_that_are_not_needed_are_not_shown():
    figure = curve_grid({str(i): CURVE for i in range(5)}, title="five")
    assert sum(ax.get_visible() for ax in figure.axes) == 5


def test_positive_returns_are_drawn_as_they_are():
    ax = curve_grid({"a": CURVE * [1, -1, -1, -1]}, title="one").axes[0]
    assert ax.get_yscale() == "linear"


@pytest.mark.parametrize(("curves", "behind"), [({}, None), ({"a": CURVE}, "b")])
def test_what_is_missing_is_said(curves, behind):
    with pytest.raises(ValueError, match="at least one curve, and one with the title `behind`"):
        curve_grid(curves, title="none", behind=behind)


def test_every_column_says_its_interactions_at_its_lowest_picture():
    figure = curve_grid({str(i): CURVE for i in range(6)}, title="six")
    figure.draw_without_rendering()
    shown = [ax for ax in figure.axes if ax.get_visible()]
    labelled = [ax for ax in shown if ax.xaxis.get_tick_params()["labelbottom"]]
    assert labelled == shown[2:]
