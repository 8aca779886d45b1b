import numpy as np
import pytest

from safe_wrappers._records import write_record
from safe_wrappers.evaluation import MetricsWriter
from safe_wrappers.plots import learning_curve


def row(interactions, value, interventions, violations=0):
    return {
        "interactions": interactions,
        "eval/return": value,
        "training/interventions": interventions,
        "training/violations": violations,
    }


ROWS = [row(0, -2000.0, 0), row(100, -50.0, 80), row(200, -20.0, 90, 3)]


def test_it_shows_return_interventions_and_violations():
    figure = learning_curve(ROWS, title="a run", num_episodes=7, yardstick=-19.0)
    top, middle, bottom = figure.axes
    assert top.get_title() == "a run"
    assert "7 episodes" in top.get_ylabel()
    assert top.get_lines()[0].get_ydata().tolist() == [2000, 50, 20]
    assert top.get_ylim()[0] > top.get_ylim()[1]
    assert bottom.get_xlabel() == "environment interactions"
    assert middle.patches[0].get_data().values.tolist() == [80, 10]
    assert bottom.get_lines()[0].get_ydata().tolist() == [0, 0, 3]
    figure.canvas.draw()
    assert "\N{MINUS SIGN}1,000" in [label.get_text() for label in top.get_yticklabels()]


@pytest.mark.parametrize("values", [(-5.0, 3.0, 10.0), (0.0, 0.0, 0.0), (-1e9, -3.0, -1.0)])
def test_it_takes_returns_of_any_sign(values):
    rows = [row(100 * i, value, 0) for i, value in enumerate(values)]
    learning_curve(rows, yardstick=2.0).canvas.draw()


def test_without_a_yardstick_there_is_no_line():
    top = learning_curve(ROWS).axes[0]
    assert [line.get_label() for line in top.get_lines()] == ["SHAC"]


def test_what_progress_fn_is_called_with_is_enough():
    seen = []
    progress_fn = lambda *call: seen.append(call)  # noqa: E731
    for steps, value in ((0, -9.0), (64, -4.0)):
        progress_fn(steps, {"eval/episode_reward": value, "training/sps": 1.0})
    (top,) = learning_curve(seen, agent="PPO").axes
    assert top.get_lines()[0].get_xydata().tolist() == [[0, 9], [64, 4]]
    assert top.get_lines()[0].get_label() == "PPO"
    assert top.get_xlabel() == "environment interactions"
    metrics = [{**metrics, "training/env_steps": steps} for steps, metrics in seen]
    assert learning_curve(metrics).axes[0].get_lines()[0].get_xydata().tolist() == [[0, 9], [64, 4]]


def test_several_runs_are_their_median_and_a_band_of_80_percent_of_them():
    runs = np.arange(-11.0, 0.0)
    history = [
        (
            steps,
            {
                "eval/episode_reward": scale * runs,
                "training/interventions": steps * np.linspace(0, 1, 11),
                "training/violations": np.repeat([0, 1], [9, 2]) * (steps > 0),
            },
        )
        for steps, scale in ((0, 10.0), (100, 1.0))
    ]
    top, middle, bottom = learning_curve(history).axes
    assert top.get_lines()[0].get_xydata().tolist() == [[0, 60], [100, 6]]
    (band,) = top.collections
    assert sorted({y for x, y in band.get_paths()[0].vertices if x == 100}) == [2, 10]
    assert "of 11 runs" in top.get_legend().get_texts()[0].get_text()
    assert middle.patches[0].get_data().values.tolist() == [50]
    assert bottom.get_lines()[0].get_ydata().tolist() == [0, 2]


def test_the_folder_of_a_run_is_enough(tmp_path):
    with MetricsWriter(tmp_path / "metrics.csv", tmp_path / "tensorboard") as writer:
        for each in ROWS:
            writer.write(each["interactions"], each)
    assert len(learning_curve(tmp_path / "metrics.csv").axes[0].get_lines()) == 1
    write_record(tmp_path / "summary.json", {"lqr_return": -18.0, "evaluation_episodes": 128})
    top = learning_curve(tmp_path).axes[0]
    assert top.get_title() == tmp_path.name
    assert top.get_lines()[0].get_ydata().tolist() == [2000, 50, 20]
    assert top.get_lines()[1].get_ydata() == [18.0, 18.0]
    assert "128 episodes" in top.get_ylabel()
    (tmp_path / "summary.json").write_text('{"lqr_return": -18.0}')
    with pytest.raises(ValueError, match=r"summary.json cannot be read: it has no checksum; del"):
        learning_curve(tmp_path)
    (tmp_path / "summary.json").unlink()
    assert len(learning_curve(tmp_path).axes[0].get_lines()) == 1


@pytest.mark.parametrize(
    ("run", "error", "message"),
    [
        ("nowhere", FileNotFoundError, "must be the folder of a run with its metrics.csv"),
        ([], ValueError, "there are none; train with `num_evals=`"),
        ([(0, {"training/sps": 1.0})], ValueError, "there are none"),
        ([3], TypeError, "but one is a `int`"),
    ],
)
def test_what_is_no_training_is_refused(run, error, message):
    with pytest.raises(error, match=message):
        learning_curve(run)


def test_pyplot_is_left_alone():
    from matplotlib import pyplot

    before = pyplot.get_fignums()
    learning_curve(ROWS, yardstick=-1.0)
    assert pyplot.get_fignums() == before
