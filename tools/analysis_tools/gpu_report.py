"""Measure one page about a GPU, in a clone of the repository: see ``benchmarks/gpu_report.py``."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.gpu_report import main
from mmdark.apis import run_or_explain

if __name__ == '__main__':
    run_or_explain(main)
