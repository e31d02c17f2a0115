"""Compare Retinex teachers, in a clone of the repository: see ``parity/teachers.py``."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from mmdark.apis import run_or_explain
from parity.teachers import main

if __name__ == '__main__':
    run_or_explain(main)
