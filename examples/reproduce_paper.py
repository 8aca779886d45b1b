"""The study of the paper again: every safeguard and gradient rule on the paper's pendulum, with ten
seeds each, beside the figures that the paper reports.

python examples/reproduce_paper.py [--quick] [--processes N] [--rows PATTERN ...]

This is `safe-wrappers experiment paper`: interrupt it at any time, and the same command goes on.
With --quick three rows are run with two seeds and few interactions, which shows how it works and
nothing else.
"""

import sys

from safe_wrappers.cli import main

if __name__ == "__main__":  # rows may run in processes of their own, which read this file again
    sys.exit(main(["experiment", "paper", *sys.argv[1:]]))
