"""A loss of your own: ``edge_consistency.py`` is the loss, ``atss_shapes_edges.py`` the config that names it.

Half a minute on one CPU core, in the repository's folder; the log shows ``loss_edges``:

    python examples/own_loss.py
"""

from pathlib import Path

from shapes import make_shapes

from mmdark.cli import main

WORK_DIR = Path('work_dirs/examples')

make_shapes(WORK_DIR / 'shapes')
config = Path(__file__).resolve().with_name('atss_shapes_edges.py')
main(['train', str(config), '--work-dir', str(WORK_DIR / 'own_loss')])
