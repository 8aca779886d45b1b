"""What programs read of a proof is strict JSON, also where there is no number."""

import json

import numpy as np
import pytest

from safe_wrappers.certificates import Certificate, Proof, proof_as_json


@pytest.mark.parametrize(("margin", "written"), [(np.nan, None), (-0.25, -0.25)])
def test_a_margin_that_is_not_known_is_null(upright, margin, written):
    proof = Proof("inconclusive", 0, 3, margin, 0.5, None, "Too many cells.")
    text = json.dumps(proof_as_json(Certificate(upright, "upright"), proof), allow_nan=False)
    found = json.loads(text)
    assert found["margin"] == written
    assert (found["safe_set"], found["proved"], found["facets"]) == ("upright", False, 10)
