"""One line on the terminal that says what a long computation is doing."""

import sys
from types import TracebackType

from tqdm import tqdm

_COLUMNS = 79  # fits into a terminal of 80 columns without a line break
_CLOCK = 10  # columns that the time taken needs, at most


class StatusLine:
    """A line on standard error that is written over, with the time since it was opened.

    Args:
        enabled: Whether anything is shown.
    """

    def __init__(self, enabled: bool):
        self._bar = tqdm(
            disable=not enabled,
            bar_format="{desc} [{elapsed}]",
            ncols=_COLUMNS,
            leave=False,
            mininterval=0.1,
        )

    def __enter__(self) -> "StatusLine":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.close()

    def show(self, text: str) -> None:
        """Replaces the line; what does not fit is cut off at its beginning, far from the news."""
        room = _COLUMNS - _CLOCK
        self._bar.set_description_str(
            text if len(text) <= room else f"...{text[3 - room :]}",
            refresh=self._bar.n == 0,  # the first at once, later ones ten times a second at most
        )
        self._bar.update()

    def leave(self, text: str) -> None:
        """Ends with a line that stays."""
        if not self._bar.disable:
            self._bar.close()
            print(text, file=sys.stderr)
