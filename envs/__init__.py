"""The bundled systems: equations, certified safe sets, Brax environments and their registration."""

if __name__ != "safe_wrappers.envs":
    raise ImportError(f"Import this package as `safe_wrappers.envs`, not as `{__name__}`: a second copy of its classes would not be equal to the first.")
