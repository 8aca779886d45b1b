import os
import stat

import jax
import pytest

from safe_wrappers import _compilation_cache
from safe_wrappers._compilation_cache import use_compilation_cache

CHANGED = (
    "jax_compilation_cache_dir",
    "jax_persistent_cache_min_compile_time_secs",
    "jax_logging_level",
)


@pytest.fixture
def caches(tmp_path, monkeypatch):
    before = {name: jax.config.values[name] for name in CHANGED}
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    jax.config.update("jax_compilation_cache_dir", None)
    yield tmp_path
    for name, value in before.items():
        jax.config.update(name, value)


def used():
    return jax.config.values["jax_compilation_cache_dir"]


@pytest.mark.parametrize("mode", [None, 0o755, 0o700])
def test_the_cache_is_for_its_user_alone(caches, mode):
    folder = caches / "safe-wrappers" / "jax"
    if mode is not None:
        folder.mkdir(parents=True)
        folder.chmod(mode)
    use_compilation_cache()
    assert used() == str(folder)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


@pytest.mark.parametrize("which", ["safe-wrappers", "safe-wrappers/jax"])
def test_a_folder_that_others_may_write_to_is_not_used(caches, which):
    (caches / "safe-wrappers" / "jax").mkdir(parents=True)
    (caches / which).chmod(0o777)
    with pytest.warns(UserWarning, match="not cached: .* others may write to .* XDG_CACHE_HOME"):
        use_compilation_cache()
    assert used() is None


def test_the_folder_of_another_user_is_not_used(caches, monkeypatch):
    monkeypatch.setattr(_compilation_cache.os, "getuid", lambda: os.geteuid() + 1)
    with pytest.warns(UserWarning, match="must belong to you, but the owner of"):
        use_compilation_cache()
    assert used() is None


def test_a_link_and_a_file_are_not_used(caches):
    (caches / "elsewhere").mkdir()
    (caches / "safe-wrappers").mkdir()
    (caches / "safe-wrappers" / "jax").symlink_to(caches / "elsewhere")
    with pytest.warns(UserWarning, match="must be a folder"):
        use_compilation_cache()
    (caches / "safe-wrappers" / "jax").unlink()
    (caches / "safe-wrappers" / "jax").write_text("")
    with pytest.warns(UserWarning, match="cannot be used: File exists"):
        use_compilation_cache()
    assert used() is None


def test_a_cache_that_jax_was_told_stays(caches):
    jax.config.update("jax_compilation_cache_dir", str(caches / "told"))
    use_compilation_cache()
    assert used() == str(caches / "told")
    assert list(caches.iterdir()) == []
