"""Larger safe sets of plants that carry a plan."""

from collections.abc import Sequence

import numpy as np

from .._errors import CertificateError
from .._gate import as_flag, as_integer, instance_of
from .._status_line import StatusLine
from ..certificates import Block, BlockForm, Certificate, Claim
from ..models import BlockPlan, carried_plan
from ..sets import Box
from ._virtual import Known, certify_in_virtual_inputs


def carry_plan(
    certificate: Certificate,
    horizon: int,
    *,
    blocks: Sequence[int] | None = None,
    name: str | None = None,
    progress: bool = True,
) -> Certificate:
    """A safe set of a plant together with a plan of its next inputs, from the set of the plant
    that gains keep.

    The state of a block with d_b inputs gets N times d_b more states, a backup plan: inputs that
    lead from there into the block's set of `certificate`, whatever comes. A safe action is one
    after which there is such a plan again; taking the plan's first input is safe, so that nothing
    has to be solved. States from which the gain alone would leave the limits can be safe so: the
    set's shadow on the plant's own states is larger than the set of `certificate`. In return the
    plan belongs to the state: the environment carries it (`envs.CertifiedEnv` does, its model being
    the certificate's; `models.next_plan` is for a plant that is measured), resets draw it with x,
    and a margin of 0 means that the plan is at its limits.

    Args:
        certificate: Of a set of blocks of which gains keep one or more, as `certify` finds for a
            plant with virtual inputs with `factors="gain"`, and with
            `blocks=[Block(range(n), range(d))]` for another.
        horizon: N, the steps of a plan. The set grows with it, less and less.
        blocks: Which of the claim's `blocks` get a plan, by number. The others stay as they are.
            Default: all that a gain keeps.
        name: Name of the certificate. Default: that of its model.
        progress: As of `certify`.

    Returns:
        The certificate of the plant with its plan, proved in this process.

    Raises:
        TypeError: If an argument has a wrong type.
        ValueError: If `horizon` is below 1.
        CertificateError: If no gain keeps a block that is to have a plan.
        SynthesisError: If no set was found, with the reason.
        NotProved: If the set that was found could not be proved.
    """
    instance_of("certificate", certificate, Certificate)
    as_flag("progress", progress)
    horizon = as_integer("horizon", horizon, 1)
    claim = certificate.claim
    forms = () if claim.virtual is None else claim.virtual.forms
    chosen = _chosen(certificate.name, forms, blocks)
    center = np.asarray(claim.center, np.float64)
    plans = [_plan(claim.blocks[i], forms[i], center) for i in chosen]
    model = carried_plan(claim.model, plans, horizon)
    X, virtual = claim.constraint_set, claim.virtual
    assert isinstance(X, Box)
    assert virtual is not None
    inputs = [np.tile(plan.inputs, horizon) for plan in plans]
    lower, upper = (
        np.concatenate([of_states, *(np.asarray(of_inputs)[each] for each in inputs)])
        for of_states, of_inputs in zip(
            (X.lower, X.upper), (virtual.inputs.lower, virtual.inputs.upper), strict=True
        )
    )
    parts, known, first = [], [], claim.model.state_size
    for i, (block, form) in enumerate(zip(claim.blocks, forms, strict=True)):
        if i not in chosen:
            parts.append(block)
            known.append(Known(kept=(form, _facets(claim, block))))
            continue
        n, d = len(block.states), len(block.actions)
        parts.append(block._replace(states=(*block.states, *range(first, first + horizon * d))))
        gain = np.zeros((d, n + horizon * d))
        gain[:, n : n + d] = np.eye(d)
        known.append(Known(gain=gain))
        first += horizon * d
    with StatusLine(progress) as line:
        return certify_in_virtual_inputs(
            model,
            Box(lower, upper),
            claim.disturbance_set,
            center=np.concatenate([center, *(np.tile(plan.hold, horizon) for plan in plans)]),
            inputs=None if claim.model.virtual is None else virtual.inputs,
            blocks=parts,
            facets=None,
            name=name,
            line=line,
            known=known,
        )


def _chosen(name: str, forms: Sequence[BlockForm], blocks: Sequence[int] | None) -> tuple[int, ...]:
    """The numbers of the blocks that get a plan, ascending, so that plans lie in their order."""
    kept_by_gains = [i for i, form in enumerate(forms) if form.K is not None]
    if blocks is None:
        chosen = kept_by_gains
    else:
        chosen = sorted({as_integer(f"blocks[{k}]", i, 0) for k, i in enumerate(blocks)})
    if not chosen or not set(chosen) <= set(kept_by_gains):
        raise CertificateError(
            f"A plan is carried for blocks that a gain keeps, and of the {len(forms)} blocks in "
            f"virtual inputs of {name!r} these are {kept_by_gains}, but `blocks` is {blocks!r}. "
            "For a plant with other sets certify it with `blocks=[Block(range(n), range(d))]` and "
            "factors='gain' first."
        )
    return tuple(chosen)


def _plan(block: Block, form: BlockForm, center: np.ndarray) -> BlockPlan:
    A, B, K, hold = (np.asarray(part, np.float64) for part in form)
    return BlockPlan(block.states, block.actions, A, B, K, center[list(block.states)], hold)


def _facets(claim: Claim, block: Block) -> np.ndarray:
    """The facets of the block's set in the scale in which each has room 1."""
    factor = block.factor(claim.centered_set)
    room = np.asarray(factor.h, np.float64)
    return (np.asarray(factor.H, np.float64) / room[:, None]).astype(np.float32)
