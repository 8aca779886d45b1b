"""Which files are mutated, how many mutants of each, and which tests must notice them."""

import hashlib
from pathlib import Path

from .mutants import Mutant, mutants_of

ROOMS = ("sets", "solvers", "safe_actions", "safeguards", "certificates")

# What stands between a request and an unsafe action, and between a false claim and "proved": of
# these files three times as many mutants are drawn as of the others.
SAFETY_PATH = {
    "safeguards/_base.py",
    "safeguards/_rows.py",
    "safeguards/_safe_action.py",
    "safeguards/_boundary_projection.py",
    "safe_actions/_action_set.py",
    "safe_actions/_candidates.py",
    "safe_actions/_model_system.py",
    "safe_actions/_step_check.py",
    "safe_actions/_stepped.py",
    "safeguards/_confirmed.py",
    "solvers/_active_set.py",
    "certificates/_branch_and_bound.py",
    "certificates/_claim.py",
    "certificates/_coverage.py",
    "certificates/_proof.py",
    "certificates/_rounding.py",
    "certificates/_authority.py",
    "certificates/_coupling.py",
    "certificates/_farkas.py",
    "certificates/_polygon_proof.py",
    "certificates/_simple_vertices.py",
    "certificates/_vertex_proof.py",
    "certificates/_virtual_proof.py",
    "certificates/_virtual_rounding.py",
    "safe_actions/_facets.py",
    "safe_actions/_input_ends.py",
    "safe_actions/_virtual_rows.py",
}

# Besides the test file of the same name: where a file has none, and where others are about it.
MORE_TESTS = {
    "sets/_arrays.py": ("sets/test_box.py", "sets/test_polytope.py", "sets/test_zonotope.py"),
    "safe_actions/_action_set.py": (
        "safeguards/test_solver_faults.py",
        "safeguards/test_box.py",
        "safe_actions/test_commands.py",
    ),
    "safe_actions/_candidates.py": ("safeguards/test_solver_faults.py",),
    "safe_actions/_common.py": (
        "safe_actions/test_model_system.py",
        "safe_actions/test_zonotope_system.py",
    ),
    "safe_actions/_model_system.py": (
        "safe_actions/test_rounded_actions.py",
        "safe_actions/test_commands.py",
    ),
    "safe_actions/_facets.py": ("safe_actions/test_virtual_rows.py",),
    "safe_actions/_input_ends.py": ("safe_actions/test_virtual_rows.py",),
    "safe_actions/_virtual_rows.py": ("safe_actions/test_commands.py",),
    "safeguards/_base.py": ("safeguards/test_verified_call.py", "safeguards/test_safe_action.py"),
    "safeguards/_boundary_projection.py": ("safeguards/test_verified_call.py",),
    "safeguards/_centers.py": (
        "safeguards/test_box.py",
        "safeguards/test_generator_mask.py",
        "safeguards/test_ray_mask.py",
        "safeguards/test_gauge_map.py",
    ),
    "safeguards/_gauges.py": ("safeguards/test_ray_mask.py", "safeguards/test_gauge_map.py"),
    "safeguards/_gradient_rules.py": (
        "safeguards/test_gradients.py",
        "safeguards/test_verified_call.py",
        "safeguards/test_boundary_projection.py",
        "safeguards/test_box.py",
    ),
    "safeguards/_registry.py": (
        "safeguards/test_verified_call.py",
        "safeguards/test_every_safeguard.py",
    ),
    "safeguards/_rows.py": (
        "safeguards/test_box.py",
        "safeguards/test_active_rows.py",
        "safeguards/test_verified_call.py",
        "safeguards/test_boundary_projection.py",
    ),
    "safeguards/_safe_action.py": ("safeguards/test_natural_actions.py",),
    "certificates/_block.py": ("certificates/test_product.py", "certificates/test_claim.py"),
    "certificates/_branch_and_bound.py": (
        "certificates/test_proof.py",
        "certificates/test_shipped.py",
        "certificates/test_operations.py",
    ),
    "certificates/_branches.py": (
        "certificates/test_enclosure.py",
        "certificates/test_operations.py",
    ),
    "certificates/_center.py": ("certificates/test_claim.py",),
    "certificates/_claim.py": ("certificates/test_certificate.py",),
    "certificates/_coverage.py": ("certificates/test_proof.py",),
    "certificates/_derivative.py": (
        "certificates/test_one_program.py",
        "certificates/test_natural_units.py",
    ),
    "certificates/_encoding.py": ("certificates/test_certificate.py",),
    "certificates/_file.py": ("certificates/test_certificate.py",),
    "certificates/_fingerprint.py": ("certificates/test_certificate.py",),
    "certificates/_inputs.py": ("certificates/test_shipped.py",),
    "certificates/_initial_states.py": (
        "certificates/test_claim.py",
        "certificates/test_certificate.py",
    ),
    "certificates/_proof.py": ("certificates/test_mutants.py",),
    "certificates/_proof_parts.py": ("auditing/test_audit.py",),
    "certificates/_result.py": ("certificates/test_guarantee.py",),
    "certificates/_room.py": ("certificates/test_center.py",),
    "certificates/_rounded.py": (
        "certificates/test_rounding.py",
        "certificates/test_operations.py",
    ),
    "certificates/_rounding.py": ("certificates/test_one_program.py",),
    "certificates/_rows.py": ("certificates/test_proof.py", "certificates/test_center.py"),
    "certificates/_taylor.py": (
        "certificates/test_enclosure.py",
        "certificates/test_operations.py",
    ),
    "certificates/_authority.py": ("certificates/test_virtual_proof.py",),
    "certificates/_cells.py": (
        "certificates/test_authority.py",
        "certificates/test_coupling.py",
    ),
    "certificates/_exact.py": ("certificates/test_farkas.py", "certificates/test_coupling.py"),
    "certificates/_coupling.py": ("certificates/test_virtual_proof.py",),
    "certificates/_farkas.py": ("certificates/test_virtual_proof.py",),
    "certificates/_polygon_proof.py": (
        "certificates/test_farkas.py",
        "certificates/test_virtual_proof.py",
    ),
    "certificates/_virtual_blocks.py": ("certificates/test_virtual_proof.py",),
    "certificates/_virtual_derivative.py": ("certificates/test_virtual_proof.py",),
    "certificates/_virtual_rounding.py": (
        "certificates/test_virtual_proof.py",
        "safe_actions/test_virtual_rows.py",
    ),
    "certificates/_truth.py": ("certificates/test_enclosure.py", "certificates/test_operations.py"),
}


