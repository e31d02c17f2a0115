"""The page names pictures that exist, whatever the names; in a browser it filters, slides and draws the faces."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import cv2
import numpy as np
import pytest

from mmdark.drawing import brighten
from mmdark.errors import InputError
from mmdark.inference.before_after import picture_of
from mmdark.inference.gallery import write_gallery
from mmdark.inference.result import BrokenImage
from mmdark.inference.result_files import ResultFiles

from .face_results import result_of

NAMES = ['plain', 'a & b\'s <i>"x"</i> &amp; #1?%20', '夜 fête/été', '@title@', 'sub/day']
FACES = [3, 1, 0, 2, 1]
DARK = [True, True, True, True, False]
CHROMIUM = shutil.which('chromium') or shutil.which('google-chrome')


class Page(HTMLParser):
    """Tags with their attributes, and the text in each kind of tag."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: dict[str, list[str]] = {}
        self.path = path
        self.open: str | None = None
        self.feed(path.read_text(encoding='utf-8'))

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))
        self.text.setdefault(tag, []).append('')
        self.open = tag

    def handle_endtag(self, tag: str) -> None:
        self.open = None

    def handle_data(self, data: str) -> None:
        if self.open:
            self.text[self.open][-1] += data

    def values(self, tag: str, attribute: str) -> list[str]:
        return [found[attribute] for name, found in self.tags if name == tag and attribute in found]

    def file(self, link: str) -> Path:
        assert not urlsplit(link).scheme and not urlsplit(link).query and not urlsplit(link).fragment
        return self.path.parent / unquote(link)


def detected(folder: Path, pictures: bool = True) -> Path:
    """A folder as ``mmdark detect`` leaves it, its photographs beside it."""
    formats = {'json', 'pictures'} if pictures else {'json'}
    files = ResultFiles(folder / 'out', formats, dict(model='lite', score_thr=0.3), picture_of)
    for number, (name, faces, dark) in enumerate(zip(NAMES, FACES, DARK, strict=True)):
        source = folder / 'photos' / f'{name}.png'
        source.parent.mkdir(parents=True, exist_ok=True)
        image = np.random.default_rng(number).integers(0, 40 if dark else 255, (60, 80, 3), np.uint8)
        source.write_bytes(cv2.imencode('.png', image)[1].tobytes())
        rows = [(5 + 20 * face, 10, 15 + 20 * face, 30, 0.9 - 0.25 * face) for face in range(faces)]
        files.add(name, result_of(str(source), *rows), image)
    files.add_broken(BrokenImage('<b>.jpg', 'cut & off'))
    files.close()
    return folder / 'out'


@pytest.mark.parametrize('elsewhere', [False, True])
def test_every_picture_it_names_is_there_and_names_survive(tmp_path: Path, elsewhere: bool) -> None:
    folder = detected(tmp_path)
    path, lost = write_gallery(folder, tmp_path / 'web' / 'it.html' if elsewhere else None)
    assert path == (tmp_path / 'web' / 'it.html' if elsewhere else folder / 'gallery.html') and lost == []
    page = Page(path)
    sources = page.values('img', 'src')
    assert len(sources) == 2 * len(NAMES) and all(page.file(link).is_file() for link in sources)
    assert page.text['a'] == NAMES
    assert [page.file(link).resolve() for link in page.values('a', 'href')] == [
        folder / 'pictures' / f'{name}.jpg' for name in NAMES
    ]
    assert page.values('img', 'alt')[::2] == [f'{name} as it is' for name in NAMES]
    assert page.values('img', 'loading') == ['lazy'] * 10
    assert page.text['h1'] == ['Faces in out'] and page.text['li'] == ['<b>.jpg: cut & off']
    assert not re.search(r'https?:|//[a-z]', path.read_text(encoding='utf-8'))  # nothing from elsewhere


