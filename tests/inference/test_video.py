"""Whole videos: stopped and continued, drawn, with one line for all that can be wrong, in constant memory."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch

from mmdark.drawing import brighten
from mmdark.errors import InputError
from mmdark.inference import FaceInferencer, FaceResult
from mmdark.inference import video as video_module
from mmdark.inference.video import VideoSummary, detect_video
from mmdark.inference.video_frames import Frame, Video
from mmdark.inference.video_picture import SteadyPicture
from tests.tiny_wider import ROOT, lite_runner, write_wider
from tests.two_processes import fork_server

from .test_video_writer import room_for
from .tiny_video import (
    SIDE,
    SIZE,
    SquareFinder,
    encode,
    frame,
    lines_of,
    place_of,
    shown,
    times_of,
    write_video,
)

LENGTHS = """
import resource, sys
from pathlib import Path
from mmdark.inference.video import detect_video
from tests.inference.tiny_video import SquareFinder
peaks = {}
def measure(done, total, stage):
    peaks[stage, done] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
out = Path(sys.argv[1]).parent
summary = detect_video(SquareFinder(out), sys.argv[1], out / 'out', batch_size=4, progress=measure)
print(summary.frames, *(peaks[stage, done] for stage in ('detecting', 'drawing') for done in (200, 600)))
"""


def detect(
    tmp_path: Path, source: Any, out: str = 'out', finder: SquareFinder | None = None, **more: Any
) -> VideoSummary:
    return detect_video(finder or SquareFinder(tmp_path), source, tmp_path / out, **more)


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return write_video(tmp_path / 'clip.avi', 20)


def test_each_frame_has_its_face_and_the_video_is_drawn(tmp_path: Path, clip: Path) -> None:
    said: list[tuple] = []
    summary = detect(tmp_path, str(clip), batch_size=3, progress=lambda *step: said.append(step))
    assert (summary.frames, summary.faces, summary.seconds, summary.stopped) == (20, 20, 0.76, False)
    assert summary.frames_file == tmp_path / 'out' / 'clip.frames.jsonl'
    for number, line in enumerate(lines_of(summary.frames_file)):
        left, top = place_of(number)
        assert line['frame'] == number and line['seconds'] == pytest.approx(number / 25)
        np.testing.assert_allclose(line['faces'][0]['bbox'], [left, top, left + SIDE, top + SIDE], atol=1)
    assert said == [(n, 20, stage) for stage in ('detecting', 'drawing') for n in range(1, 21)]
    assert summary.video_file == tmp_path / 'out' / 'clip.mp4' and len(shown(summary.video_file)) == 20
    assert len(summary.notes) == 1 and 'without sound' in summary.notes[0]
    assert sorted(path.name for path in (tmp_path / 'out').iterdir()) == ['clip.frames.jsonl', 'clip.mp4']


@pytest.mark.parametrize(('batch_size', 'every'), [(1, 1), (4, 1), (3, 2)])
def test_stopped_by_ctrl_c_it_is_drawn_so_far_and_continued_to_the_same(
    tmp_path: Path, clip: Path, batch_size: int, every: int
) -> None:
    options = dict(batch_size=batch_size, every=every)
    whole = detect(tmp_path, clip, 'whole', **options)

    def press(looks: int) -> None:
        if looks == 7:
            os.kill(os.getpid(), signal.SIGINT)

    stopped = detect(tmp_path, clip, finder=SquareFinder(tmp_path, press), **options)
    assert stopped.stopped and stopped.frames == 7
    assert len(shown(stopped.video_file)) == 7 * every
    finder = SquareFinder(tmp_path)
    goes_on = detect(tmp_path, clip, finder=finder, **options)
    assert finder.looks == whole.frames - 7 // batch_size * batch_size
    assert goes_on.frames_file.read_bytes() == whole.frames_file.read_bytes()
    assert len(shown(goes_on.video_file)) == 20
    assert (goes_on.frames, goes_on.faces, goes_on.stopped) == (whole.frames, whole.faces, False)


def test_a_second_ctrl_c_ends_the_drawing_and_keeps_the_earlier_video(tmp_path: Path, clip: Path) -> None:
    first = detect(tmp_path, clip)
    before = first.video_file.read_bytes()

    def press(done: int, total: int | None, stage: str) -> None:
        if (done, stage) == (5, 'drawing'):
            os.kill(os.getpid(), signal.SIGINT)

    second = detect(tmp_path, clip, progress=press)
    assert second.stopped and second.video_file is None and second.frames == 20
    assert first.video_file.read_bytes() == before
    assert len(list((tmp_path / 'out').iterdir())) == 2


def detect_until_killed(folder: Path, clip: Path) -> None:
    def kill(looks: int) -> None:
        if looks == 11:
            os.kill(os.getpid(), signal.SIGKILL)

    detect_video(SquareFinder(folder, kill), str(clip), folder / 'out', batch_size=2)


def test_killed_it_is_continued_to_the_same(tmp_path: Path, clip: Path) -> None:
    process = fork_server().Process(target=detect_until_killed, args=(tmp_path, clip))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    lines = tmp_path / 'out' / 'clip.frames.jsonl'
    assert len(lines_of(lines)) == 11
    lines.write_bytes(lines.read_bytes()[:-9])
    whole = detect(tmp_path, clip, 'whole', batch_size=2)
    assert detect(tmp_path, clip, batch_size=2).frames_file.read_bytes() == whole.frames_file.read_bytes()


def test_a_full_disk_is_one_line_and_the_call_goes_on_later(tmp_path: Path, clip: Path) -> None:
    whole = detect(tmp_path, clip, 'whole', save_video=False)
    with pytest.raises(InputError, match='could not be written'), room_for(900):
        detect(tmp_path, clip)
    assert detect(tmp_path, clip).frames_file.read_bytes() == whole.frames_file.read_bytes()


def test_other_settings_another_video_and_other_weights_are_refused(tmp_path: Path, clip: Path) -> None:
    detect(tmp_path, clip, save_video=False)
    with pytest.raises(InputError, match=r'begun with pred_score_thr 0\.3 and not 0\.5:'):
        detect(tmp_path, clip, pred_score_thr=0.5)
    with pytest.raises(InputError, match='begun with every 1 and not 2:'):
        detect(tmp_path, clip, every=2)
    finder = SquareFinder(tmp_path / 'other')
    finder.weights.write_bytes(b'other')
    with pytest.raises(InputError, match=r'begun with weights square\.pth'):
        detect(tmp_path, clip, finder=finder)
    other = write_video(tmp_path / 'other' / 'clip.avi', 12)
    with pytest.raises(InputError, match=r'begun with bytes \d+ and not'):
        detect(tmp_path, other)
    assert detect(tmp_path, other, overwrite=True).frames == 12


def test_nothing_is_written_over_the_video_itself_or_a_stranger(tmp_path: Path) -> None:
    clip = write_video(tmp_path / 'clip.mp4', 5)
    before = clip.read_bytes()
    with pytest.raises(InputError, match='would be drawn over'):
        detect(tmp_path, clip, '.', overwrite=True)
    (tmp_path / 'out').mkdir()
    (tmp_path / 'out' / 'clip.mp4').write_bytes(b'a stranger')
    with pytest.raises(InputError, match='is there and not of detect_video'):
        detect(tmp_path, clip)
    assert clip.read_bytes() == before and len(list((tmp_path / 'out').iterdir())) == 1


def test_max_frames_is_a_place_to_go_on_from(tmp_path: Path, clip: Path) -> None:
    part = detect(tmp_path, clip, max_frames=8)
    assert part.frames == 8 and len(shown(part.video_file)) == 8 and len(part.notes) == 1
    assert detect(tmp_path, clip).frames == 20
    for wrong in (dict(max_frames=0), dict(every=0), dict(batch_size=0)):
        with pytest.raises(InputError, match='=0: give 1 or more'):
            detect(tmp_path, clip, **wrong)


def test_with_every_the_faces_stay_until_the_next_look(tmp_path: Path, clip: Path) -> None:
    summary = detect(tmp_path, clip, every=5, dark=False)
    assert [line['frame'] for line in lines_of(summary.frames_file)] == [0, 5, 10, 15]
    images = shown(summary.video_file)
    assert len(images) == 20
    green = [
        np.argwhere((image[..., 1].astype(int) - image.max(axis=2, where=[True, False, True], initial=0)) > 30)
        for image in images
    ]
    assert all(len(places) > 100 for places in green)
    middles = [places.mean(axis=0) for places in green]
    assert np.abs(middles[4] - middles[0]).max() < 2 < 10 < np.abs(middles[5] - middles[4]).max()


@pytest.mark.parametrize(
    ('level', 'dark', 'wider'), [(20, None, True), (110, None, False), (20, False, False), (110, True, True)]
)
def test_a_dark_video_has_a_brightened_copy_beside_it(
    tmp_path: Path, level: int, dark: bool | None, wider: bool
) -> None:
    clip = write_video(tmp_path / 'clip.avi', 6, make=lambda number: frame(number, level))
    images = shown(detect(tmp_path, clip, dark=dark).video_file)
    assert (images[0].shape[1] > 2 * SIZE[0] - 1) == wider
    assert len({image.shape for image in images}) == 1


def test_a_light_in_a_dark_video_is_no_flash() -> None:
    """By itself the frame with the light is brightened far less than the one before."""
    calm = np.full((40, 40, 3), 10, np.uint8)
    calm[:20] = 20
    lit = calm.copy()
    lit[:8, :8] = 250
    faces = FaceResult(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), 40, 40, 'frame')
    draw = SteadyPicture(dark=True)
    levels = [draw(image, faces)[30, 70, 0] for image in (calm, calm, lit)]
    assert levels[0] == levels[1] == brighten(calm)[30, 30, 0] > 1.5 * brighten(lit)[30, 30, 0]
    levels += [draw(lit, faces)[30, 70, 0] for _ in range(80)]
    steps, flash = np.diff(np.array(levels, int)), int(brighten(lit)[30, 30, 0]) - int(levels[0])
    assert abs(steps).max() < 0.4 * abs(flash) and abs(steps.sum() - flash) <= 1


def test_a_video_that_ends_early_is_looked_at_as_far_as_it_goes(tmp_path: Path) -> None:
    clip = write_video(tmp_path / 'clip.avi', 60)
    clip.write_bytes(clip.read_bytes()[: clip.stat().st_size // 2])
    summary = detect(tmp_path, clip)
    assert 20 < summary.frames < 40
    assert f'clip.avi says 60 frames, but only {summary.frames} can be read' in summary.notes


def test_the_sound_of_the_source_is_in_the_drawn_video(tmp_path: Path) -> None:
    loud = encode(tmp_path / 'loud.mp4', sound='aac')
    summary = detect(tmp_path, loud)
    assert 'with the sound of loud.mp4' in summary.notes[-1]
    with av.open(str(loud)) as source, av.open(str(summary.video_file)) as drawn:
        packets, copied = ([bytes(one) for one in file.demux(audio=0) if one.size] for file in (source, drawn))
    assert len(packets) > 40 and copied == packets[: len(copied)] and len(copied) >= len(packets) - 2


def test_a_video_with_unsteady_times_is_drawn_with_the_same(tmp_path: Path) -> None:
    times = [0, 0.04, 0.09, 0.2, 0.21, 0.5, 1.2]
    summary = detect(tmp_path, encode(tmp_path / 'a.mp4', times))
    assert [line['seconds'] for line in lines_of(summary.frames_file)] == times
    assert times_of(summary.video_file) == pytest.approx(times, abs=1e-4)


class Camera:
    """Frames that come once, a tenth of a second apart; Ctrl-C comes before the last."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, count: int, interrupt: bool) -> None:
        self.count, self.interrupt = count, interrupt
        monkeypatch.setattr(video_module, 'open_video', lambda source: Video(source, f'webcam {source}', *SIZE, 20.0))
        monkeypatch.setattr(video_module, 'frames_of', self.frames)

    def frames(self, video: Video, first: int, every: int, end: int | None) -> Iterator[Frame]:
        for number in range(self.count):
            yield Frame(number, number / 10, frame(number))
        if self.interrupt:
            os.kill(os.getpid(), signal.SIGINT)
            yield Frame(self.count, self.count / 10, frame(self.count))


