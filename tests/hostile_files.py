"""Checkpoints and archives that mean harm: each builder writes one, and a mark at ``mark`` shows that its code ran."""

from __future__ import annotations

import io
import os
import pickle
import random
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.logging import HistoryBuffer

MB = 1 << 20
Build = Callable[[Path, Path], None]
CHECKPOINTS: dict[str, Build] = {}
ARCHIVES: dict[str, Build] = {}
LARGE = os.environ.get('MMDARK_FUZZ') == 'full'
"""Whether bombs have their full size, as attackers have them."""


class Calls:
    """Pickles as a call, which runs where the pickle is loaded without care."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> tuple:
        return self.call


def checkpoint(build: Build) -> Build:
    """Remember a builder of a checkpoint."""
    CHECKPOINTS[build.__name__.strip('_').replace('_', ' ')] = build
    return build


def archive(build: Build) -> Build:
    """Remember a builder of an archive."""
    ARCHIVES[build.__name__.strip('_').replace('_', ' ')] = build
    return build


def saved(content: Any, path: Path, **options: Any) -> None:
    torch.save(content, path, **options)


def pickled(body: bytes, path: Path) -> None:
    """A checkpoint of torch whose pickle is ``body``."""
    buffer = io.BytesIO()
    torch.save({}, buffer)
    with zipfile.ZipFile(buffer) as old, zipfile.ZipFile(path, 'w') as new:
        for entry in old.infolist():
            content = b'\x80\x02' + body + b'.' if entry.filename.endswith('data.pkl') else old.read(entry)
            new.writestr(entry.filename, content)


def legacy(body: bytes, path: Path) -> None:
    """The same in the format before torch 1.6."""
    parts = [pickle.dumps(part, 2) for part in (0x1950A86A20F9469CFC6C, 1001, dict(little_endian=True))]
    path.write_bytes(b''.join(parts) + b'\x80\x02' + body + b'.' + pickle.dumps([], 2))


def text(value: str) -> bytes:
    return b'X' + struct.pack('<I', len(value)) + value.encode()


def named(name: str) -> bytes:
    module, _, last = name.rpartition('.')
    return f'c{module}\n{last}\n'.encode()


def shared(levels: int, pair: bytes = b'\x86') -> bytes:
    """A value that holds its predecessor twice, again and again: 2 ** levels of them."""
    return b')' + b''.join(b'q\x00h\x00' + pair for _ in range(levels))


def storage(key: bytes, numbers: int) -> bytes:
    """A tensor of all numbers of a storage."""
    held = b'(' + text('storage') + named('torch.FloatStorage') + text(key.decode()) + text('cpu')
    size = b'J' + struct.pack('<i', min(numbers, 2**31 - 1))
    rest = b'K\x00' + size + b'\x85K\x01\x85\x89}t'
    return named('torch._utils._rebuild_tensor_v2') + b'(' + held + size + b'tQ' + rest + b'R'


def add_bomb(path: Path, name: str, megabytes: int, block: bytes, stated: int | None = None) -> None:
    """Add to a zip a file of so many times ``block``, packed once and repeated."""
    packer = zlib.compressobj(wbits=-15)
    packed = packer.compress(block) + packer.flush(zlib.Z_FULL_FLUSH)
    with zipfile.ZipFile(path, 'a') as file:
        file.writestr(name, packed * megabytes + packer.flush())
        entry = file.getinfo(name)
        entry.compress_type, entry.file_size = zipfile.ZIP_DEFLATED, stated or megabytes * len(block)


def weights(**entries: Any) -> dict[str, Any]:
    return {'state_dict': {'backbone.a.weight': torch.zeros(2)}, **entries}


@checkpoint
def a_call_of_the_shell(path: Path, mark: Path) -> None:
    saved({'state_dict': {}, 'x': Calls(os.system, f'touch {mark}')}, path)


@checkpoint
def evaluated_text(path: Path, mark: Path) -> None:
    saved({'state_dict': Calls(eval, f'__import__("os").system("touch {mark}")')}, path)


@checkpoint
def code_in_the_old_format(path: Path, mark: Path) -> None:
    saved({'x': Calls(exec, f'open({str(mark)!r}, "w")')}, path, _use_new_zipfile_serialization=False)


@checkpoint
def an_instance_by_name(path: Path, mark: Path) -> None:
    legacy(b'(S"touch ' + str(mark).encode() + b'"\nios\nsystem\n', path)


@checkpoint
def an_attribute_of_a_class(path: Path, mark: Path) -> None:
    saved({'x': Calls(getattr, np.ndarray, 'dump')}, path)


@checkpoint
def an_array_of_objects(path: Path, mark: Path) -> None:
    saved({'x': np.array([Calls(os.system, f'touch {mark}')], dtype=object)}, path)


@checkpoint
def methods_of_a_history(path: Path, mark: Path) -> None:
    history = HistoryBuffer([1.0], [1])
    history._statistics_methods = {'mean': os.system}
    saved({'message_hub': {'log_scalars': {'loss': history}}}, path)


@checkpoint
def a_module(path: Path, mark: Path) -> None:
    saved({'model': torch.nn.Linear(1, 1)}, path)


@checkpoint
def a_config_beside_it(path: Path, mark: Path) -> None:
    path.with_name('cleanup.py').write_text(f'open({str(mark)!r}, "w")\n')
    saved(weights(meta=dict(config_name='cleanup')), path)


@checkpoint
def a_config_within(path: Path, mark: Path) -> None:
    bait = f'open({str(mark)!r}, "w")'
    saved(weights(meta=dict(cfg=bait, config=bait), message_hub=dict(runtime_info=dict(cfg=bait))), path)


@checkpoint
def shared_tuples(path: Path, mark: Path) -> None:
    pickled(b'}' + text('x') + shared(60) + b's', path)


@checkpoint
def shared_tuples_in_the_old_format(path: Path, mark: Path) -> None:
    legacy(b'}' + text('x') + shared(60) + b's', path)


@checkpoint
def shared_tuples_as_a_key(path: Path, mark: Path) -> None:
    pickled(b'}' + shared(60) + b'K\x01s', path)


@checkpoint
def shared_lists_in_meta(path: Path, mark: Path) -> None:
    value: list = []
    for _ in range(60):
        value = [value, value]
    saved(weights(meta=dict(config_name='a', other=value)), path)


@checkpoint
def a_list_within_itself(path: Path, mark: Path) -> None:
    value: list = []
    value.append(value)
    saved(weights(meta=dict(config_name='a', other=value)), path)


@checkpoint
def deep_lists(path: Path, mark: Path) -> None:
    pickled(b'}' + text('x') + b']' * 100_000 + b'a' * 99_999 + b's', path)


@checkpoint
def a_tensor_by_its_size(path: Path, mark: Path) -> None:
    pickled(
        b'}' + text('x') + named('torch.FloatTensor') + b'\x8a\x05' + (10**10).to_bytes(5, 'little') + b'\x85Rs', path
    )


@checkpoint
def memory_by_its_size(path: Path, mark: Path) -> None:
    size = b'\x8a\x05' + (10**11).to_bytes(5, 'little')
    pickled(b'}' + text('x') + named('torch.storage.UntypedStorage') + size + b'\x85Rs', path)


@checkpoint
def bytes_by_their_number(path: Path, mark: Path) -> None:
    pickled(
        b'}' + text('x') + named('builtins.bytearray') + b'\x8a\x05' + (10**10).to_bytes(5, 'little') + b'\x85Rs', path
    )


@checkpoint
def bytes_through_another_call(path: Path, mark: Path) -> None:
    size = b'\x8a\x05' + (10**10).to_bytes(5, 'little')
    inner = named('builtins.bytearray')
    body = named('torch._tensor._rebuild_from_type_v2') + b'(' + inner * 2 + size + b'\x85Nt'
    pickled(b'}' + text('x') + body + b'Rs', path)


@checkpoint
def a_text_copied_often(path: Path, mark: Path) -> None:
    copies = b''.join(named('_codecs.encode') + b'h\x00' + text('latin1') + b'\x86R' for _ in range(6000))
    pickled(b'}' + text('x') + b'](' + text('a' * MB) + b'q\x00' + copies + b'es', path)


@checkpoint
def numbers_that_are_not_there(path: Path, mark: Path) -> None:
    """2 GB for each of a thousand names."""
    kind = named('torch.FloatStorage')
    parts = [
        b'(' + text('storage') + kind + text(str(key)) + text('cpu') + b'J' + struct.pack('<i', 2**29) + b'NtQ'
        for key in range(1000)
    ]
    legacy(b'}' + text('x') + b'](' + b''.join(parts) + b'es', path)


@checkpoint
def a_text_longer_than_the_file(path: Path, mark: Path) -> None:
    legacy(b'}X' + struct.pack('<I', 2**32 - 1) + b'abc', path)


@checkpoint
def a_sparse_tensor(path: Path, mark: Path) -> None:
    saved({'state_dict': {'a': torch.sparse_coo_tensor(torch.zeros(2, 1).long(), [1.0], (10**6, 10**6))}}, path)


@checkpoint
def a_tensor_without_memory(path: Path, mark: Path) -> None:
    saved({'state_dict': {'a.weight': torch.empty(10**6, 10**6, device='meta')}}, path)


@checkpoint
def one_number_seen_often(path: Path, mark: Path) -> None:
    saved({'state_dict': {'a.weight': torch.zeros(1).expand(10**6, 10**5)}}, path)


@checkpoint
def a_packed_bomb(path: Path, mark: Path) -> None:
    pickled(b'}' + text('x') + storage(b'0', 2**30) + b's', path)
    add_bomb(path, 'archive/data/0', 9600 if LARGE else 200, bytes(MB))


@checkpoint
def a_bomb_packed_otherwise(path: Path, mark: Path) -> None:
    with zipfile.ZipFile(path, 'w', zipfile.ZIP_BZIP2) as new:
        new.writestr('a/data.pkl', bytes(10 * MB))


@checkpoint
def _safetensors_of_many_names(path: Path, mark: Path) -> None:
    count = 1_000_000 if LARGE else 120_000
    header = '{' + ','.join(f'"{i}":{{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}' for i in range(count)) + '}'
    path.with_suffix('.safetensors').write_bytes(struct.pack('<Q', len(header)) + header.encode())


@checkpoint
def _safetensors_with_an_endless_header(path: Path, mark: Path) -> None:
    path.with_suffix('.safetensors').write_bytes(struct.pack('<Q', 2**60) + b'{}')


@checkpoint
def meta_a_list(path: Path, mark: Path) -> None:
    saved(weights(meta=[1, 2]), path)


@checkpoint
def numbers_for_names(path: Path, mark: Path) -> None:
    saved({'state_dict': {1: torch.zeros(1)}}, path)


@checkpoint
def arrays_for_weights(path: Path, mark: Path) -> None:
    saved({'state_dict': {'backbone.a.weight': np.zeros(3)}, 'meta': dict(config_name='dsfd_dark_lite_wider')}, path)


@checkpoint
def classes_that_are_numbers(path: Path, mark: Path) -> None:
    saved(weights(meta=dict(dataset_meta=dict(classes=(1, 2)), experiment_name='x')), path)


def damaged(seed: int) -> Build:
    """The weights that come with mmdark, cut off or with other bytes at some places."""

    def build(path: Path, mark: Path) -> None:
        from mmdark.inference.weights import shipped_weights

        rng, content = random.Random(seed), bytearray(shipped_weights().read_bytes())
        if rng.random() < 0.3:
            del content[rng.randrange(len(content)) :]
        for _ in range(rng.choice((1, 20, 2000))):
            place = rng.randrange(len(content))
            content[place] = rng.randrange(256)
        path.write_bytes(content)

    return build


CHECKPOINTS |= {f'damaged {seed}': damaged(seed) for seed in range(40 - len(CHECKPOINTS))}


def zipped(path: Path, files: dict[str, bytes], packing: int = zipfile.ZIP_DEFLATED) -> None:
    with zipfile.ZipFile(path, 'w', packing) as file:
        for name, content in files.items():
            file.writestr(name, content)


ROWS = b'a\n1\n1 2 3 4 0.5\n'


@archive
def one_bomb(path: Path, mark: Path) -> None:
    add_bomb(path, 'e/a.txt', 6400 if LARGE else 200, b'1 ' * (MB // 2))


@archive
def many_bombs(path: Path, mark: Path) -> None:
    for letter in 'abcd':
        add_bomb(path, f'e/{letter}.txt', 2000 if LARGE else 50, b' ' * MB)


@archive
def a_bomb_packed_by_bzip2(path: Path, mark: Path) -> None:
    zipped(path, {'e/a.txt': bytes(10 * MB)}, zipfile.ZIP_BZIP2)


@archive
def a_bomb_packed_by_lzma(path: Path, mark: Path) -> None:
    zipped(path, {'e/a.txt': bytes(10 * MB)}, zipfile.ZIP_LZMA)


@archive
def a_bomb_that_states_a_small_size(path: Path, mark: Path) -> None:
    add_bomb(path, 'e/a.txt', 6400 if LARGE else 200, bytes(MB), stated=100)


@archive
def a_file_of_many_megabytes(path: Path, mark: Path) -> None:
    zipped(path, {'e/a.txt': b'a\n1\n' + b'7' * (20 * MB)}, zipfile.ZIP_STORED)


@archive
def names_that_leave_the_folder(path: Path, mark: Path) -> None:
    zipped(path, {'../../a.txt': ROWS, str(mark.with_suffix('.txt')): ROWS, 'e/../../a.txt': ROWS})


@archive
def a_link(path: Path, mark: Path) -> None:
    entry = zipfile.ZipInfo('e/a.txt')
    entry.external_attr = 0o120777 << 16
    with zipfile.ZipFile(path, 'w') as file:
        file.writestr(entry, '/etc/passwd')


@archive
def many_names(path: Path, mark: Path) -> None:
    """In 20 MB; all of them lead to the same place."""
    zipped(path, {'e/a.txt': ROWS})
    content, count = path.read_bytes(), 150_000 if LARGE else 110_000
    start = content.index(b'PK\x01\x02')
    entry, name = content[start : start + 46], len('e/a.txt')
    entries = b''.join(entry + f'e{number:06}'.encode() for number in range(count))
    end = struct.pack('<4s4H2IH', b'PK\x05\x06', 0, 0, 0xFFFF, 0xFFFF, count * (46 + name), start, 0)
    path.write_bytes(content[:start] + entries + end)


@archive
def a_name_twice(path: Path, mark: Path) -> None:
    with zipfile.ZipFile(path, 'w') as file:
        for _ in range(2):
            file.writestr('e/a.txt', ROWS)


@archive
def a_zip_within(path: Path, mark: Path) -> None:
    zipped(path, {'e/a.txt': ROWS})
    zipped(path, {'a.zip': path.read_bytes()})


@archive
def a_password(path: Path, mark: Path) -> None:
    zipped(path, {'e/a.txt': ROWS}, zipfile.ZIP_STORED)
    content = path.read_bytes()
    path.write_bytes(content.replace(b'PK\x03\x04\x14\x00\x00\x00', b'PK\x03\x04\x14\x00\x01\x00').replace(
        b'PK\x01\x02\x14\x03\x14\x00\x00\x00', b'PK\x01\x02\x14\x03\x14\x00\x01\x00'))  # fmt: skip


@archive
def a_folder_with_two_links_to_itself(path: Path, mark: Path) -> None:
    (folder := path.with_suffix('')).mkdir()
    (folder / 'a.txt').write_bytes(ROWS)
    for name in 'xy':
        (folder / name).symlink_to('.')


@archive
def a_folder_with_pipes_and_devices(path: Path, mark: Path) -> None:
    (folder := path.with_suffix('')).mkdir()
    os.mkfifo(folder / 'a.txt')
    (folder / 'b.txt').symlink_to('/dev/zero')
    (folder / 'c.txt').symlink_to('c.txt')
    (folder / 'd.txt').write_bytes(ROWS.replace(b'a', b'd'))


def cut(seed: int) -> Build:
    """A good archive, damaged."""

    def build(path: Path, mark: Path) -> None:
        zipped(path, {f'e/{name}.txt': ROWS.replace(b'a', name.encode()) * 50 for name in 'abcd'})
        rng, content = random.Random(seed), bytearray(path.read_bytes())
        for _ in range(rng.choice((1, 5, 50))):
            content[rng.randrange(len(content))] = rng.randrange(256)
        path.write_bytes(content[: rng.choice((len(content), len(content) * 3 // 4))])

    return build


ARCHIVES |= {f'damaged {seed}': cut(seed) for seed in range(20 - len(ARCHIVES))}


def built(build: Build, folder: Path, suffix: str) -> tuple[Path, Path]:
    """What a builder wrote into a folder of its own, and the mark that its code would make."""
    folder.mkdir()
    path, mark = folder / f'file{suffix}', folder / 'ran'
    build(path, mark)
    return next(found for found in sorted(folder.iterdir()) if found.stem == 'file'), mark
