"""Writes test/fixtures/vision/: small pictures in every format and condition that a decoder has to meet, and what PIL reads from them.

    python training/parity/images.py [test/fixtures/vision]

pictures.json lists each file with its size and PIL's pixels after EXIF orientation and composition over white (base64 of RGB bytes).
The picture itself is smooth with one corner of each colour, so that lossy formats keep it and no two orientations are alike.
"""

import base64
import json
import struct
import sys
import zlib
from pathlib import Path

import PIL
from PIL import Image, ImageFile, ImageOps

# A JPEG that lacks only its end marker is whole; PIL reads it when it is told to.
ImageFile.LOAD_TRUNCATED_IMAGES = True

WIDTH, HEIGHT = 32, 24


def picture(width: int = WIDTH, height: int = HEIGHT) -> Image.Image:
    image = Image.new("RGB", (width, height))
    for y in range(height):
        for x in range(width):
            image.putpixel((x, y), (x * 255 // (width - 1), y * 255 // (height - 1), (x + y) * 255 // (width + height - 2)))
    return image


def transparent() -> Image.Image:
    image = picture().convert("RGBA")
    alpha = Image.new("L", image.size)
    alpha.putdata([0 if x < 8 else 255 if x >= 24 else (x - 8) * 16 for y in range(HEIGHT) for x in range(WIDTH)])
    image.putalpha(alpha)
    return image


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, depth: int, colour: int, rows: bytes) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def deep_png() -> bytes:
    """PIL writes no 16-bit RGB: each 8-bit value v becomes 257 v, which is v again in 8 bits."""
    image = picture()
    rows = b"".join(
        b"\0" + b"".join(struct.pack(">3H", *(257 * v for v in image.getpixel((x, y)))) for x in range(WIDTH)) for y in range(HEIGHT)
    )
    return png(WIDTH, HEIGHT, 16, 2, rows)


def pixels(image: Image.Image) -> Image.Image:
    upright = ImageOps.exif_transpose(image)
    if "A" in upright.getbands() or "transparency" in upright.info:
        rgba = upright.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")
    return upright.convert("RGB")


def main(out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    base, clear = picture(), transparent()
    other = ImageOps.invert(base)
    palette = base.quantize(64)
    see_through = palette.copy()
    see_through.info["transparency"] = palette.getpixel((0, 0))

    def save(name: str, image: Image.Image, **options: object) -> None:
        image.save(out / name, **options)

    save("rgb.png", base)
    save("alpha.png", clear)
    save("grey.png", base.convert("L"))
    save("palette.png", see_through)
    (out / "deep.png").write_bytes(deep_png())
    save("one.png", Image.new("RGB", (1, 1), (12, 200, 77)))
    save("baseline.jpg", base, quality=95, subsampling=0)
    save("progressive.jpg", base, quality=95, subsampling=0, progressive=True)
    save("grey.jpg", base.convert("L"), quality=95)
    save("cmyk.jpg", base.convert("CMYK"), quality=95)
    save("one.jpg", Image.new("RGB", (1, 1), (12, 200, 77)), quality=95)
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        save(f"orientation-{orientation}.jpg", base, quality=95, subsampling=0, exif=exif)
        if orientation > 1:
            save(f"orientation-{orientation}.png", base, exif=exif)
            save(f"orientation-{orientation}.webp", base, lossless=True, exif=exif)
            # PIL writes the image's own properties, irot and imir.
            save(f"orientation-{orientation}.avif", base, quality=95, subsampling="4:4:4", exif=exif)
    save("lossy.webp", base, quality=95)
    save("lossless.webp", base, lossless=True)
    save("alpha.webp", clear, lossless=True, exact=True)
    save("animated.webp", base, save_all=True, append_images=[other], duration=100, lossless=True)
    save("animated.gif", palette, save_all=True, append_images=[other.quantize(64)], duration=100, loop=0)
    save("still.gif", palette)
    save("rgb.bmp", base)
    save("palette.bmp", palette)
    save("rgb.avif", base, quality=95, subsampling="4:4:4")
    # Whole but for the end marker.
    (out / "no-end.jpg").write_bytes((out / "baseline.jpg").read_bytes()[:-2])
    (out / "no-end-progressive.jpg").write_bytes((out / "progressive.jpg").read_bytes()[:-2])
    # A JPEG that calls itself a PNG.
    save("wrong-extension.png", base, format="JPEG", quality=95, subsampling=0)

    files = []
    for path in sorted(out.iterdir()):
        if path.suffix not in {".png", ".jpg", ".webp", ".gif", ".bmp", ".avif"}:
            continue
        with Image.open(path) as image:
            image.seek(0)
            seen = pixels(image)
        files.append({"name": path.name, "width": seen.width, "height": seen.height, "rgb": base64.b64encode(seen.tobytes()).decode()})
    lines = ",\n".join(json.dumps(file) for file in files)
    (out / "pictures.json").write_text(f'{{"pillow": "{PIL.__version__}", "files": [\n{lines}\n]}}\n')


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "test/fixtures/vision"))