@pytest.mark.parametrize(('count', 'interrupt'), [(14, False), (14, True), (4, True), (0, True)])
def test_a_camera_is_recorded_until_ctrl_c(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int, interrupt: bool
) -> None:
    Camera(monkeypatch, count, interrupt)
    summary = detect(tmp_path, 3)
    assert (summary.frames, summary.stopped) == (count, interrupt)
    assert summary.frames_file.name == 'webcam_3.frames.jsonl'
    if count == 0:
        assert summary.video_file is None
        return
    assert summary.video_file.name == 'webcam_3.mp4'
    assert times_of(summary.video_file) == pytest.approx([number / 10 for number in range(count)], abs=1e-4)
    with pytest.raises(InputError, match='what a camera shows cannot be continued'):
        detect(tmp_path, 3)
    assert detect(tmp_path, 3, overwrite=True).frames == count


def test_the_peak_of_memory_does_not_grow_with_the_length(tmp_path: Path) -> None:
    clip = write_video(tmp_path / 'clip.avi', 600, make=lambda number: frame(number % 50))
    done = subprocess.run([sys.executable, '-c', LENGTHS, clip], cwd=ROOT, capture_output=True, text=True, check=True)
    frames, *peaks = map(int, done.stdout.splitlines()[-1].split())
    assert frames == 600
    short, long, short_drawn, long_drawn = peaks
    assert long - short < 5 and long_drawn - short_drawn < 5, peaks


