"""Writes test/fixtures/vision/resize.json: images as PIL's filters resize them, for src/vision/resize.ts.

    python training/parity/resize.py [test/fixtures/vision/resize.json]

Pillow 12 or earlier: 13 resizes columns before rows where the height shrinks much more than the width (its pull request 9549), and models
were trained before that. Each case: filter, input sides and RGB bytes, how a square is made of it first (none, 'pad' with grey 127, 'crop'), output sides and bytes (base64).
"""

import base64
import json
import sys
from pathlib import Path

import numpy as np
import PIL
from PIL import Image

# (input width, height, output width, height): up, down, both, odd, one pixel, narrow.
PLAIN = [
    (16, 16, 16, 16), (16, 16, 32, 32), (32, 32, 16, 16), (37, 29, 13, 17), (13, 17, 37, 29), (23, 11, 11, 23),
    (1, 1, 32, 32), (32, 32, 1, 1), (1, 1, 1, 1), (2, 2, 7, 5), (3, 2, 3, 9), (2, 3, 9, 3), (16, 9, 16, 30), (9, 16, 30, 16),
    (200, 3, 16, 16), (3, 200, 16, 16), (300, 1, 8, 8), (1, 300, 8, 8), (5, 5, 64, 2), (64, 2, 5, 5), (61, 47, 60, 46), (40, 40, 39, 41),
]
SQUARES = [(31, 20, 16), (20, 31, 16), (21, 30, 32), (200, 3, 16), (3, 200, 16), (1, 9, 4), (16, 16, 16), (9, 8, 24)]


def noise(rng: np.random.Generator, width: int, height: int) -> Image.Image:
    """Half of the values at an end of the range, where overshoot is clamped."""
    values = rng.integers(0, 256, (height, width, 3))
    ends = rng.integers(0, 2, values.shape) * 255
    return Image.fromarray(np.where(rng.random(values.shape) < 0.5, values, ends).astype(np.uint8))


def pad(image: Image.Image) -> Image.Image:
    side = max(image.size)
    square = Image.new("RGB", (side, side), (127, 127, 127))
    square.paste(image, ((side - image.width) // 2, (side - image.height) // 2))
    return square


def crop(image: Image.Image) -> Image.Image:
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    return image.crop((left, top, left + side, top + side))


def text(image: Image.Image) -> str:
    return base64.b64encode(image.tobytes()).decode()


def case(image: Image.Image, square: Image.Image, fit: str, size: tuple[int, int], kernel: str = "bicubic") -> dict:
    resized = square.resize(size, Image.Resampling[kernel.upper()])
    return {"filter": kernel, "fit": fit, "from": image.size, "to": size, "input": text(image), "output": text(resized)}


def main(out: Path) -> None:
    if int(PIL.__version__.split(".")[0]) > 12:
        raise SystemExit(f"Pillow {PIL.__version__} resizes in another order; install 12.2.0")
    rng = np.random.default_rng(20261121)
    cases = []
    for width, height, to_width, to_height in PLAIN:
        image = noise(rng, width, height)
        cases.append(case(image, image, "none", (to_width, to_height)))
    for width, height, size in SQUARES:
        image = noise(rng, width, height)
        cases.append(case(image, pad(image), "pad", (size, size)))
        cases.append(case(image, crop(image), "crop", (size, size)))
    for kernel in ("bilinear", "lanczos"):
        for width, height, to_width, to_height in PLAIN:
            image = noise(rng, width, height)
            cases.append(case(image, image, "none", (to_width, to_height), kernel))
    lines = ",\n".join(json.dumps(entry) for entry in cases)
    out.write_text(f'{{"pillow": "{PIL.__version__}", "cases": [\n{lines}\n]}}\n')


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "test/fixtures/vision/resize.json"))
