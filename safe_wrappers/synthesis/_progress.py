"""What a person sees while the synthesis runs."""

from tqdm import tqdm

from ._problem import Iterate


class Progress:
    """A progress bar that counts improvements of the set and shows its volume.

    Args:
        name: Name of the system.
        unit_volume: Volume of a unit cube of the scaled coordinates.
        enabled: Whether anything is shown.
    """

    def __init__(self, name: str, unit_volume: float, *, enabled: bool):
        self._unit_volume = unit_volume
        self._bar = tqdm(desc=name, unit=" steps", disable=not enabled)
        self._name = name

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *_) -> None:
        self._bar.close()

    def stage(self, text: str) -> None:
        """Names what is being done now."""
        self._bar.set_description(f"{self._name}: {text}")

    def report(self, iterate: Iterate) -> None:
        """Counts an accepted iterate."""
        self._bar.set_postfix_str(
            f"volume {iterate.volume * self._unit_volume:.4g}, violation "
            f"{max(iterate.violation, 0.0):.1e}",
            refresh=False,
        )
        self._bar.update()
