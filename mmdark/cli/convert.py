"""``mmdark convert``: convert published weights to mmdark's names, or back.

The model is recognised by its keys: a detector of the published DAI-Net or DSFD code (dark, vgg, resnet50, resnet101,
resnet152), the teacher (``decomp.pth`` or RetinexNet's ``.tar``), or pretrained backbone weights
(``vgg16_reducedfc.pth``, torchvision's ResNets).
"""

from __future__ import annotations

import argparse

from mmdark.cli import register_everything


def run(arguments: list[str]) -> int:
    """Convert a file and print what it contained.

    Raises:
        InputError: the file is none of these, or the target cannot be written.
    """
    register_everything()
    from mmdark.apis import PARTS, PUBLISHED_MODELS, convert_file

    parser = argparse.ArgumentParser(
        'mmdark convert', description='Convert published weights to names of mmdark, or back.'
    )
    parser.add_argument('source', help='published weight file; with --reverse a checkpoint of mmdark')
    parser.add_argument('target', help='file to write')
    parser.add_argument('--reverse', action='store_true', help='from our names to the published ones')
    parser.add_argument('--model', choices=[*PUBLISHED_MODELS, *PARTS], help='stop if the file is not this model')
    parser.add_argument(
        '--epoch', type=int, help='with --reverse: wrap for --resume of the published training script, at this epoch'
    )
    args = parser.parse_args(arguments)
    print(convert_file(args.source, args.target, args.reverse, args.model, args.epoch))
    return 0
