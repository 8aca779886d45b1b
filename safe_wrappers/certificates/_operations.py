"""Whether the prover knows every operation of a model: a question for before the search."""

import numpy as np

from .._errors import ModelError
from ..models import EnclosedModel, Model
from ..models._interpreter import interpret
from ..models._step import traced_step
from ..models._trace import trace
from ._enclosure import ModelEnclosure
from ._intervals import Interval
from ._rounded import ROUNDING, Rounded


def require_known_operations(model: Model) -> None:
    """Checks that a proof can follow every operation of a model's step and of its affine form. A
    search for a safe set can take minutes; this takes less than a second.

    Args:
        model: The model, in any number of states.

    Raises:
        ModelError: Naming the first operation without a rule, and those that are known; or if the
            step cannot be traced.
    """
    n, d, k = model.state_size, model.action_size, model.disturbance_size
    of_step, of_affine = traced_step(model), trace(lambda x: tuple(model.affine(x)), n)
    try:
        # The values do not matter, and at 0 they may not exist.
        with np.errstate(all="ignore"):
            ModelEnclosure(model, np.zeros(k)).dependence()
            x, a, w = ([_ZERO] * size for size in (n, d, k))
            interpret(of_step, ROUNDING, x, a, w)
            interpret(of_affine, ROUNDING, x)
    except ModelError as error:
        instead = (
            "Enclose a model of known operations instead."
            if isinstance(model, EnclosedModel)
            else "Write `step` with those, or leave the operation out and bound what it does by "
            "`models.enclosed`."
        )
        raise ModelError(
            f"No proof can follow the model {model.name!r}: {error} {instead}"
        ) from error


_ZERO = Rounded(Interval.point(np.zeros(1)), 0.0)
