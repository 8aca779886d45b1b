"""The option `--record-counts FILE`, which writes how much the suites tried (see `counts.py`), and
rules that hold in whole folders of tests.
"""

import contextlib
import sys
from pathlib import Path

import counts
import jax
import pytest

PROPERTY = "counts"
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
    if config.getoption("--record-counts"):
        config.pluginmanager.register(Collector(config), "counts of the suites")


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
def modules_of_one_test(tmp_path_factory):
    """A module that a test wrote and imported is forgotten with it: the next test of the same
    process may write another one of that name.
    """
    yield
    written = tmp_path_factory.getbasetemp()
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if file and written in Path(file).parents:
            del sys.modules[name]
