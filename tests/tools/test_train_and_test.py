"""The tools as people call them: train, kill, resume, test, draw; mmdet's own test tool; two processes.

Processes are few, because each takes seconds to start: tools that end by themselves run inside this one.
"""

import os
import pickle
import re
import runpy
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from uuid import uuid4

import cv2
import pytest
from mmengine.config import Config
from mmengine.runner import Runner

from mmdark.apis import last_checkpoint, run_or_explain
from mmdark.compat import __main__ as launcher
from mmdark.compat import read_checkpoint
from mmdark.errors import InputError
from tests.tiny_wider import LITE, QUICKSTART, ROOT, write_wider

ENVIRONMENT = {**os.environ, 'PYTHONPATH': str(ROOT), 'OMP_NUM_THREADS': '1', 'PYTHONUNBUFFERED': '1'}
KILLED_AFTER = 3


def options(root: Path, **more: object) -> list[str]:
    settings = {**LITE, 'data_root': f'{root}/', 'log_level': 'INFO', 'experiment_name': uuid4().hex, **more}
    return ['--cfg-options', *(f'{key}={value}'.replace(' ', '') for key, value in settings.items())]


def train_options(root: Path, iterations: int, **more: object) -> list[str]:
    own = {'max_iters': iterations, 'param_scheduler.total_steps': iterations}
    own |= {'default_hooks.checkpoint.interval': 1, 'default_hooks.logger.interval': 1}
    return options(root, **{**own, **more})


def inside(monkeypatch: pytest.MonkeyPatch, name: str, *arguments: str) -> None:
    """Run ``tools/NAME.py`` in this process."""
    monkeypatch.setenv('LOCAL_RANK', '0')
    monkeypatch.setattr(sys, 'argv', [name, *map(str, arguments)])
    runpy.run_path(str(ROOT / 'tools' / f'{name}.py'), run_name='__main__')


@pytest.fixture(scope='module')
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_wider(tmp_path_factory.mktemp('wider'), train=8, val=2)


