"""The files that come with the bundled systems: certificates and MJCF models."""

import importlib.resources
import warnings
from typing import Any

import mujoco
from brax import base
from brax.io import mjcf

from safe_wrappers._gate import one_of
from safe_wrappers.certificates import Certificate, shipped
from safe_wrappers.models import Model


def asset(name: str):
    """A file of the package's assets."""
    return importlib.resources.files("safe_wrappers.envs") / "assets" / name


def certificate_of(model: Model, safe_set: str) -> Certificate:
    """The shipped certificate `safe_set` of a bundled model, or the certificate of the model in the
    file `safe_set` (a path ending in .json).

    Raises:
        ValueError: If there is no such set.
        CertificateError: If the file is damaged, or about another model.
    """
    if isinstance(safe_set, str) and safe_set.endswith(".json"):
        return Certificate.load(safe_set, model)
    one_of(
        "safe_set",
        safe_set,
        certificate_names(model.name),
        why=" A path to a certificate file must end in .json.",
    )
    return shipped(Certificate.load(asset(f"{model.name}.{safe_set}.json"), model))


def certificate_names(system: str) -> tuple[str, ...]:
    """Names of the shipped safe sets of a bundled system."""
    files = (importlib.resources.files("safe_wrappers.envs") / "assets").iterdir()
    return tuple(
        sorted(
            file.name.split(".")[1]
            for file in files
            if file.name.startswith(f"{system}.") and file.name.endswith(".json")
        )
    )


def load_system(mjcf_file: str, actuators: int | None = None) -> base.System:
    """The Brax system of an MJCF asset, for rendering and for Brax's physics.

    Args:
        mjcf_file: Name of the asset.
        actuators: How many of its actuators are kept, the first ones. Default: all.
    """
    specification: Any = mujoco.MjSpec.from_string(asset(mjcf_file).read_text())
    for actuator in list(specification.actuators)[actuators:] if actuators is not None else []:
        specification.delete(actuator)
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", message="Brax System, piplines and environments are not actively"
        )
        return mjcf.load_model(specification.compile())
