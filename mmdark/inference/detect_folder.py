"""Detect objects on many photographs and write result files, also after a signal or an error."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmdark.errors import InputError, Terminated

from .image_sources import ImageSource
from .inferencer import Inferencer
from .json_lines import BEGIN
from .result import BrokenImage, DetectionResult
from .result_files import ResultFiles
from .signals import deaf

LISTED = 50
"""Maximum length of :attr:`Detected.broken`; ``results.json`` lists all broken photographs."""


@dataclass
class Detected:
    """Counts of a run.

    Attributes:
        total: number of photographs in the run.
        images: number of photographs that were read.
        with_objects: number of photographs with at least one object.
        objects: number of objects of each class.
        num_broken: number of photographs that could not be read.
        broken: the first :data:`LISTED` of the photographs that could not be read.
        kept: number of photographs kept from an earlier run; the other counts include them.
        ended_by: ``'Ctrl-C'``, ``'SIGTERM'`` or ``''``.
        written: paths of the result files and folders.
    """

    total: int
    images: int = 0
    with_objects: int = 0
    objects: Counter[int] = field(default_factory=Counter)
    num_broken: int = 0
    broken: list[BrokenImage] = field(default_factory=list)
    kept: int = 0
    ended_by: str = ''
    written: list[Path] = field(default_factory=list)

    @property
    def done(self) -> int:
        """Number of processed photographs, including broken ones."""
        return self.images + self.num_broken

    def count(self, item: DetectionResult | BrokenImage) -> None:
        """Add one photograph to the counts."""
        if isinstance(item, BrokenImage):
            self.num_broken += 1
            if len(self.broken) < LISTED:
                self.broken.append(item)
        else:
            self.images += 1
            self.objects.update(item.labels.tolist())
            self.with_objects += len(item) > 0


def detect_folder(
    inferencer: Inferencer,
    sources: Sequence[ImageSource],
    names: Iterable[str],
    files: ResultFiles,
    after_each: Callable[[Detected], None] = lambda detected: None,
    **options: Any,
) -> Detected:
    """Detect objects on each photograph and write the results.

    After Ctrl-C (or SIGTERM, within :func:`.sigterm_raises`), the results so far are written and returned.

    Args:
        inferencer: the detector.
        sources: the photographs; those that ``files`` has kept from an earlier run are skipped.
        names: names of the result files of each photograph; see :func:`.output_names`.
        files: writes the results; closed by this function.
        after_each: called with the counts after each photograph.
        **options: options of :meth:`Inferencer.stream`.

    Raises:
        InputError: the photographs differ from the kept ones, or a file cannot be written. After a failed write the
            message also states how many photographs are done and whether their results are written.
    """
    detected = Detected(len(sources))
    work = zip(sources, names, strict=True)
    _skip_kept(detected, work, files)
    waiting: deque[str] = deque()

    def remaining() -> Iterator[ImageSource]:
        for source, name in work:
            waiting.append(name)
            yield source

    try:
        for item, image in inferencer.stream(remaining(), **options):
            if isinstance(item, BrokenImage):
                files.add_broken(item, waiting.popleft())
            else:
                files.add(waiting.popleft(), item, image)
            detected.count(item)
            after_each(detected)
    except KeyboardInterrupt as signalled:
        detected.ended_by = 'SIGTERM' if isinstance(signalled, Terminated) else 'Ctrl-C'
    except InputError as error:
        raise InputError(f'{error}; {_keep(detected, files)}') from None
    except BaseException:
        _keep(detected, files)
        raise
    with deaf():
        detected.written = files.close(complete=not detected.ended_by)
    return detected


def _skip_kept(detected: Detected, work: Iterator[tuple[ImageSource, str]], files: ResultFiles) -> None:
    """Count the photographs kept from an earlier run; they must be the first photographs of this run."""
    if not files.kept:
        return
    for number, line in enumerate(files.lines(), 1):
        source, name = next(work, (None, None))
        if source is None or (line.item.source, line.name) != (source.name, name):
            raise InputError(
                f'photograph {number} was {line.item.source} and is {source.name if source else "missing"} now: '
                f'give the same photographs again, or {BEGIN}'
            )
        detected.count(line.item)
    detected.kept = files.kept


def _keep(detected: Detected, files: ResultFiles) -> str:
    """Write the results so far, and describe for the error message what was written."""
    done = f'{detected.done} of {detected.total} photographs are done'
    if not detected.done:  # do not replace the results of an earlier run
        return done
    try:
        with deaf():
            written = files.close(complete=False)
    except InputError:
        return f'{done}, their lists could not be written either'
    return f'{done}, their results are in {files.folder}' if written else done