@pytest.fixture(scope='module')
def killed(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The work dir of a training that ``kill -9`` ended while it wrote a checkpoint, or just after."""
    work_dir = tmp_path_factory.mktemp('out')
    command = [sys.executable, 'tools/train.py', str(QUICKSTART), '--work-dir', str(work_dir)]
    process = subprocess.Popen(
        [*command, *train_options(root, 10000)],
        cwd=ROOT,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    waiting, limit = work_dir / f'iter_{KILLED_AFTER + 1}.pth', time.monotonic() + 120
    while not waiting.is_file() and process.poll() is None and time.monotonic() < limit:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    said = process.communicate()[0].decode()
    assert waiting.is_file() and process.returncode == -signal.SIGKILL, said[-2000:]
    return work_dir


def test_a_killed_training_resumes_where_its_last_checkpoint_stands(
    killed: Path, root: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    last = Path(last_checkpoint(str(killed)))
    stopped = read_checkpoint(last)['meta']['iter']
    assert stopped >= KILLED_AFTER and last == killed / f'iter_{stopped}.pth'
    end = stopped + 2
    capfd.readouterr()
    inside(monkeypatch, 'train', QUICKSTART, '--work-dir', killed, '--resume', *train_options(root, end))
    said = ''.join(capfd.readouterr())
    assert re.search(rf'resumed epoch: \d+, iter: {stopped}\b', said)
    written = [int(number) for number in re.findall(r'Saving checkpoint at (\d+) iterations', said)]
    assert written == [stopped + 1, stopped + 2]
    final = read_checkpoint(killed / f'iter_{end}.pth')
    assert final['meta']['iter'] == end
    assert {int(state['step']) for state in final['optimizer']['state'].values()} == {end}
    history = final['message_hub']['log_scalars']['train/loss'].data[0]
    assert len(history) == end and (history > 0).all()


def test_testing_prints_dumps_and_draws_and_mmdets_tool_agrees(
    killed: Path, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    checkpoint = killed / f'iter_{KILLED_AFTER}.pth'
    given = [str(QUICKSTART), str(checkpoint), '--work-dir', str(tmp_path)]
    out, drawn, theirs = tmp_path / 'found.pkl', tmp_path / 'drawn', tmp_path / 'theirs.pkl'
    # mmdet's tool changes the variable data_root alone, so the data set is told, too.
    more = {'model.detector.test_cfg.score_thr': 0.0, 'test_dataloader.dataset.datasets.0.data_root': f'{root}/'}
    inside(monkeypatch, 'test', *given, '--out', out, '--show-dir', drawn, *options(root, **more))
    ours = ''.join(capfd.readouterr())

    found = pickle.loads(out.read_bytes())
    assert [Path(sample['img_path']).name for sample in found] == ['val_0.jpg', 'val_1.jpg']
    for sample in found:
        predicted = sample['pred_instances']
        assert predicted['bboxes'].shape == (len(predicted['scores']), 4) and 0 < len(predicted['scores']) <= 750
    assert sorted(path.name for path in drawn.iterdir()) == ['val_0.png', 'val_1.png']
    assert all(cv2.imread(str(path)).shape[1] > 4 * 96 for path in drawn.iterdir())

    monkeypatch.setattr(sys, 'path', list(sys.path))
    launcher.main(['mmdet:test', *given, '--out', str(theirs), *options(root, **more)])
    other = ''.join(capfd.readouterr())
    lines = [re.search(r'dark/wider/AP: (\S+)', said) for said in (ours, other)]
    assert all(lines) and lines[0].groups() == lines[1].groups()
    for mine, their in zip(found, pickle.loads(theirs.read_bytes()), strict=True):
        assert mine['pred_instances']['scores'].tolist() == their['pred_instances']['scores'].tolist()


def test_what_test_cannot_do_is_said_at_once(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SystemExit) as caught:
        inside(monkeypatch, 'test', QUICKSTART, 'any.pth', '--out', 'found.json', *options(root))
    assert caught.value.code == 'error: --out found.json: the file is a pickle; name it *.pkl'


def test_amp_trains_without_cuda(monkeypatch: pytest.MonkeyPatch, root: Path, tmp_path: Path) -> None:
    inside(monkeypatch, 'train', QUICKSTART, '--amp', '--work-dir', tmp_path, *train_options(root, 1))
    assert read_checkpoint(tmp_path / 'iter_1.pth')['meta']['iter'] == 1


def test_a_training_validates_on_as_many_images_as_it_is_told(
    monkeypatch: pytest.MonkeyPatch, root: Path, tmp_path: Path
) -> None:
    """One of two, by day and in the dark; they are all that the Runner sees."""
    seen = []

    def build(cfg: Config) -> None:
        data_loader = Runner.build_dataloader(cfg.val_dataloader)
        seen.extend(Path(batch['data_samples'][0].img_path).name for batch in data_loader)
        raise InputError('enough')

    monkeypatch.setattr(Runner, 'from_cfg', build)
    command = [ROOT / 'configs' / 'dsfd_dark_lite_wider.py', '--val-images', '1', '--work-dir', tmp_path]
    with pytest.raises(SystemExit, match='error: enough'):
        inside(monkeypatch, 'train', *command, *train_options(root, 1))
    assert seen == ['val_0.jpg', 'val_0.jpg']


@pytest.mark.one_family
def test_two_processes_write_one_log_and_one_checkpoint(root: Path, tmp_path: Path) -> None:
    """Through gloo; each process sees its half of the eight images."""
    environment = {**ENVIRONMENT, 'CUDA_VISIBLE_DEVICES': ''}
    environment['PATH'] = f'{Path(sys.executable).parent}{os.pathsep}{environment["PATH"]}'
    environment['VIRTUAL_ENV'] = environment.get('VIRTUAL_ENV', sys.prefix)  # the script takes this Python
    settings = train_options(root, 4, **{'default_hooks.checkpoint.interval': 4})
    done = subprocess.run(
        ['bash', 'tools/dist_train.sh', str(QUICKSTART), '2', '--work-dir', str(tmp_path), *settings],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert [path.name for path in tmp_path.glob('*.pth')] == ['iter_4.pth']
    (log,) = tmp_path.glob('*/*.log')
    text = log.read_text()
    assert text.count('Saving checkpoint at 4 iterations') == 1 and 'Distributed launcher: pytorch' in text
    assert re.search(r'Epoch\(train\)\s+\[2\]\[2/2\]', text), text[-2000:]  # two batches of two an epoch
    assert read_checkpoint(tmp_path / 'iter_4.pth')['meta']['iter'] == 4


def begun(*arguments: str) -> subprocess.Popen:
    """``tools/train.py`` in a process group of its own, as a terminal has it."""
    return subprocess.Popen(
        [sys.executable, 'tools/train.py', str(QUICKSTART), *arguments],
        cwd=ROOT,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def wait_until(what: Callable[[], bool], process: subprocess.Popen) -> None:
    limit = time.monotonic() + 120
    while not what() and process.poll() is None and time.monotonic() < limit:
        time.sleep(0.05)


@pytest.mark.one_family
def test_ctrl_c_saves_and_meanwhile_nobody_else_trains_here(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The terminal signals the worker, too."""
    own = ['--work-dir', str(tmp_path), *train_options(root, 10000, **{'train_dataloader.num_workers': 1})]
    process = begun(*own)
    wait_until(lambda: (tmp_path / 'iter_1.pth').is_file(), process)
    with pytest.raises(SystemExit) as caught:
        inside(monkeypatch, 'train', QUICKSTART, *own)
    assert f'another training writes to {tmp_path} (host ' in caught.value.code
    assert f'process {process.pid}, since ' in caught.value.code
    os.killpg(process.pid, signal.SIGINT)
    said = process.communicate(timeout=120)[0].decode()
    assert process.returncode == 130 and 'Traceback' not in said, said[-2000:]
    saved = last_checkpoint(str(tmp_path))
    assert said.rstrip().endswith(
        f'Ctrl-C: the training stops; {saved} is written; the same command with --resume goes on'
    )
    own = ['--work-dir', str(tmp_path), '--resume', *train_options(root, read_checkpoint(saved)['meta']['iter'])]
    inside(monkeypatch, 'train', QUICKSTART, *own)


def test_ctrl_c_before_the_training_ends_with_a_line(tmp_path: Path) -> None:
    """While packages are imported, which takes seconds."""
    process = begun('--work-dir', str(tmp_path))
    wait_until(lambda: 'numpy' in Path(f'/proc/{process.pid}/maps').read_text(), process)
    os.killpg(process.pid, signal.SIGINT)
    said = process.communicate(timeout=60)[0].decode()
    assert (process.returncode, said) == (130, 'ended by Ctrl-C\n')


def test_ctrl_c_ends_any_tool_with_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    def main() -> None:
        raise KeyboardInterrupt

    with pytest.raises(SystemExit) as caught:
        run_or_explain(main)
    assert caught.value.code == 130 and capsys.readouterr().err == 'ended by Ctrl-C\n'


@pytest.mark.parametrize('resume', [(), ('--resume',)])
def test_without_a_checkpoint_the_start_of_the_config_stays(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, resume: tuple[str, ...]
) -> None:
    started: list[SimpleNamespace] = []

    def build(cfg: Config) -> SimpleNamespace:
        logger = SimpleNamespace(warning=lambda line: None)
        start = dict(_load_from=cfg.load_from, _resume=cfg.resume)
        started.append(SimpleNamespace(train=lambda: None, work_dir=cfg.work_dir, logger=logger, **start))
        return started[0]

    monkeypatch.setattr(Runner, 'from_cfg', build)
    inside(monkeypatch, 'train', QUICKSTART, '--work-dir', tmp_path, *resume, '--cfg-options', 'load_from=start.pth')
    assert [(runner._load_from, runner._resume) for runner in started] == [('start.pth', False)]
