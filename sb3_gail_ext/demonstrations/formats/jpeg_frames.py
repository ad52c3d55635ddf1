"""Decode JPEG frames of unknown origin, whose size is known before."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from sb3_gail_ext.demonstrations.errors import DemonstrationError, in_one_line
from sb3_gail_ext.demonstrations.formats.sizes import check_size

_MODES = {(): "L", (3,): "RGB"}  # Pillow's, by what follows height and width


def decoded(path: Path, key: str, frames: Sequence[bytes], shape: tuple[int, ...]) -> np.ndarray:
    """:param shape: of each frame: (height, width) or (height, width, 3).
    :returns: uint8 (n, *shape).
    :raises DemonstrationError: if Pillow is missing, or a frame is damaged or of another size.
    """
    try:
        from PIL import Image
    except ImportError as error:
        raise DemonstrationError(
            f"{path}: {key} is JPEG images, which need Pillow; pip install pillow"
        ) from error
    check_size(path, key, len(frames) * math.prod(shape), sum(map(len, frames)))
    images = np.empty((len(frames), *shape), dtype=np.uint8)
    for step, frame in enumerate(frames):
        try:
            with Image.open(io.BytesIO(frame), formats=["JPEG"]) as image:
                if (image.height, image.width) != shape[:2] or image.mode != _MODES.get(shape[2:]):
                    raise ValueError(f"it is {image.mode} of {image.size}, not of {shape}")
                images[step] = np.asarray(image)
        except Exception as error:  # foreign bytes: Pillow raises whatever it stumbles on
            raise DemonstrationError(
                f"{path}: {key} of step {step} is no JPEG image of {shape} "
                f"({in_one_line(error)}); record it again"
            ) from error
    return images
