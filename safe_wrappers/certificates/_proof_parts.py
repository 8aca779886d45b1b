"""What a proof found one after the other, with how much each part has to spare and took."""

import time
from typing import NamedTuple


class ProofPart(NamedTuple):
    """One part of a proof that succeeded.

    Attributes:
        name: What was shown, in a sentence without a full stop.
        reserve: How much more could be asked for before the part failed, in the scale in which the
            centre of S has margin 1 and a facet margin 0; None where the answer is yes or no.
        seconds: Time taken.
        found: The numbers behind it, in words; empty if there are none.
    """

    name: str
    reserve: float | None
    seconds: float
    found: str = ""


class Ledger:
    """Collects the parts of a proof as they succeed.

    A part gets the time since the one before it.
    """

    def __init__(self):
        self.parts: list[ProofPart] = []
        self._since = time.perf_counter()

    def passed(self, name: str, reserve: float | None = None, found: str = "") -> None:
        """Notes that a part succeeded now."""
        now = time.perf_counter()
        self.parts.append(ProofPart(name, reserve, now - self._since, found))
        self._since = now
