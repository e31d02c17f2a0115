"""``mmdark gallery``: a web page of what ``mmdark detect`` found."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from mmdark.cli import SOME_BROKEN, register_everything

DESCRIPTION = """\
Write a web page to look through what mmdark detect found: each photograph, with a slider from dark to brightened.
The photographs are read again, so call it in the folder where detect was called.

example:
  mmdark gallery out                     out/gallery.html, and its pictures in out/gallery_files/"""


def parser() -> argparse.ArgumentParser:
    """The options."""
    parsed = argparse.ArgumentParser(
        'mmdark gallery', description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parsed.add_argument('results', help='folder that mmdark detect wrote, or the results.json in it')
    parsed.add_argument('--out', metavar='FILE', help='the page (default: gallery.html in that folder)')
    light = parsed.add_mutually_exclusive_group()
    light.add_argument('--dark', action='store_true', default=None, help='brighten every photograph')
    light.add_argument('--day', dest='dark', action='store_false', default=None, help='none (default: dark ones)')
    parsed.add_argument('--quiet', action='store_true', help='say nothing but what went wrong')
    return parsed


def run(arguments: list[str]) -> int:
    """Write the page.

    Returns:
        The exit status.

    Raises:
        InputError: there are no results, or the page cannot be written.
    """
    args = parser().parse_args(arguments)
    register_everything()
    return make_gallery(args.results, args.out, args.dark, args.quiet)


def make_gallery(results: str | Path, out: str | None, dark: bool | None, quiet: bool) -> int:
    """Write the page, and say where it is.

    Args:
        results: folder that detect wrote.
        out: path of the page; None: in that folder.
        dark: whether the photographs are dark; None decides for each.
        quiet: say nothing but what went wrong.

    Returns:
        The exit status.

    Raises:
        InputError: there are no results, or the page cannot be written.
    """
    from mmdark.cli.progress import DetectProgress
    from mmdark.inference.gallery import write_gallery

    with DetectProgress(None, quiet, what='gallery') as progress:
        page, lost = write_gallery(
            results, out, dark, after_each=lambda done, total: progress.update(done, total=total)
        )
    for one in lost:
        print(f'{one.source}: {one.reason}; the page only lists it', file=sys.stderr)
    if not quiet:
        print(f'  {page}')
    return SOME_BROKEN if lost else 0
