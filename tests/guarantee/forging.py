"""A forger of certificates: files with a valid checksum and a record that matches the claim."""

import json

import numpy as np
from counts import record

from safe_wrappers.certificates import Block, Claim
from safe_wrappers.certificates._encoding import decode_array, decode_set
from safe_wrappers.certificates._file import _checksum
from safe_wrappers.certificates._fingerprint import fingerprint
from safe_wrappers.certificates._result import PROVER
from safe_wrappers.sets import Box, Polytope, Zonotope


def record_forgery(believed: bool) -> None:
    """Counts a forgery: whether it is false and was called proved all the same."""
    note = "False files, claims and records; caught: refused, not called proved, or true."
    record(caught=not believed, unsafe=believed, note=note)


def forge(path, content, model, *changes):
    """Writes a file with the changes and, unless a change touches them, with the next states of its
    points and the record of a proof that never took place: the forger has the library's source.
    """
    original = json.loads(json.dumps(content))
    content = json.loads(json.dumps(content))
    for change in changes:
        change(content)
    claim = _claim(content, model)
    if claim is not None and content["next_states"] == original["next_states"]:
        S, W = claim.safe_state_set, claim.disturbance_set
        content["next_states"] = fingerprint(model, S, W).astype(float).tolist()
    if claim is not None and content["record"] == original["record"]:
        content["record"] = {
            "prover": PROVER,
            "claim": claim.digest,
            "program": claim.program,
            "cells": 12,
            "margin": claim.sigma,
        }
    return write(path, content)


def write(path, content):
    """The file of this content with its checksum."""
    content = {key: value for key, value in content.items() if key != "checksum"}
    path.write_text(json.dumps({**content, "checksum": _checksum(content)}))
    return path


def _claim(content, model):
    """The claim of the content, or None if it is no claim."""
    try:
        generators = content["generators"]
        center = content.get("center", [0.0] * model.state_size)
        return Claim(
            model,
            safe_state_set=decode_set(content["safe_state_set"], Polytope),
            constraint_set=decode_set(content["constraint_set"], Box, Polytope),
            disturbance_set=decode_set(content["disturbance_set"], Box),
            center=decode_array("center", center, "float32"),
            sigma=content["sigma"],
            blocks=tuple(Block(b["states"], b["actions"]) for b in content["blocks"]),
            generators=None if generators is None else decode_set(generators, Zonotope),
            eps=decode_array("eps", content["eps"], "float32"),
            gain=decode_array("gain", content["gain"], "float32"),
        )
    except (ArithmeticError, LookupError, TypeError, ValueError):
        return None


def put(*keys_and_value):
    """The change that puts a value, or a function of the old value, at these keys."""
    *keys, last, value = keys_and_value

    def change(content):
        for key in keys:
            content = content[key]
        content[last] = value(content[last]) if callable(value) else value

    return change


def drop(*keys):
    """The change that removes an entry."""
    *keys, last = keys

    def change(content):
        for key in keys:
            content = content[key]
        content.pop(last)

    return change


def together(*changes):
    """One change that makes several."""

    def change(content):
        for one in changes:
            one(content)

    return change


def times(factor):
    """Numbers in lists of any depth, times a factor, in float32."""
    return lambda values: (np.asarray(values) * factor).astype(np.float32).astype(float).tolist()


def plus(offset):
    return lambda values: (np.asarray(values) + offset).astype(np.float32).astype(float).tolist()
