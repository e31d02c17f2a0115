"""Kill ``mmdark detect`` again and again on many small photographs, resume it, and compare every byte; also in shares.

``python -m tests.killed_folder FOLDER --count 10000`` makes the photographs and takes some minutes; other options
go to ``mmdark detect``.
"""

from __future__ import annotations

import argparse
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np

SIDE = 32
"""Pixels of a photograph."""
A_FOLDER = 1000
"""Photographs in a folder."""
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
"""What ends a run, in turn."""


def make_photos(folder: Path, count: int) -> Path:
    """Blurred noise, some of it cut off."""
    noise = np.random.default_rng(0)
    for number in range(count):
        path = folder / f'{number // A_FOLDER:03}' / f'{number:07}.png'
        path.parent.mkdir(parents=True, exist_ok=True)
        image = cv2.GaussianBlur(noise.integers(0, 255, (SIDE, SIDE, 3), np.uint8), (5, 5), 2)
        content = cv2.imencode('.png', image)[1].tobytes()
        path.write_bytes(content[:-20] if number % 997 == 5 else content)
    return folder


def start(*arguments: str | Path) -> subprocess.Popen:
    """``mmdark detect``, which a shell without job control would have ignore Ctrl-C."""
    code = (
        'import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); '
        'from mmdark.cli import main; sys.exit(main())'
    )
    return subprocess.Popen([sys.executable, '-c', code, *map(str, arguments)], stderr=subprocess.DEVNULL)


def lines_in(path: Path) -> int:
    """Lines of a file that may not be there yet."""
    return path.read_bytes().count(b'\n') if path.exists() else 0


def detect_and_kill(photos: Path, out: Path, kills: int, count: int, options: list[str]) -> list[str]:
    """Run until all is done, killed ``kills`` times at places drawn by chance; what happened, a line a run."""
    chance, said = random.Random(0), []
    command = ['detect', photos, '--out-dir', out, '--resume', '--quiet', *options]
    for number, at in enumerate(sorted(chance.sample(range(1, count), kills))):
        process, ending = start(*command), SIGNALS[number % len(SIGNALS)]
        while lines_in(out / 'results.jsonl') < at and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(ending)
        said.append(f'{ending.name} at {lines_in(out / "results.jsonl") - 1}, exit status {process.wait()}')
    said.append(f'resumed, exit status {start(*command).wait()}')
    return said


def main() -> int:
    """Compare; the exit status is 1 where bytes differ."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('folder', type=Path)
    parser.add_argument('--count', type=int, default=10000)
    parser.add_argument('--kills', type=int, default=5)
    args, options = parser.parse_known_args()
    options = ['--score-thr', '0.02', *options]  # so that there is something to compare
    photos = make_photos(args.folder / 'photos', args.count)
    whole, killed, shares = (args.folder / name for name in ('whole', 'killed', 'shares'))
    begun = time.monotonic()
    status = start('detect', photos, '--out-dir', whole, *options).wait()
    print(f'whole: exit status {status}, {time.monotonic() - begun:.0f} s')
    print(*detect_and_kill(photos, killed, args.kills, args.count, options), sep='\n')
    for part in (1, 2):
        start('detect', photos, '--out-dir', shares, '--shard', f'{part}/2', '--quiet', *options).wait()
    print('merge: exit status', start('merge', shares).wait())
    names = [path.relative_to(whole) for path in sorted(whole.rglob('*')) if path.is_file()]
    other = []
    for name in names:
        for folder in (killed, shares):
            merged_lines = folder == shares and name.name == 'results.jsonl'
            if not merged_lines and (folder / name).read_bytes() != (whole / name).read_bytes():
                other.append(folder / name)
    faces = (whole / 'results.json').read_bytes().count(b'"bbox"')
    print(f'{len(names)} files, {faces} boxes in results.json:', other or 'all equal')
    return int(bool(other) or faces < args.count)


if __name__ == '__main__':
    sys.exit(main())
