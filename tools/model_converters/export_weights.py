"""Write the weights of a checkpoint alone, as ``mmdark export`` does: ``export_weights.py CHECKPOINT OUT``."""

from mmdark.cli import run_tool

if __name__ == '__main__':
    run_tool('export')
