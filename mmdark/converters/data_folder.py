"""Read a user's data set of any supported format as COCO documents; the format is detected from the files.

The formats are COCO, VOC, YOLO and WIDER FACE. An annotation with ``val`` in its name is the validation part. All
others except ``test`` are for training.
"""

from __future__ import annotations

import os
from collections.abc import Sequence, Set
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from mmdark.coco_annotation import parse_coco
from mmdark.converters.coco_document import AnnotatedBox, AnnotatedImage, coco_document, wider_to_images
from mmdark.converters.yolo import YoloPart, read_data_yaml, yolo_to_images
from mmdark.datasets.image_files import image_size, is_image
from mmdark.datasets.label_files import join_once, lines_of, read_bytes, read_text
from mmdark.datasets.voc_annotation import VocImage, parse_voc, parse_voc_list
from mmdark.datasets.wider_annotation import parse_wider_annotation
from mmdark.errors import InputError
from mmdark.file_limits import parse_json

KINDS = 'COCO (*.json), VOC (Annotations/*.xml), YOLO (data.yaml, or images/ and labels/) or WIDER FACE (*_bbx_gt.txt)'
HELD_OUT, MOST_HELD_OUT = 0.15, 200
"""Fraction and maximum number of images held out if the data has no validation part; see :func:`split_part`."""
VALIDATION = ('val', 'valid', 'validation')
"""Possible names of the folder or list of the validation part."""
_REMEDY = 'copy it again, or name another'


class DataPart(NamedTuple):
    """A COCO document and the folder that its ``file_name`` entries are relative to."""

    document: dict[str, Any]
    images: Path

    def class_names(self) -> list[str]:
        """Names of the classes that have at least one box, in the order of the categories."""
        used = {annotation['category_id'] for annotation in self.document['annotations']}
        return [entry['name'] for entry in self.document['categories'] if entry['id'] in used]

    def image_ids(self, classes: Sequence[str]) -> set[int | str]:
        """Ids of the images with at least one box of these classes that is not ignored."""
        wanted = {entry['id'] for entry in self.document['categories'] if entry['name'] in classes}
        boxes = self.document['annotations']
        return {box['image_id'] for box in boxes if box['category_id'] in wanted and not box.get('iscrowd')}

    def select(self, ids: Set[int | str]) -> DataPart:
        """The part reduced to the images with these ids."""
        images = [image for image in self.document['images'] if image['id'] in ids]
        boxes = [box for box in self.document['annotations'] if box['image_id'] in ids]
        return DataPart({**self.document, 'images': images, 'annotations': boxes}, self.images)


class DataFolder(NamedTuple):
    """A data set: the name of its format, its training part, and its validation part if it has one."""

    kind: str
    train: DataPart
    val: DataPart | None


def read_data(path: str | Path, images: str | Path | None = None) -> DataFolder:
    """Read a data set.

    Args:
        path: folder of the data set, or a file: a COCO file, a ``data.yaml`` or a WIDER FACE list.
        images: folder of the images, if they are not next to the annotation.

    Raises:
        InputError: the format is not supported, the data set is malformed, or images are missing.
    """
    path, folder = Path(path), None if images is None else Path(images)
    for place in (path, folder or path):
        if not place.exists():
            raise InputError(f'{place} does not exist: name the folder or file of a data set')
    kind, sources = _sources(path)
    read = {'COCO': _read_coco, 'VOC': _read_voc, 'YOLO': _read_yolo, 'WIDER FACE': _read_wider}[kind]
    parts = {name: read(source, folder) for name, source in sources.items()}
    if 'train' not in parts:
        raise InputError(f'{path} has a validation part and nothing to train on: name the file to train on instead')
    return DataFolder(kind, parts['train'], parts.get('val'))


