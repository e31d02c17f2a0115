"""Checkpoint file names, and a file backend that never leaves partly written files."""

from __future__ import annotations

import os
import re
from pathlib import Path

from mmengine.fileio import LocalBackend, register_backend

from mmdark.whole_file import write_verified


@register_backend('whole', force=True)
class WholeFileBackend(LocalBackend):
    """``LocalBackend`` that replaces a file only after verifying the new one: ``backend_args=dict(backend='whole')``.

    mmengine's ``LocalBackend`` truncates the file first, so a process killed while writing leaves a truncated file.
    """

    def put(self, obj: bytes, filepath: str | Path) -> None:
        """Write bytes.

        Raises:
            OSError: the bytes cannot be written; the old file is unchanged.
        """
        write_verified(Path(filepath), obj)

    def put_text(self, obj: str, filepath: str | Path, encoding: str = 'utf-8') -> None:
        """Write text; raises the same errors as :meth:`put`."""
        write_verified(Path(filepath), obj.encode(encoding))


def is_checkpoint_name(name: str, template: str) -> bool:
    """Whether ``name`` is a file name of a checkpoint hook whose ``filename_tmpl`` is ``template``.

    Example:
        >>> is_checkpoint_name('best_dark_wider_AP_epoch_3.pth', 'epoch_{}.pth')
        True
        >>> is_checkpoint_name('epoch_a.pth', 'epoch_{}.pth')
        False
    """
    numbered = re.sub(r'\\{.*\\}', r'\\d+', re.escape(template))
    return re.fullmatch(rf'(best_.+_)?({numbered}|iter_\d+\.pth)', name) is not None


def same_place(path: str, other: str) -> bool:
    """Whether two paths, or two URLs of another file backend, refer to the same file or folder."""
    local = '://' not in path + other
    return path == other or (local and os.path.realpath(path) == os.path.realpath(other))
