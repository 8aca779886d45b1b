"""The part of a claim that speaks of virtual inputs: their box, and the linear form of each block.

With virtual inputs v (`models`) the plant is x' = g(x, v, w). Blocks share out the states and the
virtual inputs. Of block b, with the states y = x_b - center_b, the claim holds numbers A_b, B_b and
perhaps a gain K_b. They are proposals: the proof bounds by itself what g leaves over,

    g_b(x, v, w) - center_b = A_b y + B_b v_b + k_b + E_b omega   with omega in [-1, 1]^j,

everything that other blocks do included, and shows that the block can be kept in S whatever omega
is (`_virtual_proof`).
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from .._errors import CertificateError, SetDimensionError
from ..models import Model
from ..sets import Box
from ._block import Block


class BlockForm(NamedTuple):
    """The linear form of a block of n_b states and d_b virtual inputs, and how it is kept in S.

    Args:
        A: Shape (n_b, n_b), float64.
        B: Shape (n_b, d_b), float64.
        K: The gain of v = v0 + K y, which keeps the block in S, shape (d_b, n_b), float32. None:
            the block has one virtual input, and is proved at the vertices of S_b.
        v0: What holds the block at the centre, shape (d_b,), float32.
    """

    A: np.ndarray
    B: np.ndarray
    K: np.ndarray | None
    v0: np.ndarray


class VirtualBlocks(NamedTuple):
    """The virtual inputs of a claim.

    Args:
        inputs: V, the box of the virtual inputs, in natural units, dimension d. From every state of
            S some v in V leads back into S, and every v in V is brought about by an action.
        forms: One linear form for each of the claim's blocks, whose `actions` are indices of
            virtual inputs.
    """

    inputs: Box
    forms: tuple[BlockForm, ...]


def are_the_actions(model: Model, inputs: Box) -> bool:
    """Whether the virtual inputs are the actions and V their box: then no row has to keep them in
    V, which the action box does exactly.
    """
    bounds = np.abs([np.asarray(inputs.lower), np.asarray(inputs.upper)])
    return model.virtual is None and bool(np.all(bounds == 1.0))


def as_virtual_blocks(
    value: Any, blocks: Sequence[Block], constraint_set: Any, action_size: int
) -> VirtualBlocks:
    """The checked part of a claim, with read-only copies of its numbers.

    Raises:
        CertificateError: If blocks or bounds of X are missing.
        SetDimensionError: If a shape does not fit, or a number is not finite.
    """
    inputs, forms = value
    if not blocks or len(forms) != len(blocks):
        raise CertificateError(
            f"A claim in virtual inputs must have one form for each block, but it has {len(forms)} "
            f"forms and {len(blocks)} blocks."
        )
    bounded = (
        isinstance(constraint_set, Box)
        and np.isfinite([np.asarray(constraint_set.lower), np.asarray(constraint_set.upper)]).all()
    )
    if not bounded:
        raise CertificateError(
            "`constraint_set` must be a box with finite bounds for a claim in virtual inputs, but "
            f"it is {constraint_set!r}: what other blocks do is bounded over it. Give every state "
            "a lower and an upper bound."
        )
    lower, upper = (
        _numbers("virtual_inputs", bound, (action_size,), np.float32)
        for bound in (inputs.lower, inputs.upper)
    )
    if not np.all(lower < upper):
        raise SetDimensionError(f"The box of virtual inputs must have an interior, but {inputs!r}.")
    return VirtualBlocks(Box(lower, upper), tuple(map(_form, forms, blocks)))


def _form(form: BlockForm, block: Block) -> BlockForm:
    n, d = len(block.states), len(block.actions)
    A, B, K, v0 = form
    if K is None and d > 1:
        raise CertificateError(
            f"The block of the states {list(block.states)} needs a gain: without one only blocks "
            f"with one virtual input can be proved, at their vertices, but it has {d}."
        )
    return BlockForm(
        _numbers("A", A, (n, n), np.float64),
        _numbers("B", B, (n, d), np.float64),
        None if K is None else _numbers("K", K, (d, n), np.float32),
        _numbers("v0", v0, (d,), np.float32),
    )


def _numbers(name: str, value: Any, shape: tuple[int, ...], dtype: type) -> np.ndarray:
    array = np.asarray(value, dtype)
    if array.shape != shape or not np.isfinite(array).all():
        raise SetDimensionError(
            f"`{name}` must hold finite numbers of shape {shape}, but it is {value!r}."
        )
    return np.frombuffer((array + 0.0).tobytes(), dtype).reshape(shape)  # no -0.0


def encode_virtual(virtual: VirtualBlocks) -> dict[str, Any]:
    """The numbers as JSON, float32 numbers in their shortest form."""
    return {
        "lower": _lists(virtual.inputs.lower),
        "upper": _lists(virtual.inputs.upper),
        "forms": [
            {name: None if part is None else _lists(part) for name, part in form._asdict().items()}
            for form in virtual.forms
        ],
    }


def decode_virtual(content: dict[str, Any]) -> VirtualBlocks:
    """What `encode_virtual` wrote; the claim checks it.

    Raises:
        CertificateError: If an entry is missing or unknown.
    """
    from ._encoding import decode_array, require_entries

    require_entries("`virtual_inputs`", content, ("lower", "upper", "forms"))
    forms = []
    for form in content["forms"]:
        require_entries("A form", form, BlockForm._fields)
        kinds = {"A": "float64", "B": "float64", "K": "float32", "v0": "float32"}
        forms.append(
            BlockForm(
                **{  # pyright: ignore[reportArgumentType]
                    name: None if form[name] is None else decode_array(name, form[name], kind)
                    for name, kind in kinds.items()
                }
            )
        )
    # Not `lower` and `upper`, whose missing numbers would be infinite.
    ends = [decode_array("virtual_inputs", content[end], "float32") for end in ("lower", "upper")]
    return VirtualBlocks(Box(*ends), tuple(forms))


def _lists(array: Any) -> Any:
    array = np.asarray(array)
    return [_lists(part) for part in array] if array.ndim else float(str(array[()]))
