"""Train a detector, as ``mmdark train`` does: ``python tools/train.py CONFIG``."""

from mmdark.cli import run_tool

if __name__ == '__main__':
    run_tool('train')
