"""``mmdark merge``: the shares of ``mmdark detect --shard`` become the results of one run."""

from __future__ import annotations

import argparse
import sys

from mmdark.cli import SOME_BROKEN, register_everything

DESCRIPTION = """\
Join the shares that mmdark detect --shard 1/N to N/N looked at: the files are those of one run over all photographs.

examples:
  mmdark merge out                            all shares were written to one folder
  mmdark merge out1 out2 --out-dir out        each to its own; pictures and label files are brought to out, too
  mmdark merge out --csv                      other lists of what was found, of shares or of one run"""


def parser() -> argparse.ArgumentParser:
    """The options."""
    parsed = argparse.ArgumentParser(
        'mmdark merge', description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parsed.add_argument('folders', nargs='+', metavar='DIR', help='--out-dir of mmdark detect')
    parsed.add_argument('--out-dir', metavar='DIR', help='where to (default: the folder, where there is one)')
    for name, says in dict(json='results.json', csv='results.csv', coco='coco_*.json').items():
        parsed.add_argument(f'--{name}', action='store_true', help=f'{says} (default: what detect was asked for)')
    parsed.add_argument('--quiet', action='store_true', help='say nothing but what went wrong')
    return parsed


def run(arguments: list[str]) -> int:
    """Join the shares and print the paths of the results.

    Returns:
        The exit status.

    Raises:
        InputError: a share is missing, incomplete, or from another run, or a file cannot be written.
    """
    args = parser().parse_args(arguments)
    register_everything()
    from mmdark.drawing import counted, counted_classes
    from mmdark.inference.detect_folder import Detected
    from mmdark.inference.merge import join_shares, shares_in

    out = args.out_dir or (args.folders[0] if len(args.folders) == 1 else None)
    if out is None:
        parser().error('several folders: name the one that gets the results (--out-dir DIR)')
    shares = shares_in(args.folders)
    formats = {name for name in ('json', 'csv', 'coco') if getattr(args, name)}
    detected = Detected(0)
    for line in shares.lines():
        detected.count(line.item)
    written = join_shares(shares, out, formats)
    if detected.num_broken:
        print(f'{counted(detected.num_broken, "file")} could not be read; results.jsonl names them', file=sys.stderr)
    if not args.quiet:
        objects = counted_classes(detected.objects, shares.class_names)
        print(f'{objects} on {detected.with_objects} of {counted(detected.images, "image")}')
        print(*(f'  {path}{"/" if path.is_dir() else ""}' for path in written), sep='\n')
    return SOME_BROKEN if detected.num_broken else 0
