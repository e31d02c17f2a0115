"""Write the weights of a checkpoint alone: ``python tools/model_converters/export_weights.py CHECKPOINT OUT``.

OUT is a ``.pth`` or, with the package safetensors, a ``.safetensors`` file. It also says which config, epoch and
iteration the weights are from, and their AP if it is known. It is read wherever a checkpoint is.
"""

from __future__ import annotations

import argparse

from mmdark.apis import export_weights, run_or_explain


def parse_args() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description='Write the weights of a checkpoint alone.')
    parser.add_argument('checkpoint', help='checkpoint of a training, or a file of weights')
    parser.add_argument('out', help='file to write, *.pth or *.safetensors')
    parser.add_argument('--safetensors', action='store_true', help='OUT must be a .safetensors file')
    parser.add_argument('--half', action='store_true', help='float16 instead of float32')
    return parser.parse_args()


def main() -> None:
    """Export, and say what it was."""
    args = parse_args()
    print(export_weights(args.checkpoint, args.out, args.safetensors, args.half))


if __name__ == '__main__':
    run_or_explain(main)
