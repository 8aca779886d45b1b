"""What a person sees while the synthesis runs."""

from collections.abc import Callable

from ._problem import Iterate


class Progress:
    """Says in a line of text what the search is doing, and how large the set is.

    Args:
        show: What is done with the line.
        unit_volume: Volume of a unit cube of the scaled coordinates.
    """

    def __init__(self, show: Callable[[str], None], unit_volume: float):
        self._show, self._unit_volume = show, unit_volume
        self._stage, self._best = "", 0.0

    def stage(self, text: str) -> None:
        """Names what is being done now."""
        self._stage = text
        self._say()

    def report(self, iterate: Iterate) -> None:
        """Notes an accepted iterate."""
        if iterate.acceptable:
            self._best = max(self._best, iterate.volume * self._unit_volume)
        self._say()

    def _say(self) -> None:
        best = f"volume {self._best:.4g}" if self._best else "nothing yet"
        self._show(f"{self._stage}, {best}")
