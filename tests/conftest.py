"""The option `--record-counts FILE`: writes how much the suites tried (see `counts.py`)."""

from pathlib import Path

import counts
import pytest

PROPERTY = "counts"


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
