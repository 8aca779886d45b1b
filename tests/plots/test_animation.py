import numpy as np
import pytest
from made_up_episodes import made_up_episodes
from pages import Page, loaded
from PIL import Image
from square_plant import env

import safe_wrappers as sw
from safe_wrappers._colors import BLUE, ORANGE, RED
from safe_wrappers.plots import save_gif, save_viewer
from safe_wrappers.plots._bodies import bodies_of


def frames(path):
    with Image.open(path) as gif:
        for i in range(gif.n_frames):
            gif.seek(i)
            yield np.asarray(gif.convert("RGB")).astype(int), gif.info["duration"]


def holds(image, color):
    wanted = np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)])
    return (np.abs(image - wanted).max(axis=-1) <= 12).sum() > 20


def test_a_plant_without_bodies_moves_through_its_plane(tmp_path):
    episodes = made_up_episodes(2)
    episodes.intervention[1, 2] = episodes.violation[3, 2] = 1
    assert save_gif(tmp_path / "a.gif", env, episodes, 2, title="a run")
    images = [image for image, _ in frames(tmp_path / "a.gif")]
    assert len(images) == 6
    assert all(np.any(a != b) for a, b in zip(images[1:], images, strict=False))
    # The colour of the state after each step.
    assert [holds(image, ORANGE) for image in images] == [False, False, True, False, False, False]
    red = [(np.abs(image - [192, 38, 45]).max(axis=-1) <= 12).sum() for image in images]
    assert np.argmax(red) == 4
    assert holds(images[0], BLUE)
    assert not holds(images[0], ORANGE)
    assert RED != ORANGE


def test_bodies_are_drawn_beside_the_plane(tmp_path):
    pendulum = sw.envs.get_environment("safe_pendulum", safe_set="narrow")
    q = np.linspace(0, 1, 241)[:, None, None]
    episodes = made_up_episodes(2, episodes=1, steps=240, q=q)
    assert save_gif(tmp_path / "a.gif", pendulum, episodes, 0)
    found = list(frames(tmp_path / "a.gif"))
    assert len(found) <= 80
    # 240 steps of 0.05 s last 12 s.
    assert sum(duration for _, duration in found[:-1]) == pytest.approx(12_000, rel=0.05)
    image = found[0][0]
    assert image.shape[1] > 1.5 * image.shape[0]
    assert np.any(found[0][0][:, :300] != found[-1][0][:, :300])


def test_one_state_without_bodies_has_no_picture(tmp_path):
    assert not save_gif(tmp_path / "a.gif", env, made_up_episodes(1), 0)
    assert not (tmp_path / "a.gif").exists()


def test_bodies_are_where_the_model_says():
    pendulum = sw.envs.get_environment("safe_pendulum")
    bodies = bodies_of(pendulum.sys, np.array([[0.0], [np.pi / 2]]))
    rod = [i for i, shape in enumerate(bodies.shapes) if len(shape.points) == 2]
    ends = [np.sort(bodies.points(frame, rod[0]), axis=0) for frame in (0, 1)]
    np.testing.assert_allclose(ends[0], [[0, 0, 0], [0, 0, 1]], atol=1e-6)
    np.testing.assert_allclose(ends[1], [[0, 0, 0], [1, 0, 0]], atol=1e-6)


def test_a_title_cannot_become_a_part_of_the_page(tmp_path):
    pendulum = sw.envs.get_environment("safe_pendulum")
    path = tmp_path / "viewer.html"
    save_viewer(path, pendulum.sys, np.zeros((3, 1)), title="</title><script>alert(1)</script>")
    page = path.read_text()
    assert page.count("<script>") == 1
    assert "&lt;script&gt;alert(1)" in page


def test_the_viewer_loads_nothing(tmp_path):
    path = tmp_path / "viewer.html"
    pendulum = sw.envs.get_environment("safe_pendulum")
    save_viewer(path, pendulum.sys, np.zeros((3, 1)))
    page = path.read_text()
    assert loaded(page) == []
    scripts = [attributes for tag, attributes in Page(page).tags if tag == "script"]
    assert scripts == [{}]  # one of its own, written out