def split_part(part: DataPart, classes: Sequence[str]) -> tuple[DataPart, DataPart]:
    """Split off a validation part; images with and without boxes of the classes are split separately.

    Images are chosen by the hash of their names, so adding images moves few others to the other part.

    Raises:
        InputError: fewer than two images have boxes of the classes.
    """
    full = part.image_ids(classes)
    if len(full) < 2:
        raise InputError(
            f'{part.images}: {len(full)} image(s) with a box of {", ".join(classes)[:80]}: at least two are needed, '
            'one to train on and one to measure on; add some, or name others to measure on with --val'
        )
    ids = {image['file_name']: image['id'] for image in part.document['images']}
    ordered = [ids[name] for name in sorted(ids, key=lambda name: sha256(name.encode(errors='replace')).digest())]
    with_box, without = [key for key in ordered if key in full], [key for key in ordered if key not in full]
    counts = [min(round(HELD_OUT * len(group)), MOST_HELD_OUT) for group in (with_box, without)]
    chosen = {*with_box[: max(counts[0], 1)], *without[: counts[1]]}
    return part.select(set(ordered) - chosen), part.select(chosen)


def _sources(path: Path) -> tuple[str, dict[str, Any]]:
    """The format, and the argument of its reader for each of ``train`` and ``val``."""
    suffix = path.suffix.lower()
    if path.is_file() and suffix in ('.json', '.txt'):
        return {'.json': 'COCO', '.txt': 'WIDER FACE'}[suffix], {'train': path}
    if path.is_file() and suffix in ('.yaml', '.yml'):
        return 'YOLO', _yolo_parts(path)
    if path.is_dir():
        if (path / 'data.yaml').is_file():
            return 'YOLO', _yolo_parts(path / 'data.yaml')
        if (path / 'images').is_dir() and (path / 'labels').is_dir():
            return 'YOLO', _yolo_folders(path)
        if any((path / 'Annotations').glob('*.xml')):
            return 'VOC', _voc_parts(path)
        for kind, patterns in (
            ('COCO', ('annotations/*.json', '*.json', '*/_annotations.coco.json')),
            ('WIDER FACE', ('wider_face_split/*_bbx_gt.txt', '*_bbx_gt.txt')),
        ):
            if found := next(filter(None, (sorted(path.glob(pattern)) for pattern in patterns)), None):
                return kind, _parts_of_files(path, found)
    raise InputError(f'{path} is no data set of a known format: name a folder or file of {KINDS}')


def _parts_of_files(path: Path, files: Sequence[Path]) -> dict[str, Path]:
    """Find the training and the validation annotation of a folder by the file names."""
    names = {file: file.relative_to(path).as_posix().lower() for file in files}
    val = [file for file in files if 'val' in names[file]]
    train = [file for file in files if file not in val and 'test' not in names[file]]
    train = [file for file in train if 'train' in names[file]] or train
    if len(train) > 1 or len(val) > 1:
        several = ', '.join(str(file) for file in (train if len(train) > 1 else val)[:3])
        raise InputError(
            f'{path} holds several annotations ({several}): name the file to train on, and the other --val'
        )
    return {name: found[0] for name, found in (('train', train), ('val', val)) if found}


def _read_coco(file: Path, folder: Path | None) -> DataPart:
    text = _text(file)
    first, names = _coco_names(text)
    near, stem = [file.parent, file.parent.parent], file.stem.removeprefix('instances_')
    places = [base / name for base in near for name in ('', stem, f'images/{stem}', 'images')]
    folder = folder or _folder_with(first, places)
    _check_present([first], folder, file)
    document, _ = parse_coco(text, str(file), names or ['face'], lambda name: image_size(folder / name))
    _check_present([image['file_name'] for image in document['images']], folder, file)
    return DataPart(document, folder)


def _coco_names(text: str) -> tuple[str, list[str]]:
    """Names of the first image and of the categories in a file that ``parse_coco`` has not checked yet."""
    try:
        document = parse_json(text)
        entries = document.get('categories') or []
        return str(document['images'][0]['file_name']), [entry['name'] for entry in entries if 'name' in entry]
    except (AttributeError, IndexError, KeyError, TypeError, ValueError):
        return '', []


def _read_wider(file: Path, folder: Path | None) -> DataPart:
    records = parse_wider_annotation(_text(file), str(file))
    root = file.parent.parent
    near = [root / f'WIDER_{part}' / 'images' for part in ('train', 'val', 'test') if part in file.name]
    folder = folder or _folder_with(records[0].name, [*near, file.parent, file.parent / 'images', root])
    return DataPart(coco_document(wider_to_images(records, folder, str(file)))[0], folder)


