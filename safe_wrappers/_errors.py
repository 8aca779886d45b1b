"""The errors of safe_wrappers: each says what must hold, what was found and what to write
instead.
"""


class SafeWrappersError(Exception):
    """Base class of all errors raised by safe_wrappers."""


class WrapperOrderError(SafeWrappersError, ValueError):
    """A safeguard stands where it could be bypassed, for example outside a vectorising wrapper."""


class CertificateError(SafeWrappersError, ValueError):
    """A certificate is missing, damaged, or does not speak about the system it is used for."""


class SetDimensionError(SafeWrappersError, ValueError):
    """An array or a set has the wrong shape or an impossible value (a lower bound above an upper
    one).
    """


class UnknownOptionError(SafeWrappersError, TypeError, ValueError):
    """A keyword argument that there is not. It is a TypeError, as of any function of Python, so
    that clients which try whether an environment has an option can go on without it.
    """


class ModelError(SafeWrappersError, ValueError):
    """A one-step model is not what is needed, for example not affine in action and disturbance."""


class ForkedProcessError(SafeWrappersError, RuntimeError):
    """JAX is used in a process that was forked from one in which it had run."""


class MissingDependencyError(SafeWrappersError, ImportError):
    """An optional dependency is not installed."""


class ContractError(SafeWrappersError, AssertionError):
    """A system, a safeguard or an environment does not keep what it promises, found by
    `safe_wrappers.testing`.
    """
