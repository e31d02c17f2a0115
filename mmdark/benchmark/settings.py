"""What a benchmark is asked for: which model, on which device, how much at a time."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Settings:
    """The same for both implementations, but for the size of a batch.

    Attributes:
        config: path of the config whose model, pipeline and optimizer are measured.
        cfg_options: settings that differ from the config.
        device: ``cpu`` or ``cuda``.
        threads: of torch and OpenCV.
        batch_size: images in a call; None leaves it to the subject.
        published_batch_size: the same of the published code, at its own best; None: as ours.
        size: side of the images in pixels.
        faces: in each image.
        amp: bfloat16 in ``train`` and ``test``.
        channels_last: weights of ``train`` and ``test`` in channels-last order.
        compile: ``torch.compile`` for the parts of the model in ``train``.
        images: how many images a call of ``data`` reads.
        data_root: images for ``data``, and for ``train``, which then loads its batches; None: random ones.
        workers: processes that load the batches of ``train``.
        seed: of all random inputs.
    """

    config: str
    cfg_options: dict[str, Any] = field(default_factory=dict)
    device: str = 'cpu'
    threads: int = 1
    batch_size: int | None = None
    published_batch_size: int | None = None
    size: int = 640
    faces: int = 40
    amp: bool = False
    channels_last: bool = False
    compile: bool = False
    images: int = 32
    data_root: str | None = None
    workers: int = 4
    seed: int = 0

    def batch(self, on_cpu: int, on_cuda: int, published: bool = False) -> int:
        """Images in a call: as asked for, or what suits the device."""
        asked = (self.published_batch_size if published else None) or self.batch_size
        return asked or (on_cuda if self.device == 'cuda' else on_cpu)
