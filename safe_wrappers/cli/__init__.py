"""The command line: `safe-wrappers train | evaluate | certify | synthesise`."""

from ._main import main as main