def test_before_is_the_photograph_and_after_is_brightened_where_it_is_dark(tmp_path: Path) -> None:
    folder = detected(tmp_path)
    page = Page(write_gallery(folder)[0])
    sources = page.values('img', 'src')
    for name, dark, before, after in zip(NAMES, DARK, sources[::2], sources[1::2], strict=True):
        assert (before != after) == dark
        shown = [cv2.imdecode(np.fromfile(page.file(link), np.uint8), 1).astype(int) for link in (before, after)]
        image = cv2.imdecode(np.fromfile(tmp_path / 'photos' / f'{name}.png', np.uint8), 1)
        assert abs(shown[0].mean() - image.mean()) < 2 and shown[0].shape == image.shape
        assert abs(shown[1].mean() - (brighten(image) if dark else image).mean()) < 3
    assert len(set(Page(write_gallery(folder, dark=False)[0]).values('img', 'src'))) == len(NAMES)
    assert len(set(Page(write_gallery(folder, dark=True)[0]).values('img', 'src'))) == 2 * len(NAMES)


def test_faces_are_in_the_page(tmp_path: Path) -> None:
    page = Page(write_gallery(detected(tmp_path))[0])
    faces = [json.loads(text) for text in page.values('article', 'data-faces')]
    assert [len(one) for one in faces] == FACES and faces[0][1] == [25, 10, 35, 30, 0.65]
    assert page.text['b'] == ['3 faces', '1 face', '0 faces', '2 faces', '1 face']


def test_without_pictures_a_name_leads_to_the_photograph(tmp_path: Path) -> None:
    folder = detected(tmp_path, pictures=False)
    page = Page(write_gallery(folder / 'results.json')[0])
    assert [page.file(link).resolve() for link in page.values('a', 'href')] == [
        tmp_path / 'photos' / f'{name}.png' for name in NAMES
    ]


def test_a_picture_whose_name_no_disk_takes_is_passed_over(tmp_path: Path) -> None:
    folder = detected(tmp_path)
    document = json.loads((folder / 'results.json').read_text())
    document['images'][0]['picture'] = 'x' * 5000
    (folder / 'results.json').write_text(json.dumps(document))
    page = Page(write_gallery(folder)[0])
    assert 'x' * 5000 not in page.path.read_text(encoding='utf-8')


def test_large_photographs_are_made_small(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / 'large.png'), np.full((400, 2400, 3), 20, np.uint8))
    files = ResultFiles(tmp_path / 'out', {'json'})
    files.add('large', result_of(str(tmp_path / 'large.png'), (1200, 100, 1300, 200, 0.5), size=(2400, 400)))
    files.close()
    page = Page(write_gallery(tmp_path / 'out')[0])
    assert cv2.imread(str(page.file(page.values('img', 'src')[0]))).shape == (160, 960, 3)
    assert page.values('svg', 'viewbox') == ['0 0 2400 400']


def test_photographs_that_are_gone_or_changed_are_listed(tmp_path: Path) -> None:
    folder = detected(tmp_path)
    (tmp_path / 'photos' / 'plain.png').unlink()
    cv2.imwrite(str(tmp_path / 'photos' / '@title@.png'), np.zeros((5, 6, 3), np.uint8))
    counts = []
    path, lost = write_gallery(folder, after_each=lambda done, total: counts.append((done, total)))
    assert [Path(one.source).stem for one in lost] == ['plain', '@title@'] and counts[-1] == (5, 5)
    assert '6 x 5 pixels now, 80 x 60 when' in lost[1].reason
    page = Page(path)
    assert page.text['a'] == [NAMES[1], NAMES[2], NAMES[4]] and len(page.text['li']) == 3
    shutil.rmtree(tmp_path / 'photos')
    with pytest.raises(
        InputError, match=r'5 of 5 photographs cannot be read, the first, .*plain\.png: .*relative paths'
    ):
        write_gallery(folder)


def test_a_name_that_leads_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    folder = detected(tmp_path)
    content = (folder / 'results.json').read_text(encoding='utf-8')
    (folder / 'results.json').write_text(content.replace('"plain"', '"../../plain"'), encoding='utf-8')
    with pytest.raises(InputError, match='out of its folder'):
        write_gallery(folder)


