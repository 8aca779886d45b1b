"""A compiler that is known to be wrong is refused before anything is computed."""

import subprocess
import sys

import pytest

from safe_wrappers._compiler import require_right_compiler


def test_the_compiler_that_computes_wrong_rows_is_refused_by_name():
    with pytest.raises(ImportError, match=r"jaxlib 0\.10\.2: .*wrong rows.*pip install"):
        require_right_compiler("0.10.2")


@pytest.mark.parametrize("version", ["0.9.2", "0.10.1", "0.12.0.1"])
def test_others_pass(version):
    require_right_compiler(version)


def test_it_is_asked_on_import():
    """Also by somebody who forced the version past pip."""
    program = (
        "import jaxlib.version; jaxlib.version.__version__ = '0.10.2'\n"
        "try:\n    import safe_wrappers\n"
        "except ImportError as error:\n    print(error)"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert "cannot be used with jaxlib 0.10.2" in found.stdout, found.stderr
