"""Curves of trainings: every loss term over the iterations, AP and the validation loss over the epochs."""

from __future__ import annotations

import fnmatch
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mmdark.errors import InputError
from mmdark.whole_file import writing_whole

from .run_log import RunLog, Scalars

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FORMATS = ('.pdf', '.png', '.svg')
LOSSES = ('loss', '*_loss_*', 'loss_*')
SCORES = ('*/AP', '*/mAP', '*/bbox_mAP_50', '*loss')
"""Which scalars of the training and of its validations are drawn unless others are asked for."""
STYLES = (
    ('#000000', '-', 'o'),
    ('#0072B2', (0, (5, 1.5)), 's'),
    ('#E69F00', (0, (1.5, 1)), '^'),
    ('#009E73', (0, (6, 1.5, 1.5, 1.5)), 'D'),
    ('#CC79A7', (0, (3, 3)), 'v'),
    ('#D55E00', (0, (6, 1, 1, 1, 1, 1)), 'X'),
)
"""Colour (of Okabe and Ito, whom the colour-blind can follow), line and mark (for print in grey) of each run."""
COLUMNS = 4
PANEL = (1.95, 1.45)
"""Width and height of a panel, inches."""
DOTS_PER_INCH = 200
_LOG_FROM = 20.0
"""A loss that spans more than this factor gets a logarithmic axis."""
_MOST_POINTS = 2000
_FONT = {'font.size': 7, 'axes.titlesize': 7, 'axes.linewidth': 0.6, 'pdf.fonttype': 42, 'svg.fonttype': 'none'}


def check_curves_path(path: str | os.PathLike) -> None:
    """Refuse a format before anything is read.

    Raises:
        InputError: the path ends in none of :data:`FORMATS`.
    """
    if Path(path).suffix.lower() not in FORMATS:
        raise InputError(f'--out {path}: curves can be {", ".join(FORMATS)}; give a name that ends in one of them')


def plot_runs(
    path: str | os.PathLike, runs: Sequence[RunLog], keys: Sequence[str] | None = None, smooth: int | None = None
) -> None:
    """Draw small multiples: one panel for each scalar, and in it a line for each run.

    Args:
        path: of the figure; the suffix says the format, its folder is made.
        runs: at most as many as there are :data:`STYLES`.
        keys: names as in the log, ``*`` and ``?`` are allowed; None draws the losses, AP and the validation loss.
        smooth: mean over so many logged values, over the values themselves, which are faint; None: a fiftieth of them.

    Raises:
        InputError: too many runs, nothing to draw, an unknown format, or the file cannot be written.
    """
    check_curves_path(path)
    if len(runs) > len(STYLES):
        raise InputError(f'{len(runs)} runs are too many for one figure: name at most {len(STYLES)}')
    losses = _names([run.train for run in runs], keys or LOSSES)
    scores = _names([run.val for run in runs], keys or SCORES)
    if not losses and not scores:
        known = {name for run in runs for line in (*run.train, *run.val) for name in line}
        raise InputError(f'there is nothing to draw; the log knows {", ".join(sorted(known)) or "no scalar at all"}')
    import matplotlib

    with matplotlib.rc_context(_FONT):
        figure = _draw(runs, losses, scores, smooth)
        with writing_whole(path, '--out') as part:
            figure.savefig(part, format=Path(path).suffix[1:])


def curve(lines: Sequence[Scalars], place: str, name: str) -> tuple[np.ndarray, np.ndarray]:
    """One scalar of a run: where (``iter`` or ``epoch``) and how much; values that are no number are left out."""
    points = np.array([(line[place], line[name]) for line in lines if name in line], dtype=float).reshape(-1, 2)
    points = points[np.isfinite(points).all(1)]
    return points[:, 0], points[:, 1]


def smoothed(values: np.ndarray, window: int) -> np.ndarray:
    """Mean over the ``window`` values around each; over as many as there are near the ends."""
    sums = np.concatenate([[0.0], np.cumsum(values)])
    places = np.arange(len(values))
    low, high = np.maximum(places - window // 2, 0), np.minimum(places + (window + 1) // 2, len(values))
    return (sums[high] - sums[low]) / (high - low)


def run_labels(runs: Sequence[RunLog]) -> list[str]:
    """What tells the runs apart: the config's name, with the seed or the folder where that is the same."""
    labels = [run.name for run in runs]
    for told in (lambda run: f'{run.name}, seed {run.seed}', lambda run: str(run.work_dir)):
        counts = Counter(labels)
        labels = [told(run) if counts[label] > 1 else label for run, label in zip(runs, labels, strict=True)]
    return labels


def _names(logs: Sequence[Sequence[Scalars]], patterns: Sequence[str]) -> list[str]:
    """The scalars that fit one of the patterns, in the order of the log."""
    known = dict.fromkeys(name for lines in logs for line in lines for name in line)
    return [name for name in known if any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)]


