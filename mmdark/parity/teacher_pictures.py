"""What Retinex teachers make of a light image and its dark version, as one picture."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from torch import Tensor

from mmdark.adaptation.retinex_net import Decomposition
from mmdark.whole_file import writing_whole

from .teachers import Pair

INCHES = 2.2
"""Width of one image in the picture."""
DOTS_PER_INCH = 100


def draw_teachers(path: str | Path, pair: Pair, teachers: Mapping[str, tuple[Decomposition, Decomposition]]) -> None:
    """Draw the image beside reflectance and illumination of each teacher; above light, below dark.

    Args:
        path: of the picture; its folder is made.
        pair: the image.
        teachers: name → its decompositions of the light and of the dark image.

    Raises:
        InputError: the picture cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    columns = [('image S', pair.light, pair.dark)]
    for name, (of_light, of_dark) in teachers.items():
        columns.append((f'{name}\nreflectance R', of_light.reflectance, of_dark.reflectance))
        columns.append((f'{name}\nillumination I', of_light.illumination, of_dark.illumination))
    height, width = pair.light.shape[2:]
    size = (INCHES * len(columns) + 0.4, 2 * INCHES * height / width + 0.6)
    figure = Figure(figsize=size, dpi=DOTS_PER_INCH, layout='constrained')
    FigureCanvasAgg(figure)
    for axes, (title, *images) in zip(figure.subplots(2, len(columns), squeeze=False).T, columns, strict=True):
        axes[0].set_title(title, fontsize=8)
        for place, image in zip(axes, images, strict=True):
            place.imshow(_pixels(image), cmap='gray', vmin=0, vmax=1)
            place.set(xticks=[], yticks=[])
            place.spines[:].set_visible(False)
    for place, label in zip(figure.axes[:: len(columns)], ('light', 'dark'), strict=True):
        place.set_ylabel(label, fontsize=9)
    with writing_whole(path) as part:
        figure.savefig(part, format=Path(path).suffix[1:])


def _pixels(image: Tensor) -> np.ndarray:
    """``(1, 3, H, W)`` or ``(1, 1, H, W)`` → ``(H, W, 3)`` or ``(H, W)``, clipped to [0, 1]."""
    return image[0].permute(1, 2, 0).squeeze(-1).clamp(0.0, 1.0).cpu().numpy()
