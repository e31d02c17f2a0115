"""Plot the precision-recall curves of a detector, sized for one column of a paper."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from mmdark.errors import InputError
from mmdark.whole_file import writing_whole

from .average_precision import PrecisionRecall, Score

FORMATS = ('.pdf', '.png', '.svg')
SIZE = (3.4, 2.6)
"""Width and height in inches; a column of a two-column paper is 3.4 wide."""
DOTS_PER_INCH = 300
STYLES = (('#0072B2', 'o'), ('#E69F00', 's'), ('#000000', '^'), ('#009E73', 'D'))
"""Colour (by Okabe and Ito, for colour-blind readers) and mark (for print in grey) of each subset."""
_MOST_POINTS = 2000
_FONT = {'font.size': 8, 'axes.linewidth': 0.6, 'pdf.fonttype': 42, 'svg.fonttype': 'none'}


def check_plot_path(path: str | os.PathLike | None) -> None:
    """Raise an error for an unsupported format before the evaluation starts.

    Raises:
        InputError: the path ends in none of :data:`FORMATS`.
    """
    if path is not None and Path(path).suffix.lower() not in FORMATS:
        raise InputError(f'--plot {path}: a plot can be {", ".join(FORMATS)}; give a name that ends in one of them')


def plot_precision_recall(path: str | os.PathLike, scores: Mapping[str, Score]) -> None:
    """Draw the curves of all subsets, official solid and exact thin and dashed, with their AP in the legend.

    Args:
        path: path of the figure; the suffix selects the format, and the folder is created.
        scores: subset → score; at most as many subsets as :data:`STYLES` are drawn.

    Raises:
        InputError: the format is unknown, or the file cannot be written.
    """
    check_plot_path(path)
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with matplotlib.rc_context(_FONT):
        figure = Figure(figsize=SIZE, dpi=DOTS_PER_INCH, layout='constrained')
        FigureCanvasAgg(figure)
        axes = figure.add_subplot()
        for (name, score), (colour, mark) in zip(scores.items(), STYLES, strict=False):
            label = f'{name}  {score.official.average_precision:.3f} / {score.exact.average_precision:.3f}'
            line = dict(color=colour, markevery=0.17, markersize=3, solid_capstyle='round')
            axes.plot(*_points(score.official), lw=1.2, marker=mark, label=label, **line)
            axes.plot(*_points(score.exact), lw=0.6, ls=(0, (4, 3)), color=colour)
        axes.set(xlim=(0, 1), ylim=(0, 1.02), xlabel='recall', ylabel='precision')
        axes.grid(lw=0.3, color='0.85')
        axes.legend(loc='lower left', title='AP: official (solid) / exact (dashed)', title_fontsize=7, fontsize=7)
        with writing_whole(path, '--plot') as part:
            figure.savefig(part, format=Path(path).suffix[1:])


def _points(curve: PrecisionRecall) -> tuple[np.ndarray, np.ndarray]:
    """Recall and precision of at most :data:`_MOST_POINTS` defined points, the first and the last among them."""
    defined = np.flatnonzero(np.isfinite(curve.recall) & np.isfinite(curve.precision))
    places = np.linspace(0, max(len(defined) - 1, 0), min(len(defined), _MOST_POINTS)).astype(int)
    return curve.recall[defined[places]], curve.precision[defined[places]]
