"""The files that come with the bundled systems: certificates and MJCF models."""

import importlib.resources
import warnings
from collections.abc import Mapping
from typing import Any

import mujoco
from brax import base
from brax.io import mjcf

from safe_wrappers._gate import one_of
from safe_wrappers.certificates import Certificate, model_parameters, shipped
from safe_wrappers.models import Model

_mujoco: Any = mujoco  # its compiled members are hidden from type checkers


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
    certificate = Certificate.load(_source(model.name, safe_set), model)
    return certificate if _is_file(safe_set) else shipped(certificate)


def parameters_of(system: str, safe_set: str) -> Mapping[str, float]:
    """The physical parameters of the plant that a shipped certificate, or a file, is about. It is
    not loaded.

    Raises:
        ValueError: If there is no such set.
        CertificateError: If the file is missing or damaged.
    """
    return model_parameters(_source(system, safe_set))


def _source(system: str, safe_set: str) -> Any:
    """The file of a safe set."""
    if _is_file(safe_set):
        return safe_set
    why = " A path to a certificate file must end in .json."
    one_of("safe_set", safe_set, certificate_names(system), why=why)
    return asset(f"{system}.{safe_set}.json")


def _is_file(safe_set: str) -> bool:
    return isinstance(safe_set, str) and safe_set.endswith(".json")


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
    specification = _mujoco.MjSpec.from_string(asset(mjcf_file).read_text())
    for actuator in list(specification.actuators)[actuators:] if actuators is not None else []:
        specification.delete(actuator)
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", message="Brax System, piplines and environments are not actively"
        )
        return mjcf.load_model(specification.compile())
