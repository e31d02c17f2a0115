"""Convert published weights to mmdark's, or back, as ``mmdark convert`` does: ``published_to_mmdark.py IN OUT``."""

from mmdark.cli import run_tool

if __name__ == '__main__':
    run_tool('convert')