def _yolo_parts(path: Path) -> dict[str, tuple[YoloPart, list[str] | None]]:
    parts, names = read_data_yaml(path)
    return {part.name: (part, names) for part in parts if part.name != 'test'}


def _yolo_folders(path: Path) -> dict[str, tuple[YoloPart, list[str] | None]]:
    """Parts of ``images/`` and ``labels/``, optionally with ``train/`` and ``val/``; classes are in ``classes.txt``."""
    files = [file for file in (path / 'classes.txt', path / 'labels' / 'classes.txt') if file.is_file()]
    names = [line for _, line in lines_of(_text(files[0]))] if files else None
    if not (path / 'images' / 'train').is_dir():
        return {'train': (YoloPart('train', path / 'images', path / 'labels'), names)}
    val = next((name for name in VALIDATION if (path / 'images' / name).is_dir()), None)
    folders = {'train': 'train', **({'val': val} if val else {})}
    return {
        part: (YoloPart(part, path / 'images' / name, path / 'labels' / name), names) for part, name in folders.items()
    }


def _read_yolo(source: tuple[YoloPart, list[str] | None], folder: Path | None) -> DataPart:
    (_, images, labels), names = source
    annotated, _ = yolo_to_images(labels, folder or images, names)
    return DataPart(coco_document(annotated, names or ('face',))[0], folder or images)


def _voc_parts(path: Path) -> dict[str, tuple[Path, list[Path]]]:
    """The folder and the annotation files of each part; without a training list, all files are for training."""
    lists = path / 'ImageSets' / 'Main'
    known = {file.stem: file for file in sorted((path / 'Annotations').glob('*.xml'))}
    parts = {}
    for part in ('train', 'val'):
        if (file := lists / f'{part}.txt').is_file():
            names = parse_voc_list(_text(file), str(file), known.__contains__)
            parts[part] = (path, [path / 'Annotations' / f'{name}.xml' for name in names])
    return parts if 'train' in parts else {'train': (path, list(known.values())), **parts}


def _read_voc(source: tuple[Path, list[Path]], folder: Path | None) -> DataPart:
    path, files = source
    folder = folder or next((path / name for name in ('JPEGImages', 'images') if (path / name).is_dir()), path)
    image_of = {name.rpartition('.')[0]: name for name in sorted(os.listdir(folder)) if is_image(name)}
    parsed = [parse_voc(read_bytes(str(file), 'annotation', _REMEDY), str(file)) for file in files]
    _check_present([image_of.get(file.stem, f'{file.stem}.jpg') for file in files], folder, path / 'Annotations')
    names = sorted({each.name for image in parsed for each in image.objects}) or ['face']
    images = [_voc_image(folder, image_of[file.stem], voc, names) for file, voc in zip(files, parsed, strict=True)]
    return DataPart(coco_document(images, names)[0], folder)


def _voc_image(folder: Path, name: str, image: VocImage, names: Sequence[str]) -> AnnotatedImage:
    """Convert corners counted from 1 to a box, without rounding."""
    boxes = [
        AnnotatedBox(left - 1, top - 1, right - left, bottom - top, names.index(label), difficult)
        for label, left, top, right, bottom, difficult in image.objects
    ]
    return AnnotatedImage(name, *image_size(folder / name), boxes)


def _folder_with(name: str, places: Sequence[Path]) -> Path:
    """The first folder that contains the image ``name``; the first folder if none does."""
    return next((place for place in places if os.path.isfile(join_once(str(place.absolute()), name))), places[0])


def _check_present(names: Sequence[str], folder: Path, source: Path) -> None:
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        raise InputError(
            f'{source}: image {missing[0][:60]} is not there: looked for it in {folder} ({len(missing)} of '
            f'{len(names)} images are missing); name the folder of the images with --images'
        )


def _text(file: Path) -> str:
    return read_text(str(file), 'annotation', _REMEDY)