def files(root: Path) -> dict[str, list[Mutant]]:
    """All mutants of all files under test, by "room/file.py"."""
    package = root / "safe_wrappers"
    paths = [path for room in ROOMS for path in sorted((package / room).glob("*.py"))]
    mutants = {str(path.relative_to(package)): mutants_of(path.read_text()) for path in paths}
    return {file: found for file, found in mutants.items() if found}


def matching_tests(file: str, root: Path) -> list[str]:
    """The test files that must notice the mutants of a file, relative to the root.

    Raises:
        ValueError: If there is none.
    """
    room, name = file.split("/")
    tests = (f"{room}/test{name}", *MORE_TESTS.get(file, ()))
    found = [f"tests/{test}" for test in tests if (root / "tests" / test).exists()]
    if not found:
        raise ValueError(f"No test file is named for {file}: add one to `MORE_TESTS`.")
    return found


def drawn(mutants: dict[str, list[Mutant]], seed: int) -> list[tuple[str, Mutant]]:
    """All mutants in a random order in which every beginning is a fair sample.

    In every round each file gives one mutant, and each file of the safety path three, as long as it
    has any. A mutant's place depends on its own content, so that a change of the source moves few
    others.
    """

    def lot(file: str, mutant: Mutant) -> str:
        text = "\n".join([str(seed), file, mutant.scope, mutant.before, mutant.after])
        return hashlib.sha256(text.encode()).hexdigest()

    placed = []
    for file, found in mutants.items():
        lots = sorted((lot(file, mutant), mutant) for mutant in found)
        turns = 3 if file in SAFETY_PATH else 1
        placed += [(i // turns, drawn, file, mutant) for i, (drawn, mutant) in enumerate(lots)]
    return [(file, mutant) for _, _, file, mutant in sorted(placed, key=lambda place: place[:2])]
