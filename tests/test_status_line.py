import pytest

from safe_wrappers._status_line import StatusLine


def test_the_news_at_the_end_of_a_long_line_stays_visible(capsys):
    with StatusLine(True) as line:
        line.show(f"a simulator with a {'very ' * 20}long name: volume so far 4.25")
    shown = capsys.readouterr().err
    assert "name: volume so far 4.25 [00:00]" in shown
    assert "a simulator" not in shown
    assert max(map(len, shown.split("\r"))) < 80


@pytest.mark.parametrize("enabled", [True, False])
def test_lines_that_stay_and_silence(capsys, enabled):
    with StatusLine(enabled) as line:
        line.show("searching")
        line.leave("12 facets")
    printed = capsys.readouterr().err
    assert ("searching" in printed) == ("12 facets\n" in printed) == enabled