def _draw(runs: Sequence[RunLog], losses: list[str], scores: list[str], smooth: int | None) -> Figure:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    columns = min(COLUMNS, max(len(losses), len(scores), 2))
    rows = -(-len(losses) // columns), -(-len(scores) // columns)
    size = (PANEL[0] * columns, PANEL[1] * sum(rows))
    figure = Figure(figsize=size, dpi=DOTS_PER_INCH, layout='constrained')
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(sum(rows), columns)
    places = [divmod(place, columns) for place in range(len(losses))]
    places += [(rows[0] + row, column) for row, column in (divmod(place, columns) for place in range(len(scores)))]
    for (row, column), name in zip(places, [*losses, *scores], strict=True):
        axes = figure.add_subplot(grid[row, column])
        trained = row < rows[0]
        for run, (colour, dashes, mark) in zip(runs, STYLES, strict=False):
            x, y = curve(run.train, 'iter', name) if trained else curve(run.val, 'epoch', name)
            window = 1 if not trained else smooth or max(len(y) // 50, 1)
            marks = mark if not trained or len(y) == 1 else None
            _line(axes, x, y, window, dict(color=colour, ls=dashes, marker=marks))
        _finish(axes, name, 'iteration' if trained else 'epoch', scale=trained or name.endswith('loss'))
    _legend(figure, run_labels(runs))
    return figure


def _legend(figure: Figure, labels: list[str]) -> None:
    """Above the panels, in two columns where the names are short enough; the figure grows by its height."""
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=colour, ls=dashes, marker=mark, markersize=3)
        for colour, dashes, mark in STYLES[: len(labels)]
    ]
    for columns in (min(len(labels), 2), 1):
        legend = figure.legend(
            handles, labels, loc='outside upper left', ncols=columns, handlelength=3.5, frameon=False
        )
        extent = legend.get_window_extent(figure.canvas.get_renderer())
        if extent.width <= figure.bbox.width or columns == 1:
            break
        legend.remove()
    width, height = figure.get_size_inches()
    figure.set_size_inches(width, height + extent.height / figure.dpi)


def _line(axes: Axes, x: np.ndarray, y: np.ndarray, window: int, style: dict) -> None:
    """The values, faint where they are smoothed, and their means."""
    few = np.linspace(0, max(len(x) - 1, 0), min(len(x), _MOST_POINTS)).astype(int)
    if window > 1:
        axes.plot(x[few], y[few], color=style['color'], lw=0.4, alpha=0.3)
    axes.plot(x[few], smoothed(y, window)[few], lw=1.0, markersize=2.5, markevery=max(len(few) // 8, 1), **style)


def _finish(axes: Axes, name: str, place: str, scale: bool) -> None:
    from matplotlib.ticker import EngFormatter, FixedLocator, LogLocator, MaxNLocator, NullFormatter, StrMethodFormatter

    drawn = np.concatenate([line.get_ydata() for line in axes.lines])
    if scale and len(drawn) and drawn.min() > 0 and drawn.max() / drawn.min() > _LOG_FROM:
        axes.set_yscale('log')
        axes.yaxis.set_major_locator(LogLocator(numticks=5))
        axes.yaxis.set_major_formatter(StrMethodFormatter('{x:g}'))
        axes.yaxis.set_minor_formatter(NullFormatter())
    else:
        axes.ticklabel_format(axis='y', scilimits=(-2, 4))
    if not scale:  # a score
        axes.set_ylim(0, max(1.05 * drawn.max(initial=0), 0.05))
    places = {x for line in axes.lines for x in line.get_xdata()}
    axes.xaxis.set_major_locator(FixedLocator([*places]) if len(places) == 1 else MaxNLocator(4, integer=True))
    if place == 'iteration':  # 40k
        axes.xaxis.set_major_formatter(EngFormatter(sep=''))
    axes.set_title(name, loc='right')  # the exponent of the axis stands on the left
    axes.set_xlabel(place, labelpad=1)
    axes.grid(lw=0.3, color='0.85')
    axes.tick_params(length=2, pad=1.5, width=0.6)