def test_with_a_detector_the_lines_are_what_it_finds_on_each_frame(tmp_path: Path, clip: Path) -> None:
    options = {'model.detector.test_cfg.score_thr': 0.0, 'model.detector.test_cfg.max_per_img': 3}
    runner = lite_runner(write_wider(tmp_path / 'data', 2, 1), tmp_path / 'work', options=options)
    torch.save(dict(state_dict=runner.model.state_dict()), tmp_path / 'begun.pth')
    inferencer = FaceInferencer(runner.cfg, tmp_path / 'begun.pth', device='cpu', show_progress=False)
    wanted = dict(batch_size=2, pred_score_thr=0.0)
    whole = detect_video(inferencer, clip, tmp_path / 'whole', **wanted, max_frames=6)
    assert whole.faces == 18
    found = inferencer(shown(clip)[:6], **wanted)['predictions']
    for line, result in zip(lines_of(whole.frames_file), found, strict=True):
        np.testing.assert_allclose([face['bbox'] for face in line['faces']], result.boxes, atol=6e-3)
        np.testing.assert_allclose([face['score'] for face in line['faces']], result.scores, atol=1e-6)
    detect_video(inferencer, clip, tmp_path / 'part', **wanted, max_frames=3)
    part = detect_video(inferencer, clip, tmp_path / 'part', **wanted, max_frames=6)
    assert part.frames_file.read_bytes() == whole.frames_file.read_bytes()
    head = json.loads(whole.frames_file.read_text().splitlines()[0])
    assert head['source'] == 'clip.avi' and head['weights'].startswith('begun.pth ') and head['fps'] == 25
