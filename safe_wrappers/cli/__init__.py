"""The command line: `safe-wrappers train | evaluate | show | certify | synthesise`."""

from ._main import main as main
