"""Photograph after photograph to result files; after Ctrl-C or an error what was done is written, too."""

from __future__ import annotations

import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmdark.errors import InputError

from .image_sources import ImageSource
from .inferencer import Inferencer
from .result import BrokenImage, DetectionResult
from .result_files import ResultFiles


@dataclass
class Detected:
    """What came of a run.

    Attributes:
        total: photographs that were to be looked at.
        images: of them, those that were.
        with_objects: of these, those with at least one object.
        objects: of each class, on all of them.
        broken: photographs that could not be read.
        interrupted: whether Ctrl-C ended it.
        written: files and folders with results.
    """

    total: int
    images: int = 0
    with_objects: int = 0
    objects: Counter[int] = field(default_factory=Counter)
    broken: list[BrokenImage] = field(default_factory=list)
    interrupted: bool = False
    written: list[Path] = field(default_factory=list)

    @property
    def done(self) -> int:
        """Photographs that are behind us, looked at or broken."""
        return self.images + len(self.broken)

    def count(self, item: DetectionResult | BrokenImage) -> None:
        """Count one more."""
        if isinstance(item, BrokenImage):
            self.broken.append(item)
        else:
            self.images += 1
            self.objects.update(item.labels.tolist())
            self.with_objects += len(item) > 0


def detect_folder(
    inferencer: Inferencer,
    sources: Sequence[ImageSource],
    names: Sequence[str],
    files: ResultFiles,
    after_each: Callable[[Detected], None] = lambda detected: None,
    **options: Any,
) -> Detected:
    """Find objects on each photograph and write what was found.

    A broken photograph is counted and named, the others go on. Ctrl-C ends it early and orderly. After any other end
    the results so far are written, too, before the error goes on.

    Args:
        inferencer: looks at them.
        sources: the photographs.
        names: of their results, see :func:`mmdark.inference.output_names.output_names`.
        files: takes the results, and is closed here.
        after_each: is called after each photograph.
        **options: of :meth:`Inferencer.stream`.

    Raises:
        InputError: a file cannot be written, such as on a full disk; the line says how many photographs were done and
            whether their results are there.
    """
    detected = Detected(len(sources))
    try:
        for name, (item, image) in zip(names, inferencer.stream(sources, **options), strict=True):
            if isinstance(item, BrokenImage):
                files.add_broken(item)
            else:
                files.add(name, item, image)
            detected.count(item)
            after_each(detected)
    except KeyboardInterrupt:
        detected.interrupted = True
    except InputError as error:
        raise InputError(f'{error}; {_kept(detected, files)}') from None
    except BaseException:
        _kept(detected, files)
        raise
    with _deaf_to_interrupts():
        detected.written = files.close(complete=not detected.interrupted)
    return detected


def _kept(detected: Detected, files: ResultFiles) -> str:
    """Write the results so far, and say whether that went well."""
    done = f'{detected.done} of {detected.total} photographs are done'
    if not detected.done:  # what an earlier run has written here stays
        return done
    try:
        with _deaf_to_interrupts():
            written = files.close(complete=False)
    except InputError:
        return f'{done}, their lists could not be written either'
    return f'{done}, their results are in {files.folder}' if written else done


@contextmanager
def _deaf_to_interrupts() -> Iterator[None]:
    """Whoever presses Ctrl-C twice must not lose what the first one left."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
