"""Convert published weights to mmdark's, or back: ``python tools/model_converters/published_to_mmdark.py IN OUT``.

What IN is shows in its keys: a detector of the published DAI-Net or DSFD code (dark, vgg, resnet50, resnet101,
resnet152), the teacher (``decomp.pth`` or RetinexNet's ``.tar``), or what a backbone starts from
(``vgg16_reducedfc.pth``, torchvision's ResNets). The table of names is ``mmdark/models/published_names.py`` for whole
detectors, and ``published_names`` of the module for its parts.
"""

from __future__ import annotations

import argparse

from mmdark.apis import PARTS, PUBLISHED_MODELS, convert_file, run_or_explain


def parse_args() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description='Convert published weights to names of mmdark, or back.')
    parser.add_argument('source', help='published weight file; with --reverse a checkpoint of mmdark')
    parser.add_argument('target', help='file to write')
    parser.add_argument('--reverse', action='store_true', help='from our names to the published ones')
    parser.add_argument('--model', choices=[*PUBLISHED_MODELS, *PARTS], help='stop if the file is not this model')
    parser.add_argument(
        '--epoch', type=int, help='with --reverse: wrap for --resume of the published training script, at this epoch'
    )
    return parser.parse_args()


def main() -> None:
    """Convert, and say what it was."""
    args = parse_args()
    print(convert_file(args.source, args.target, args.reverse, args.model, args.epoch))


if __name__ == '__main__':
    run_or_explain(main)
