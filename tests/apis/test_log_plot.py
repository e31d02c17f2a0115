"""Curves show the numbers of the log, each run in its own line; the figure is written in the format of its name."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from matplotlib.figure import Figure

from mmdark.apis.log_plot import DOTS_PER_INCH, PANEL, STYLES, curve, plot_runs, run_labels, smoothed
from mmdark.errors import InputError


def run(name: str = 'main', seed: int = 0, count: int = 40, factor: float = 1.0, **scalars: float) -> SimpleNamespace:
    """A run of which each loss falls, with a validation every ten logged lines."""
    train = tuple(
        {'iter': 100 * k, 'epoch': k // 10, 'lr': 0.1, 'loss': factor / k, 'pal1_loss_cls': 2.0, **scalars}
        for k in range(1, count + 1)
    )
    val = tuple(
        {
            'epoch': k,
            'iter': 1000 * k,
            'day/wider/AP': 0.2 * k,
            'day/wider/easy_AP': 0.1,
            'dark/pal2_loss': 3.0 - 0.1 * k,
        }
        for k in range(1, count // 10 + 1)
    )
    return SimpleNamespace(train=train, val=val, name=name, seed=seed, work_dir=Path(f'work_dirs/{name}-{seed}'))


def drawn(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, runs: list, **options: object) -> Figure:
    """The figure that is written."""
    figures: list[Figure] = []

    def savefig(figure: Figure, part: Path, format: str) -> None:
        figures.append(figure)
        part.write_text(format)

    monkeypatch.setattr(Figure, 'savefig', savefig)
    plot_runs(tmp_path / 'curves.png', runs, **options)
    assert (tmp_path / 'curves.png').read_text() == 'png'
    return figures[0]


@pytest.mark.parametrize('window', [1, 2, 3, 4, 7, 50])
def test_smoothing_is_the_mean_of_what_is_near(window: int) -> None:
    values = np.random.default_rng(0).normal(size=20)
    expected = [values[max(k - window // 2, 0) : k + (window + 1) // 2].mean() for k in range(20)]
    np.testing.assert_allclose(smoothed(values, window), expected, atol=1e-12)


def test_a_curve_leaves_out_what_is_no_number() -> None:
    lines = [{'iter': 1, 'a': 5.0}, {'iter': 2}, {'iter': 3, 'a': float('nan')}, {'iter': 4, 'a': 2.0}]
    x, y = curve(lines, 'iter', 'a')
    assert x.tolist() == [1, 4] and y.tolist() == [5.0, 2.0]
    assert curve(lines, 'iter', 'b')[0].tolist() == []


def test_each_scalar_has_its_panel_and_each_run_its_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    runs = [run(), run(seed=1, factor=3.0)]
    figure = drawn(monkeypatch, tmp_path, runs, smooth=1)
    panels = {axes.get_title(loc='right'): axes for axes in figure.axes}
    assert list(panels) == ['loss', 'pal1_loss_cls', 'day/wider/AP', 'dark/pal2_loss']
    for name, place in (('loss', 'iter'), ('dark/pal2_loss', 'epoch')):
        lines = panels[name].get_lines()
        assert len(lines) == 2
        for line, made in zip(lines, runs, strict=True):
            x, y = curve(made.train if place == 'iter' else made.val, place, name)
            np.testing.assert_array_equal(line.get_xdata(), x)
            np.testing.assert_allclose(line.get_ydata(), y)
    assert [panels[name].get_xlabel() for name in panels] == ['iteration', 'iteration', 'epoch', 'epoch']
    assert (panels['loss'].get_yscale(), panels['pal1_loss_cls'].get_yscale()) == ('log', 'linear')
    assert panels['day/wider/AP'].get_ylim()[0] == 0
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ['main, seed 0', 'main, seed 1']
    assert len({line.get_linestyle() for line in panels['loss'].get_lines()}) == 2  # for print in grey
    assert [line.get_color() for line in panels['loss'].get_lines()] == [STYLES[0][0], STYLES[1][0]]


@pytest.mark.parametrize(('name', 'columns'), [('main', 2), ('dsfd_dark_lite_subset_augmentation-only', 1)])
def test_names_are_never_cut_off(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, columns: int) -> None:
    figure = drawn(monkeypatch, tmp_path, [run(f'{name}_{k}') for k in range(len(STYLES))], keys=['loss'])
    figure.draw_without_rendering()
    (legend,) = figure.legends
    box, page = legend.get_window_extent(), figure.bbox
    assert box.x0 >= page.x0 and box.x1 <= page.x1 and box.y1 <= page.y1
    assert len({round(text.get_window_extent().x0) for text in legend.get_texts()}) == columns
    assert all(axes.get_window_extent().height > 0.5 * PANEL[1] * DOTS_PER_INCH for axes in figure.axes)


def test_a_single_validation_stands_at_its_epoch(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (axes,) = drawn(monkeypatch, tmp_path, [run(count=10)], keys=['day/wider/AP']).axes
    assert axes.get_xticks().tolist() == [1] and [label.get_text() for label in axes.get_xticklabels()] == ['1']


def test_smoothed_lines_stand_over_the_faint_values(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    made = run(count=200)
    for options, window in (({'smooth': 5}, 5), ({}, 4)):
        figure = drawn(monkeypatch, tmp_path, [made], **options)
        raw, mean = figure.axes[0].get_lines()
        values = curve(made.train, 'iter', 'loss')[1]
        np.testing.assert_allclose(raw.get_ydata(), values)
        np.testing.assert_allclose(mean.get_ydata(), smoothed(values, window))
        assert raw.get_alpha() < 0.5 < mean.get_linewidth()


def test_scalars_can_be_asked_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    figure = drawn(monkeypatch, tmp_path, [run()], keys=['lr', '*AP'])
    assert [axes.get_title(loc='right') for axes in figure.axes] == ['lr', 'day/wider/AP', 'day/wider/easy_AP']


def test_long_runs_are_thinned_but_keep_their_ends(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    figure = drawn(monkeypatch, tmp_path, [run(count=5000)], smooth=1)
    (line,) = figure.axes[0].get_lines()
    assert len(line.get_xdata()) == 2000 and (line.get_xdata()[0], line.get_xdata()[-1]) == (100, 500000)


def test_labels_tell_runs_apart() -> None:
    assert run_labels([run('a'), run('b')]) == ['a', 'b']
    assert run_labels([run('a', 0), run('a', 1), run('b')]) == ['a, seed 0', 'a, seed 1', 'b']
    assert run_labels([run('a', 0), run('a', 0)]) == ['work_dirs/a-0', 'work_dirs/a-0']


@pytest.mark.parametrize(('suffix', 'start'), [('.png', b'\x89PNG'), ('.pdf', b'%PDF'), ('.svg', b'<?xml')])
def test_every_format_in_a_new_folder(tmp_path: Path, suffix: str, start: bytes) -> None:
    path = tmp_path / 'new' / f'curves{suffix}'
    plot_runs(path, [run(), run('other', count=12)])
    assert path.read_bytes().startswith(start)


def test_losses_that_are_zero_and_runs_without_validation(tmp_path: Path) -> None:
    made = run(loss_mutual=0.0)
    made.val = ()
    plot_runs(tmp_path / 'curves.png', [made, run(count=1)])
    assert (tmp_path / 'curves.png').stat().st_size > 1000


def test_what_cannot_be_drawn_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r'--out curves\.gif: curves can be \.pdf, \.png, \.svg; give a name'):
        plot_runs('curves.gif', [run()])
    with pytest.raises(InputError, match=r'7 runs are too many for one figure: name at most 6'):
        plot_runs('curves.png', [run()] * 7)
    with pytest.raises(InputError, match=r'nothing to draw; the log knows dark/pal2_loss, day/wider/AP,.* loss, lr'):
        plot_runs('curves.png', [run()], keys=['AP'])
    (tmp_path / 'file').touch()
    with pytest.raises(InputError, match=r'--out .*curves\.png cannot be written'):
        plot_runs(tmp_path / 'file' / 'curves.png', [run()])
    assert {len(set(column)) for column in zip(*STYLES, strict=True)} == {6}
