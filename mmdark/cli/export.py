"""``mmdark export``: weights for others, as ``.pth``, ``.safetensors`` or ONNX."""

from __future__ import annotations

import argparse

from mmdark.cli import register_everything
from mmdark.errors import InputError

DESCRIPTION = """\
Write the weights of a checkpoint alone, or the whole detector as an ONNX file.

examples:
  mmdark export work_dirs/x/best.pth x.safetensors --half
  mmdark export work_dirs/x/best.pth x.pth --detector      the detector of DAI-Net, for MMDetection without mmdark
  mmdark export work_dirs/x/best.pth x.onnx                any batch, any size, suppression inside
  mmdark export work_dirs/x/best.pth x.onnx --no-nms --size 640 640"""

FORMATS = ('pth', 'safetensors', 'onnx')
ONNX_ONLY = ('model', 'half_weights', 'no_nms', 'size', 'opset', 'no_check', 'images')
"""Options that apply only to ONNX files."""


def parser() -> argparse.ArgumentParser:
    """The options."""
    parsed = argparse.ArgumentParser(
        'mmdark export', description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parsed.add_argument('checkpoint', help='of a training, or a file of weights')
    parsed.add_argument('out', help='file to write: *.pth, *.safetensors or *.onnx')
    parsed.add_argument('--format', choices=FORMATS, help='stop if OUT is not named so (default: what its name says)')
    parsed.add_argument(
        '--safetensors', dest='format', action='store_const', const='safetensors', help='short for --format safetensors'
    )
    parsed.add_argument('--half', action='store_true', help='float16 instead of float32')
    parsed.add_argument(
        '--detector', action='store_true', help="the detector's weights alone, for its own config and MMDetection alone"
    )
    onnx = parsed.add_argument_group('for ONNX only')
    onnx.add_argument('--model', metavar='CONFIG', help='config, or the name of one of ours (default: of the weights)')
    onnx.add_argument('--half-weights', action='store_true', help='store in float16, compute in float32: half the size')
    onnx.add_argument('--no-nms', action='store_true', help='all boxes and scores, without suppression')
    onnx.add_argument('--size', type=int, nargs=2, metavar=('H', 'W'), help='one image of this size (default: any)')
    onnx.add_argument('--opset', type=int, help='version of the operators (default: 17)')
    onnx.add_argument('--no-check', action='store_true', help='do not compare with PyTorch')
    onnx.add_argument('--images', nargs='+', metavar='PATH', help='compare on these (default: generated ones)')
    return parsed


def run(arguments: list[str]) -> int:
    """Export a checkpoint and print what was written.

    Raises:
        InputError: the checkpoint cannot be used, the file cannot be written, or a package is missing.
    """
    args = parser().parse_args(arguments)
    kind = args.format or args.out.rpartition('.')[2]
    if kind not in FORMATS or not args.out.endswith(f'.{kind}'):
        ends = [args.format] if args.format else FORMATS
        raise InputError(f'{args.out}: name it {" or ".join(f"*.{end}" for end in ends)}')
    if kind != 'onnx' and (strange := [name for name in ONNX_ONLY if getattr(args, name)]):
        raise InputError(f'--{strange[0].replace("_", "-")} is for ONNX files only: leave it out, or name OUT *.onnx')
    if kind == 'onnx' and args.detector:
        raise InputError('--detector is for weights: leave it out, an ONNX file holds the detector and nothing else')
    register_everything()
    print(_onnx(args) if kind == 'onnx' else _weights(args))
    return 0


def _weights(args: argparse.Namespace) -> str:
    from mmdark.apis import export_weights

    return export_weights(args.checkpoint, args.out, half=args.half, detector=args.detector)


def _onnx(args: argparse.Namespace) -> str:
    from mmdark.deploy import export_onnx
    from mmdark.inference import Inferencer

    inferencer = Inferencer(args.model, args.checkpoint, 'cpu', show_progress=False, backend='torch')
    return export_onnx(
        inferencer.model,
        args.out,
        weights=inferencer.weights,
        nms=not args.no_nms,
        half=args.half,
        half_weights=args.half_weights,
        size=tuple(args.size) if args.size else None,
        check=not args.no_check,
        images=tuple(args.images or ()),
        **(dict(opset=args.opset) if args.opset else {}),
    )
