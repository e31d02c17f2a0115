"""Files of checkpoints: their names, and a file backend that writes them whole or not at all."""

from __future__ import annotations

import os
import re
from pathlib import Path

from mmengine.fileio import LocalBackend, register_backend

from mmdark.whole_file import write_verified


@register_backend('whole', force=True)
class WholeFileBackend(LocalBackend):
    """``LocalBackend`` that replaces a file only by a verified one: ``backend_args=dict(backend='whole')``.

    mmengine's own truncates the file first, so a process killed while writing leaves a truncated file.
    """

    def put(self, obj: bytes, filepath: str | Path) -> None:
        """Write bytes.

        Raises:
            OSError: they cannot be written; the old file is untouched.
        """
        write_verified(Path(filepath), obj)

    def put_text(self, obj: str, filepath: str | Path, encoding: str = 'utf-8') -> None:
        """Write text; errors as of :meth:`put`."""
        write_verified(Path(filepath), obj.encode(encoding))


def is_checkpoint_name(name: str, template: str) -> bool:
    """Whether the checkpoint hook writes files of this name; ``template`` is its ``filename_tmpl``.

    Example:
        >>> is_checkpoint_name('best_dark_wider_AP_epoch_3.pth', 'epoch_{}.pth')
        True
        >>> is_checkpoint_name('epoch_a.pth', 'epoch_{}.pth')
        False
    """
    numbered = re.sub(r'\\{.*\\}', r'\\d+', re.escape(template))
    return re.fullmatch(rf'(best_.+_)?({numbered}|iter_\d+\.pth)', name) is not None


def same_place(path: str, other: str) -> bool:
    """Whether two paths, or two addresses of another file backend, are the same place."""
    local = '://' not in path + other
    return path == other or (local and os.path.realpath(path) == os.path.realpath(other))
