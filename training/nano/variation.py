"""Variations of drawings for training: another artist draws the same thing in other colours and proportions, tilted, with or without a contour.

With 1 to 4 drawings a name the tower learns the drawings by heart: .95 of the patches of drawings that it has seen, .40
of held-out ones. A variation is a function of its seed alone.
"""

from random import Random

import numpy as np

TILT, STRETCH = 14.0, 0.22  # degrees; share of a side that may be lost
GREY, CONTOUR = 0.06, 0.2  # shares of drawings
GREYS = np.array([0.299, 0.587, 0.114], np.float32)


def vary(pixels: np.ndarray, seed: int, keep_hue: bool) -> np.ndarray:
    """A varied copy of a drawing, uint8 (side, side, 4); `keep_hue` for drawings that are called by their colour."""
    r = Random(seed)
    varied = warp(pixels, r)
    if r.random() < CONTOUR:
        varied = contour(varied, r.choice((0, 30, 60, 255)))
    varied[..., :3] = recolour(varied[..., :3], r, keep_hue)
    return np.round(varied).astype(np.uint8)


def warp(pixels: np.ndarray, r: Random) -> np.ndarray:
    """Tilted, narrowed and sheared about the centre, float32; sampled bilinearly with premultiplied alpha."""
    side = pixels.shape[0]
    angle = np.deg2rad(r.uniform(-TILT, TILT))
    narrow, low = 1 - r.uniform(0, STRETCH), 1 - r.uniform(0, STRETCH)
    shear = r.uniform(-0.12, 0.12)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix = np.linalg.inv(turn @ np.array([[narrow, shear], [0, low]]))
    at = np.arange(side) + 0.5 - side / 2
    x = matrix[0, 0] * at[None, :] + matrix[0, 1] * at[:, None] + side / 2 - 0.5
    y = matrix[1, 0] * at[None, :] + matrix[1, 1] * at[:, None] + side / 2 - 0.5
    padded = np.zeros((side + 2, side + 2, 4), np.float32)  # transparent outside of the drawing
    padded[1:-1, 1:-1] = pixels
    padded[..., :3] *= padded[..., 3:] / 255
    x, y = np.clip(x + 1, 0, side + 0.999), np.clip(y + 1, 0, side + 0.999)
    left, top = x.astype(int), y.astype(int)
    u, v = (x - left)[..., None].astype(np.float32), (y - top)[..., None].astype(np.float32)
    sampled = (padded[top, left] * (1 - u) + padded[top, left + 1] * u) * (1 - v) + (padded[top + 1, left] * (1 - u) + padded[top + 1, left + 1] * u) * v
    sampled[..., :3] *= 255 / np.maximum(sampled[..., 3:], 1)
    return np.clip(sampled, 0, 255)


def contour(pixels: np.ndarray, level: int) -> np.ndarray:
    """The outermost pixels of the drawing in one grey level."""
    inside = np.pad(pixels[..., 3] > 127, 1)
    core = inside[1:-1, :-2] & inside[1:-1, 2:] & inside[:-2, 1:-1] & inside[2:, 1:-1]
    pixels[inside[1:-1, 1:-1] & ~core, :3] = level
    return pixels


def recolour(colours: np.ndarray, r: Random, keep_hue: bool) -> np.ndarray:
    """Other brightness, contrast and saturation; and unless `keep_hue` another hue, or none."""
    grey = (colours @ GREYS)[..., None]
    saturation = r.uniform(0.75, 1.25)
    if not keep_hue:
        saturation = 0 if r.random() < GREY else r.uniform(0.45, 1.4)
        colours = (colours - grey) @ rotation(np.deg2rad(r.gauss(0, 25))) + grey
    varied = grey + (colours - grey) * saturation
    return np.clip((varied - 128) * r.uniform(0.75, 1.2) + 128 + r.uniform(-22, 22), 0, 255)


def rotation(angle: float) -> np.ndarray:
    """Rotates colours about the axis of greys (Rodrigues' formula)."""
    c, s = np.cos(angle), np.sin(angle) / np.sqrt(3)
    k = (1 - c) / 3
    return np.array([[c + k, k + s, k - s], [k - s, c + k, k + s], [k + s, k - s, c + k]], np.float32)
