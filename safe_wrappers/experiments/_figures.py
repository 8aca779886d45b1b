"""The learning curves of a study as figures."""

import numpy as np
from matplotlib.figure import Figure

from ..plots import curve_grid
from ._study import UNSAFE, Study
from ._tables import Results


def curve_figures(study: Study, results: Results) -> dict[str, Figure]:
    """One figure per task and learner, by TASK_LEARNER: the median of the seeds of every finished
    row with the band of 80 % of them, the training without a safeguard behind it, and the
    reference.

    Args:
        study: The study.
        results: What was run of it.
    """
    finished = {line["row"] for line in results.curves}
    rows = [row for row in study.rows if row.name in finished]
    figures = {}
    for group in dict.fromkeys((row.task.name, row.learner.name) for row in rows):
        those = [row for row in rows if (row.task.name, row.learner.name) == group]
        curves = {
            row.variant.title: np.array(
                [
                    [line[name] for name in ("interactions", "median", "low", "high")]
                    for line in results.curves
                    if line["row"] == row.name
                ],
                float,
            )
            for row in those
        }
        plain = [row.variant.title for row in those if row.variant.safeguard == UNSAFE]
        figures["_".join(group)] = curve_grid(
            curves,
            title=f"{those[0].task.title}, {group[1].upper()}: median and 80 % of the seeds",
            reference=results.references.get(group[0]),
            behind=plain[0] if plain and len(those) > 1 else None,
        )
    return figures
