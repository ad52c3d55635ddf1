"""Image observations as a person sees them: their mean, and some of them."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import SubFigure

_N_FRAMES = 7


def draw_frames(figure: SubFigure, frames: np.ndarray, name: str) -> None:
    """The mean frame, then frames from the first to the last one.

    :param frames: uint8 (n, H, W), (n, H, W, C) or (n, C, H, W).
    """
    figure.suptitle(f"{name}: {_shape_in_words(frames)}", fontsize=10)
    last = len(frames) - 1
    shown = [("mean frame", frames.mean(axis=0).round().astype(np.uint8))]
    for i in np.linspace(0, last, min(len(frames), _N_FRAMES)).astype(int):
        shown.append((f"after {i / max(last, 1):.0%} of the steps", frames[i]))
    row = figure.subplots(1, 1 + _N_FRAMES)
    for axes in row:
        axes.set_axis_off()
    for axes, (title, frame) in zip(row, shown, strict=False):
        axes.imshow(visible(frame), cmap="gray", vmin=0, vmax=255)
        axes.set_title(title, fontsize=8)


def visible(frame: np.ndarray) -> np.ndarray:
    """(H, W) or, of three channels, (H, W, 3); of another number (a stack) the last channel."""
    if frame.ndim == 2:
        return frame
    if frame.shape[0] < frame.shape[2]:  # channels first
        frame = np.moveaxis(frame, 0, -1)
    return frame if frame.shape[2] == 3 else frame[..., -1]


def _shape_in_words(frames: np.ndarray) -> str:
    shape = " x ".join(map(str, frames.shape[1:]))
    n_channels = 1 if frames.ndim == 3 else min(frames.shape[1], frames.shape[3])
    return f"{shape} images" + ("" if n_channels in (1, 3) else "; the last of the stack is shown")
