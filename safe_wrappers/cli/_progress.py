"""The progress bar of a training, with a clock that runs while programs are compiled."""

import sys
import threading

from tqdm import tqdm

from ..evaluation import Row

_BAR = "{percentage:3.0f}%|{bar}| {elapsed}{postfix}"  # short: it must fit 80 columns
_STOPPING = "stopping at the next checkpoint; Ctrl-C again to stop at once"
_TICK = 1.0  # s


class Progress:
    """A bar over the interactions of a training.

    Args:
        total: Interactions of the whole run.
    """

    def __init__(self, total: int):
        self._bar = tqdm(total=total, bar_format=_BAR)
        self._ended = threading.Event()
        # A file or a pipe would get a line for every tick.
        self._clock = threading.Thread(target=self._tick, daemon=True)
        self._ticks = sys.stderr.isatty()

    def __enter__(self) -> "Progress":
        self._bar.set_postfix_str("compiling")
        if self._ticks:
            self._clock.start()
        return self

    def __exit__(self, *_) -> None:
        self._ended.set()
        if self._ticks:
            self._clock.join()
        self._bar.close()

    def show(self, row: Row) -> None:
        """Shows where the training stands after an evaluation."""
        interventions, violations = (
            row.get(f"training/{name}", 0) for name in ("interventions", "violations")
        )
        speed = f", {row['training/sps']:,.0f} steps/s" if "training/sps" in row else ""
        bar = self._bar
        bar.set_postfix_str(
            f"return {row['eval/return']:.4g}, {interventions:,.0f} interventions, "
            f"{violations:,.0f} violations{speed}",
            refresh=False,
        )
        interactions = int(row["interactions"])
        bar.total = max(bar.total, interactions)
        bar.update(interactions - bar.n)
        bar.refresh()

    def stopping(self) -> None:
        """Says that the training will end at its next checkpoint."""
        self._bar.set_postfix_str(_STOPPING)

    def _tick(self) -> None:
        while not self._ended.wait(_TICK):
            self._bar.refresh()
