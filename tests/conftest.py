"""The option `--record-counts FILE`, which writes how much the suites tried (see `counts.py`), and
rules that hold in whole folders of tests.
"""

import contextlib
import gc
import os
import shutil
import sys
import tempfile
from pathlib import Path

import counts
import jax
import pytest
from jax._src import xla_bridge

PROPERTY = "counts"
CACHE = "JAX_COMPILATION_CACHE_DIR"
CACHE_FROM = "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"  # quicker ones are not worth a file
QUIET = "3"  # of XLA's log: fatal errors alone
# Not the systems and the safeguards, whose tests load the bundled plants: Brax multiplies
# conditions with numbers when it reads a physics.
STRICT = {"sets", "solvers"}


def pytest_addoption(parser):
    parser.addoption(
        "--record-counts",
        type=Path,
        metavar="FILE",
        help="write how much the suites of hostile values, faults and forgeries tried, as JSON "
        "lines; suites that did not run keep their lines",
    )


def pytest_configure(config):
    share_compiled_programs(config)
    # JAX keeps millions of objects, and with Python's defaults (700, 10, 10) a quarter of the time
    # went into looking for garbage among them.
    gc.set_threshold(20_000, 20, 50)
    if config.getoption("--record-counts"):
        config.pluginmanager.register(Collector(config), "counts of the suites")


def share_compiled_programs(config):
    """A program that one test file compiled is not compiled again in another one, nor in another
    process of the same run: the cache lies in a folder that goes with the run.

    What is executed is what this compiler made in this run, as it is without a cache. Somebody who
    names a folder, `JAX_COMPILATION_CACHE_DIR=...`, keeps it between runs.
    """
    if CACHE not in os.environ:  # the processes that this one starts find it there
        folder = tempfile.mkdtemp(prefix="compiled-for-tests-")
        config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))
        config.add_cleanup(lambda: os.environ.pop(CACHE))
        os.environ[CACHE] = folder
        os.environ.setdefault(CACHE_FROM, "0.1")
        os.environ["TF_CPP_MIN_LOG_LEVEL"] = QUIET
        # Each of several processes would take three quarters of a GPU's memory.
        os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    # JAX was imported before, and read the environment then. XLA stays silent, which logs false
    # alarms for each cached program (see `_compilation_cache.py`); Python's loggers are as before.
    for level in ("CRITICAL", jax.config.values["jax_logging_level"]):
        jax.config.update("jax_logging_level", level)
    jax.config.update("jax_compilation_cache_dir", os.environ[CACHE])
    if CACHE_FROM in os.environ:
        seconds = float(os.environ[CACHE_FROM])
        jax.config.update("jax_persistent_cache_min_compile_time_secs", seconds)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    counts.recorded.clear()
    try:
        return (yield)
    finally:
        # A report travels from the process that ran the test to the one that writes the file.
        file = f"{item.path.parent.name}/{item.path.stem.removeprefix('test_')}"
        for entry in counts.recorded:
            entry["suite"] = entry["suite"] or file
            item.user_properties.append((PROPERTY, entry))


class Collector:
    """Reads the counts off the reports of all tests and writes them at the end."""

    def __init__(self, config):
        self.path, self.entries = config.getoption("--record-counts"), []
        self.writes = not hasattr(config, "workerinput")

    def pytest_runtest_logreport(self, report):
        if report.when == "call":
            self.entries += [entry for name, entry in report.user_properties if name == PROPERTY]

    def pytest_sessionfinish(self):
        if self.writes and self.entries:
            counts.write(self.path, self.entries)


@pytest.fixture(scope="module", autouse=True)
def strict_promotion(request):
    """In these folders no array is broadcast to more dimensions, or converted to another type,
    without being told.
    """
    with contextlib.ExitStack() as stack:
        if request.path.parent.name in STRICT:
            stack.enter_context(jax.numpy_rank_promotion("raise"))
            stack.enter_context(jax.numpy_dtype_promotion("strict"))
        yield


@pytest.fixture(autouse=True)
def default_device_alone(request, monkeypatch):
    """Tests of GPUs may not ask for the CPU by name: with JAX_PLATFORMS=cuda there is none."""
    if request.node.get_closest_marker("gpu"):
        get_backend = xla_bridge.get_backend

        def default_alone(platform=None):
            if platform == "cpu":
                raise RuntimeError("Unknown backend cpu")
            return get_backend(platform)

        monkeypatch.setattr(xla_bridge, "get_backend", default_alone)


@pytest.fixture(autouse=True)
def modules_of_one_test(tmp_path_factory):
    """A module that a test wrote and imported is forgotten with it: the next test of the same
    process may write another one of that name.
    """
    yield
    # Texts are compared, not paths: there are thousands of modules and of tests.
    written = f"{tmp_path_factory.getbasetemp()}{os.sep}"
    for name, module in list(sys.modules.items()):
        if (getattr(module, "__file__", None) or "").startswith(written):
            del sys.modules[name]
