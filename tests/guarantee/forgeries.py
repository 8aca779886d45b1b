"""What a forger may write into the certificate of the paper's zonotope: changes of one field."""

import numpy as np
from guarantee.forging import drop, plus, put, times, together

H, W, X = (f"{name}_set" for name in ("safe_state", "disturbance", "constraint"))


def _rows(change):
    """The change of H, with as many offsets, allowances and gains as it then has rows."""

    def changed(content):
        rows = content[H]["H"] = change(content[H]["H"])
        content[H]["h"] = [1.0] * len(rows)
        for name in ("eps", "gain"):
            content[name] = [max(content[name])] * len(rows)

    return changed


def _box(name, lower, upper):
    return together(put(name, "lower", lower), put(name, "upper", upper))


def _polytope(dtype, rows, offsets):
    return {"type": "polytope", "dtype": dtype, "H": rows, "h": offsets}


SINGLE = {
    # Rounding: what float32 may lose, and how long rows are.
    "eps 0": put("eps", times(0.0)),
    "eps a denormal": put("eps", lambda v: [1e-45] * len(v)),
    "eps halved": put("eps", times(0.1)),
    "eps 0 of one facet": put("eps", lambda v: [0.0, *v[1:]]),
    "eps negative": put("eps", times(-1.0)),
    "eps as text": put("eps", lambda v: [str(x) for x in v]),
    "eps null": put("eps", lambda v: [None, *v[1:]]),
    "eps true": put("eps", lambda v: [True, *v[1:]]),
    "eps too short": put("eps", lambda v: v[1:]),
    "eps one number": put("eps", 1e-5),
    "eps 1": put("eps", lambda v: [1.0] * len(v)),
    "eps beyond float32": put("eps", lambda v: [1e39] * len(v)),
    "gain 0": put("gain", times(0.0)),
    "gain halved": put("gain", times(0.5)),
    "gain 0 of one facet": put("gain", lambda v: [*v[:-1], 0.0]),
    "gain without a list": put("gain", None),
    "sigma without room": put("sigma", 1e-6),
    "sigma just with room": put("sigma", 1e-4),
    "sigma above the margin": put("sigma", 0.05),
    "sigma 0": put("sigma", 0.0),
    "sigma negative": put("sigma", -2e-4),
    "sigma true": put("sigma", True),
    "sigma as text": put("sigma", "2e-4"),
    "sigma of 4,000 digits": put("sigma", int("9" * 4000)),
    # S.
    "S larger by 1 %": put(H, "H", times(0.99)),
    "S larger by 20 %": put(H, "H", times(1 / 1.2)),
    "S twice as large by its offsets": put(H, "h", lambda v: [2.0] * len(v)),
    "S huge": put(H, "H", times(1e-6)),
    "S smaller": put(H, "H", times(1.05)),
    "S tiny": put(H, "H", times(1e6)),
    "S without a facet": _rows(lambda v: v[1:]),
    "S without a pair of facets": _rows(lambda v: [r for i, r in enumerate(v) if i not in (0, 6)]),
    "two facets merged": _rows(lambda v: [(np.mean(v[:2], axis=0)).tolist(), *v[2:]]),
    "a facet moved out by 5 %": put(H, "H", lambda v: [times(1 / 1.05)(v[0]), *v[1:]]),
    "a facet moved out by 40 %": put(H, "H", lambda v: [times(1 / 1.4)(v[0]), *v[1:]]),
    "a facet turned around": put(H, "H", lambda v: [times(-1.0)(v[0]), *v[1:]]),
    "a zero facet": _rows(lambda v: [*v, [0.0, 0.0]]),
    "a facet twice": _rows(lambda v: [*v, v[0]]),
    "states swapped in S": put(H, "H", lambda v: [row[::-1] for row in v]),
    "S sheared": put(H, "H", lambda v: (np.asarray(v) @ [[1.0, 0.03], [0.0, 1.0]]).tolist()),
    "S in float64": put(H, "dtype", "float64"),
    "S in float16": put(H, "dtype", "float16"),
    "S a box": put(H, {"type": "box", "dtype": "float32", "lower": [-1.0], "upper": [1.0]}),
    "S as text": put(H, "H", lambda v: [[str(x) for x in row] for row in v]),
    "S of booleans": put(H, "H", lambda v: [[True, False]] * len(v)),
    "S empty": _rows(lambda v: []),
    "S ragged": put(H, "H", lambda v: [*v[:-1], v[-1][:1]]),
    "S with an entry of its own": put(H, "scale", 2.0),
    # W.
    "W nothing": _box(W, [0.0], [0.0]),
    "W three times as wide": _box(W, [-0.3], [0.3]),
    "W a thousand times as wide": _box(W, [-100.0], [100.0]),
    "W on one side": _box(W, [0.0], [0.1]),
    "W far away": _box(W, [40.0], [40.1]),
    "W the wrong way round": _box(W, [0.1], [-0.1]),
    "W unbounded": _box(W, [None], [None]),
    "W of two disturbances": _box(W, [-0.1, -0.1], [0.1, 0.1]),
    # X.
    "X narrower than S": _box(X, [-3.0, -11.0], [3.0, 11.0]),
    "X wider than S": _box(X, [-3.2, -12.0], [3.2, 12.0]),
    "X beyond float32": _box(X, [-1e300, -1e300], [1e300, 1e300]),
    "X infinite the wrong way": _box(X, [None, None], [None, -1.0]),
    "X of another dimension": put(X, _polytope("float64", [[1.0]], [1.0])),
    "X a half-space that cuts S": put(X, _polytope("float64", [[0.0, 1.0]], [11.0])),
    "X a half-space beside S": put(X, _polytope("float64", [[0.0, 1.0]], [12.0])),
    "X without the origin": _box(X, [1.0, None], [3.2, None]),
    # Generators.
    "generators twice as long": put("generators", "generators", times(2.0)),
    "generators longer by 1 %": put("generators", "generators", times(1.01)),
    "generators moved by 3": put("generators", "center", plus(3.0)),
    "generators moved and short": together(
        put("generators", "center", plus(0.5)), put("generators", "generators", times(0.8))
    ),
    "generators left out": put("generators", None),
    "one huge generator": put("generators", "generators", lambda v: [[1e30, *r[1:]] for r in v]),
    "generators of another dimension": put("generators", "center", [0.0]),
    # Blocks.
    "one block of everything": put("blocks", [{"states": [0, 1], "actions": [0]}]),
    "a block for each state": put(
        "blocks", [{"states": [0], "actions": []}, {"states": [1], "actions": [0]}]
    ),
    "blocks a number": put("blocks", 5),
    "blocks of booleans": put("blocks", [{"states": [False, True], "actions": [0]}]),
    "blocks of floats": put("blocks", [{"states": [0.0, 1.0], "actions": [0]}]),
    "blocks from the end": put("blocks", [{"states": [-2, -1], "actions": [0]}]),
    # The model, the name, and what else is in the file.
    "another model": put("model", "name", "safe_cart_pole"),
    "another parameter": put("model", "parameters", "torque", 60.0),
    "a parameter left out": drop("model", "parameters", "dt"),
    "a parameter more": put("model", "parameters", "friction", 0.0),
    "parameters a list": put("model", "parameters", []),
    "two actions": put("action_size", 2),
    "action_size true": put("action_size", True),
    "action_size 1.0": put("action_size", 1.0),
    "no name": put("name", ""),
    "a name of escape codes": put("name", "full\x1b[31m"),
    "metadata a list": put("metadata", [1]),
    "an entry more": put("surprise", 1),
    "no sigma": drop("sigma"),
    "other next states": put("next_states", plus(1.0)),
    "next states of one point": put("next_states", lambda v: [v[0]] * len(v)),
    "next states of another shape": put("next_states", [[0.0]]),
    "next states as text": put("next_states", "all"),
}
RECORDS = {
    "no record": put("record", None),
    "a record of another prover": put("record", "prover", "1"),
    "a record of another claim": put("record", "claim", "sha256:" + "0" * 64),
    "a record of another program": put("record", "program", "sha256:" + "0" * 64),
    "no cells": put("record", "cells", 0),
    "cells as text": put("record", "cells", "12"),
    "cells true": put("record", "cells", True),
    "a margin below sigma": put("record", "margin", 1e-4),
    "no margin": put("record", "margin", None),
    "a record without its prover": drop("record", "prover"),
    "a record with more": put("record", "signed_by", "somebody"),
    "a record of numbers": put("record", "claim", 1),
    "a record that is a list": put("record", [1, 2, 3]),
}
