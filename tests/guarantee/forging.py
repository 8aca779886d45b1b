"""A forger of certificates: files with a valid checksum and a record that matches the claim."""

import json

import numpy as np

from safe_wrappers.certificates import Certificate
from safe_wrappers.certificates._file import _checksum
from safe_wrappers.certificates._result import PROVER

FORGED_RECORD = object()


def forge(path, content, model, *changes):
    """Writes a file with the changes, and with the record of a proof that never took place unless a
    change says otherwise. The forger computes the digests as the library does.
    """
    content = json.loads(json.dumps(content))
    content["record"] = FORGED_RECORD
    for change in changes:
        change(content)
    if content.get("record") is FORGED_RECORD:
        content["record"] = None
        write(path, content)
        # The forger knows the prover's rules, not whether they hold: a file that does not load
        # needs no record.
        claim = Certificate.load(path, model).claim
        content["record"] = {
            "prover": PROVER,
            "claim": claim.digest,
            "program": claim.program,
            "cells": 12,
            "margin": claim.sigma,
        }
    write(path, content)
    return path


def write(path, content):
    content = {key: value for key, value in content.items() if key != "checksum"}
    path.write_text(json.dumps({**content, "checksum": _checksum(content)}))


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
