import jax
import pytest

from safe_wrappers.cli import main

# Small enough to train in seconds, and three evaluations: before, in the middle, and at the end.
TINY = (
    *(
        "train",
        "safe_pendulum",
        "--num-timesteps",
        "64",
        "--num-envs",
        "4",
        "--horizon-length",
        "4",
    ),
    *("--episode-length", "16", "--num-evals", "3", "--seed", "5"),
)


CHANGED = (
    "jax_compilation_cache_dir",
    "jax_persistent_cache_min_compile_time_secs",
    "jax_logging_level",
)


@pytest.fixture(scope="session")
def compilation_cache(tmp_path_factory):
    """One cache for all tests, so that only the first training compiles."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def run_main(compilation_cache):
    """Runs the command line as a process would, and leaves JAX's configuration as it was."""

    def run(*args: object) -> int:
        before = {name: jax.config.values[name] for name in CHANGED}
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("XDG_CACHE_HOME", str(compilation_cache))
            try:
                return main([str(arg) for arg in args])
            finally:
                for name, value in before.items():
                    jax.config.update(name, value)

    return run


@pytest.fixture(scope="session")
def finished_run(run_main, tmp_path_factory):
    """The folder of a tiny finished training. Copy it before changing it."""
    folder = tmp_path_factory.mktemp("runs") / "finished"
    assert run_main(*TINY, "--logdir", folder) == 0
    return folder
