"""Larger safe sets of plants that carry a plan."""

import numpy as np

from .._errors import CertificateError
from .._gate import as_flag, instance_of
from .._status_line import StatusLine
from ..certificates import Block, Certificate
from ..models import carried_plan
from ..sets import Box
from ._virtual import certify_in_virtual_inputs


def carry_plan(
    certificate: Certificate, horizon: int, *, name: str | None = None, progress: bool = True
) -> Certificate:
    """A safe set of a plant together with a plan of its next actions, from the set of the plant
    that one gain keeps.

    The plant's state x gets N times d more states, a backup plan: actions that lead from x into the
    set of `certificate`, whatever comes. A safe action is one after which there is such a plan
    again; taking the plan's first action is safe, so that nothing has to be solved. States from
    which the gain alone would leave the limits can be safe so: the set's shadow on x is larger
    than the set of `certificate`. In return the plan belongs to the state: the environment carries
    it (`envs.CertifiedEnv` does, its model being the certificate's), resets draw it with x, and a
    margin of 0 means that the plan is at its limits.

    Args:
        certificate: Of a set of one block that one gain keeps, as `certify(..., blocks=
            [Block(range(n), range(d))])` finds for a plant without virtual inputs.
        horizon: N, the steps of the plan. The set grows with it, less and less.
        name: Name of the certificate. Default: that of its model.
        progress: As of `certify`.

    Returns:
        The certificate of the plant with its plan, proved in this process.

    Raises:
        TypeError: If an argument has a wrong type.
        ValueError: If `horizon` is below 1.
        CertificateError: If the set is of another kind.
        SynthesisError: If no set was found, with the reason.
        NotProved: If the set that was found could not be proved.
    """
    instance_of("certificate", certificate, Certificate)
    as_flag("progress", progress)
    claim = certificate.claim
    forms = () if claim.virtual is None else claim.virtual.forms
    if len(forms) != 1 or forms[0].K is None or claim.model.virtual is not None:
        raise CertificateError(
            "A plan is carried for a set of one block that a gain keeps in the plant's own "
            f"actions, but {certificate.name!r} is about another kind. Certify the plant with "
            "`blocks=[Block(range(n), range(d))]` first."
        )
    (form,) = forms
    A, B, K = (np.asarray(part, np.float64) for part in (form.A, form.B, form.K))
    hold = np.asarray(form.v0, np.float64)
    center = np.asarray(claim.center, np.float64)
    model = carried_plan(claim.model, A, B, K, horizon, center=center, hold=hold)
    n, d, actions = claim.model.state_size, claim.model.action_size, np.ones(model.action_size)
    X = claim.constraint_set
    assert isinstance(X, Box)
    gain = np.hstack([np.zeros((d, n)), np.eye(d), np.zeros((d, (horizon - 1) * d))])
    with StatusLine(progress) as line:
        return certify_in_virtual_inputs(
            model,
            Box(
                np.concatenate([X.lower, *[-actions] * horizon]),
                np.concatenate([X.upper, *[actions] * horizon]),
            ),
            claim.disturbance_set,
            center=np.concatenate([center, *[hold] * horizon]),
            inputs=None,
            blocks=[Block(tuple(range(model.state_size)), tuple(range(d)))],
            facets=None,
            name=name,
            line=line,
            gains=[gain],
        )
