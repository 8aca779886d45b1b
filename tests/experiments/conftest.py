import pytest

from safe_wrappers import experiments

from .tiny import STUDY


@pytest.fixture
def written(tmp_path):
    """Writes a study, in which texts can be replaced, and returns its file."""

    def write(*replaced):
        text = STUDY
        for old, new in replaced:
            assert old in text
            text = text.replace(old, new)
        path = tmp_path / "tiny.toml"
        path.write_text(text)
        return str(path)

    return write


@pytest.fixture
def study(written):
    return experiments.load_study(written())