def test_no_results_and_no_room_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match=r'results\.json cannot be read'):
        write_gallery(tmp_path)
    folder = detected(tmp_path)

    def full(*_: object) -> None:
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(os, 'replace', full)
    with pytest.raises(InputError, match=r'cannot be written \(No space left on device\): free some space'):
        write_gallery(folder)


def test_an_empty_run_has_a_page(tmp_path: Path) -> None:
    ResultFiles(tmp_path, {'json'}).close()
    assert 'There is no photograph.' in write_gallery(tmp_path)[0].read_text()


PROBE = """
<script>
const set = (id, value) => {
  byId(id).value = value;
  byId(id).dispatchEvent(new Event('input', { bubbles: true }));
};
const state = () => ({
  names: cards.filter(one => !one.card.hidden).map(one => one.card.querySelector('a').textContent),
  counts: cards.map(one => one.count.textContent), said: byId('shown').textContent,
  paths: cards.map(one => one.over.getAttribute('d')),
});
window.addEventListener('load', () => {
  const all = state();
  set('least', 1); const some = state();
  set('score', 0.5); const sure = state();
  const slider = document.querySelector('.pair input');
  cards[0].card.style.contentVisibility = 'visible';  // no frame has been painted yet
  slider.value = 20; slider.dispatchEvent(new Event('input', { bubbles: true }));
  const clip = getComputedStyle(document.querySelector('.after')).clipPath;
  const hit = document.elementFromPoint(...['left', 'top'].map(side => slider.getBoundingClientRect()[side] + 30));
  set('least', 0); set('most', 0); const none = state();
  const loaded = [...document.images].filter(image => image.naturalWidth > 0).length;
  const wide = document.documentElement.scrollWidth > innerWidth;
  const said = { all, some, sure, none, clip, hit: hit === slider, loaded, wide };
  document.documentElement.dataset.probe = JSON.stringify(said);
});
</script></body>"""


@pytest.mark.skipif(CHROMIUM is None, reason='neither chromium nor google-chrome is installed')
@pytest.mark.parametrize('width', [390, 1300])
def test_it_works_in_a_browser_from_the_disk(tmp_path: Path, width: int) -> None:
    path, _ = write_gallery(detected(tmp_path))
    text = path.read_text(encoding='utf-8').replace('loading="lazy"', '').replace('</body>', PROBE)
    path.write_text(text, encoding='utf-8')
    options = ['--headless', '--no-sandbox', '--disable-gpu', f'--user-data-dir={tmp_path / "profile"}']
    command = [CHROMIUM, *options, f'--window-size={width},900', '--dump-dom', path.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    path.write_text(done.stdout, encoding='utf-8')
    probe = json.loads(Page(path).values('html', 'data-probe')[0])
    everything, some, sure, none = (probe[name] for name in ('all', 'some', 'sure', 'none'))
    assert everything['names'] == NAMES and everything['said'] == '7 faces on 5 of 5 photographs'
    assert everything['paths'][1] == 'M5 10H15V30H5Z' and everything['paths'][0].count('M') == 3
    assert some['names'] == [name for name, faces in zip(NAMES, FACES, strict=True) if faces]
    assert sure['counts'] == ['2 faces', '1 face', '0 faces', '2 faces', '1 face']
    assert sure['paths'][0] == 'M5 10H15V30H5ZM25 10H35V30H25Z' and sure['said'] == '6 faces on 4 of 5 photographs'
    assert none['names'] == [NAMES[2]] and none['said'] == '0 faces on 1 of 5 photographs'
    assert '20%' in probe['clip'] and probe['hit'] and probe['loaded'] == 10, (probe['hit'], probe['loaded'])
    assert not probe['wide'], 'the page scrolls sideways'


def test_a_result_keeps_its_pictures_when_the_page_is_made_again(tmp_path: Path) -> None:
    """Nothing but the page and its folder changes, and the same results give the same page."""
    folder = detected(tmp_path)
    before = {path: path.read_bytes() for path in folder.rglob('*') if path.is_file()}
    first = {path: path.read_bytes() for path in (write_gallery(folder)[0], *folder.glob('gallery_files/**/*.jpg'))}
    write_gallery(folder)
    assert all(path.read_bytes() == content for path, content in {**before, **first}.items())
