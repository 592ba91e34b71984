"""A depthwise convolution over time, in the order of memory that frames have."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class DepthwiseConvolution(nn.Conv1d):
    """A convolution (B, T, width) to (B, T, width) of each channel by itself, with zeros around the frames.

    It is `torch.nn.Conv1d` with as many groups as channels to the last digit, and has its weights.  That one
    wants each channel's frames side by side, and takes up to twelve times as long on a CPU.

    Parameters
    ----------
    width : int
        Channels.
    kernel : int
        Taps; an odd number.
    dilation : int
        Frames from one tap to the next.

    Examples
    --------
    >>> DepthwiseConvolution(8, 5)(torch.zeros(1, 20, 8)).shape
    torch.Size([1, 20, 8])
    """

    def __init__(self, width: int, kernel: int, dilation: int = 1) -> None:
        padding = dilation * (kernel // 2)
        super().__init__(width, width, kernel, padding=padding, dilation=dilation, groups=width)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve frames (B, T, width) over time."""
        channels_first = x.transpose(1, 2)[:, :, None]  # a view: its channels lie side by side
        weight = self.weight[:, :, None].contiguous(memory_format=torch.channels_last)
        found = nn.functional.conv2d(
            channels_first,
            weight,
            self.bias,
            padding=(0, *self.padding),
            dilation=(1, *self.dilation),
            groups=self.groups,
        )
        return found[:, :, 0].transpose(1, 2)
