"""Runs the commands: ``python -m dachi_fast``, also installed as ``dachi-fast``."""

import sys

from dachi_fast.cli import main

if __name__ == "__main__":
    sys.exit(main())
