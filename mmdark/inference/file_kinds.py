"""Recognise images and videos by their first bytes, and list the files of a folder."""

from __future__ import annotations

import glob
import os
import re
import stat
from collections.abc import Iterator

from mmdark.file_limits import walk_once

IMAGE, VIDEO = 'image', 'video'
START = 4096
GIF = b'GIF8'
IMAGES = (
    rb'\xff\xd8\xff',  # JPEG
    rb'\x89PNG\r\n\x1a\n',
    rb'GIF8[79]a',
    rb'BM.{12}[\x0c\x28\x34\x38\x40\x6c\x7c]\x00\x00\x00',  # BMP with a valid header size
    rb'II[*+]\x00',  # TIFF
    rb'MM\x00[*+]',
    rb'RIFF.{4}WEBP',
    rb'P[1-6]\s+(#.*\n)?\d+\s+\d+\s',  # PNM
    rb'\x00\x00\x00\x0cjP  \r\n\x87\n',  # JPEG 2000
    rb'\xff\x4f\xff\x51',
    rb'.{4}ftyp(avif|avis|heic|heix|heim|heis|hevc|hevx|mif1|msf1)',
)
VIDEOS = (
    rb'.{4}(ftyp|moov|mdat|wide|free|skip|pnot)',  # MP4, MOV, 3GP
    rb'\x1a\x45\xdf\xa3',  # Matroska, WebM
    rb'RIFF.{4}AVI ',
    rb'\x30\x26\xb2\x75\x8e\x66\xcf\x11',  # ASF, WMV
    rb'FLV\x01',
    rb'\x00\x00\x01[\xb3\xba]',  # MPEG, VOB
    rb'\x00?\x00\x00\x01[\x67\x09\x40\x42]',  # H.264, H.265 without a container
    rb'\x47.{187}\x47.{187}\x47',  # transport streams
    rb'.{4}\x47.{191}\x47.{191}\x47',
    rb'OggS',
    rb'\.RMF',
    rb'DKIF',
)
_IMAGES, _VIDEOS = (re.compile(b'|'.join(b'(?:%s)' % one for one in some), re.DOTALL) for some in (IMAGES, VIDEOS))
_JPEGS = re.compile(rb'\xff\xd9\xff\xd8\xff')
_SEVERAL = b'MPF\x00'
"""Marks a JPEG that is followed by further pictures, such as the depth map of a phone's camera."""
MJPEG = 1 << 24
"""Number of bytes in which the second picture of a Motion JPEG stream must start to be recognised."""


def kind_of(path: str | os.PathLike) -> str | None:
    """``'image'`` or ``'video'``; None if the first bytes match neither or cannot be read.

    An animated GIF and a Motion JPEG stream are videos.
    """
    content = _start_of(path, START)
    if content.startswith(GIF):
        return VIDEO if is_animated(path) else IMAGE
    if content.startswith(b'\xff\xd8\xff'):
        content = _start_of(path, MJPEG)
        return VIDEO if _JPEGS.search(content) and _SEVERAL not in content else IMAGE
    if _IMAGES.match(content):
        return IMAGE
    return VIDEO if _VIDEOS.match(content) else None


def is_animated(path: str | os.PathLike) -> bool:
    """Whether an image file (GIF, WebP, PNG, AVIF) is an animation."""
    content = _start_of(path, START)
    if not (content.startswith((GIF, b'RIFF')) or b'acTL' in content or content[4:12] == b'ftypavis'):
        return False
    from PIL import Image

    try:
        with Image.open(path) as image:
            return bool(getattr(image, 'is_animated', False))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return False  # the error is reported when the image is read


def foreign_format(path: str | os.PathLike) -> str | None:
    """Why OpenCV could not decode an image, if it is AVIF or HEIC; else None."""
    found = re.match(rb'.{4}ftyp(avi|hei|hev|mif|msf)', _start_of(path, START), re.DOTALL)
    if not found:
        return None
    name = 'AVIF' if found[1] == b'avi' else 'HEIC'
    return f'{name}, which this OpenCV does not read; save it as JPEG or PNG'


def files_below(folder: str) -> Iterator[str]:
    """Paths of the files in a folder and its subfolders, unsorted, without hidden ones; see :func:`walk_once`."""
    for place, folders, names in walk_once(folder):
        folders[:] = [name for name in folders if not name.startswith('.')]
        yield from (os.path.join(place, name) for name in names if not name.startswith('.'))


def literal_start(pattern: str) -> str:
    """Escape the brackets and stars in the part of a pattern that is the path of an existing folder.

    Example:
        >>> literal_start('no such[1]/*.jpg')
        'no such[1]/*.jpg'
    """
    folder, name = os.path.split(pattern)
    rest = [name]
    while folder and folder != os.path.dirname(folder):
        if os.path.isdir(folder):
            return os.path.join(glob.escape(folder), *reversed(rest))
        folder, name = os.path.split(folder)
        rest.append(name)
    return pattern


def _start_of(path: str | os.PathLike, count: int) -> bytes:
    """The first bytes of a file; empty if it is not a regular file or cannot be read."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            return b''
        with open(path, 'rb') as file:
            return file.read(count)
    except (OSError, ValueError):
        return b''
