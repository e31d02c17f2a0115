"""Test a detector, as ``mmdark test`` does: ``python tools/test.py CONFIG CHECKPOINT``."""

from mmdark.cli import run_tool

if __name__ == '__main__':
    run_tool('test')
