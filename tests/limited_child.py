"""Run cases with untrusted files in a child with limited memory and time, and judge what each of them did.

One interpreter is started and imports what the cases need; each case is a fork of it, which takes milliseconds. The
interpreter is a fresh one, so that no threads and no memory of earlier tests are in it.

Example::

    def read(path: Path) -> None:  # on the level of a module of tests
        read_checkpoint(path)

    with LimitedChild() as child:
        outcomes = {path.name: child.run(read, path) for path in paths}
    assert faults(outcomes) == {}
"""

from __future__ import annotations

import multiprocessing
import os
import resource
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import IO, Any, NamedTuple

from mmdark.errors import InputError

MEMORY = 4 << 30
SECONDS = 20.0
LONGEST_LINE = 300
"""Characters of an error line."""
HEADROOM = 2 << 30
"""What a case may use at least: builds of torch for CUDA take more than ``MEMORY`` of addresses by being imported."""
GOOD = ('read', 'refused')
_OUT_OF_MEMORY = ('MemoryError', "can't allocate memory", 'Cannot allocate memory', 'std::bad_alloc')


class Outcome(NamedTuple):
    """What a case did.

    Attributes:
        kind: ``'read'`` (it returned), ``'refused'`` (an InputError, or an exit as the tools have it, with one line),
            ``'bad line'`` (such a line is empty, several lines or too long), ``'traceback'``, ``'out of memory'``
            (also where a line was made of it), ``'hang'`` or ``'killed'`` (ended by a signal).
        said: the line, the traceback, or what the case returned, as text.
        seconds: how long it took.
        peak: the most memory that it held, in MB.
        printed: what it wrote to stdout and stderr.
    """

    kind: str
    said: str
    seconds: float
    peak: int
    printed: str


def faults(outcomes: Mapping[str, Outcome]) -> dict[str, Outcome]:
    """The cases that neither returned nor ended with one line."""
    return {name: outcome for name, outcome in outcomes.items() if outcome.kind not in GOOD}


class LimitedChild:
    """The interpreter whose forks run the cases; a context manager.

    Args:
        memory: limit of the address space of a case, in bytes.
        seconds: after which a case is ended.
    """

    def __init__(self, memory: int = MEMORY, seconds: float = SECONDS) -> None:
        context = multiprocessing.get_context('spawn')
        self._connection, far_end = context.Pipe()
        self._server = context.Process(target=_serve, args=(far_end, memory, seconds))
        self._server.start()
        far_end.close()

    def __enter__(self) -> LimitedChild:
        return self

    def __exit__(self, *error: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._connection.close()
        self._server.join()

    def run(self, case: Callable[..., Any], *arguments: Any) -> Outcome:
        """Run one case.

        Args:
            case: a function of a module, which the child imports by name.
            arguments: for the function; they are pickled.
        """
        self._connection.send((case, arguments))
        return self._connection.recv()


def _serve(connection: Connection, memory: int, seconds: float) -> None:
    while True:
        try:
            case, arguments = connection.recv()
        except EOFError:
            return
        connection.send(_outcome(case, arguments, memory, seconds))


def _outcome(case: Callable[..., Any], arguments: tuple, memory: int, seconds: float) -> Outcome:
    """Fork, wait, and judge."""
    context = multiprocessing.get_context('fork')
    near_end, far_end = context.Pipe(duplex=False)
    with tempfile.TemporaryFile('w+', encoding='utf-8', errors='replace') as output:
        begun = time.monotonic()
        process = context.Process(target=_run_case, args=(far_end, output, memory, case, arguments))
        process.start()
        far_end.close()
        kind, said, peak = 'hang', f'not done after {seconds:g} s', 0
        if near_end.poll(seconds):
            try:
                kind, said, peak = near_end.recv()
            except EOFError:
                process.join()
                kind, said = 'killed', f'ended by signal {-process.exitcode}'
        else:
            process.kill()
        process.join()
        output.seek(0)
        printed = output.read()
    return Outcome(*_checked(kind, said, printed), time.monotonic() - begun, peak, printed)


def _checked(kind: str, said: str, printed: str) -> tuple[str, str]:
    if kind in GOOD and 'Traceback (most recent call last)' in printed:
        return 'traceback', printed
    if kind == 'refused':
        said = said or (printed.strip().splitlines() or [''])[-1]
        if not said or len(said.splitlines()) != 1 or len(said) > LONGEST_LINE:
            return 'bad line', said
    return kind, said


def _run_case(connection: Connection, output: IO[str], memory: int, case: Callable[..., Any], arguments: tuple) -> None:
    """In the fork."""
    for number in (sys.stdout.fileno(), sys.stderr.fileno()):
        os.dup2(output.fileno(), number)
    limit = max(memory, _address_space() + HEADROOM)
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    kind, said = _called(case, arguments)
    sys.stdout.flush()
    sys.stderr.flush()
    connection.send((kind, said, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10))


def _called(case: Callable[..., Any], arguments: tuple) -> tuple[str, str]:
    try:
        return 'read', str(case(*arguments))
    except SystemExit as end:
        if not end.code:
            return 'read', ''
        error, kind, said = end, 'refused', end.code if isinstance(end.code, str) else ''
    except InputError as refusal:
        error, kind, said = refusal, 'refused', str(refusal)
    except BaseException as fault:
        error, kind, said = fault, 'traceback', traceback.format_exc()
    return ('out of memory' if _is_out_of_memory(error) else kind), said


def _is_out_of_memory(error: BaseException | None) -> bool:
    """Whether the error, or one that it was made of, says that there is no more memory."""
    while error is not None:
        if any(words in f'{type(error).__name__}: {error}' for words in _OUT_OF_MEMORY):
            return True
        error = error.__cause__ or error.__context__
    return False


def _address_space() -> int:
    return int(Path('/proc/self/statm').read_text().split()[0]) * resource.getpagesize()
