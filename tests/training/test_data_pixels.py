"""What becomes of an image: no number, orientation or transparency of a file makes it black without a word."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

import ecoml
from ecoml.errors import DataError
from ecoml.format import describe_treatment
from ecoml.training.images.data.dataset import Form
from ecoml.training.images.data.loader import load
from ecoml.training.images.data.pixels import opened, pixels

RNG = np.random.default_rng(0)
GREYS = [RNG.integers(0, 256, (9, 7)).astype(np.uint8) for _ in range(10)]
COLOURS = [RNG.integers(0, 256, (9, 7, 3)).astype(np.uint8) for _ in range(10)]
for _image in (*GREYS, *COLOURS):
    _image[0, :2] = [[0] * 3, [255] * 3] if _image.ndim == 3 else [0, 255]


def png(numbers):
    """A PNG of sixteen bits: H×W×C with C 1 to 4."""
    height, width, channels = numbers.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in numbers)
    header = struct.pack(">IIBBBBB", width, height, 16, {1: 0, 2: 4, 3: 2, 4: 6}[channels], 0, 0, 0)

    def chunk(name, content):
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def tiff(numbers, order="<"):
    """A TIFF of H×W×C numbers, whatever their type."""
    height, width, channels = numbers.shape
    bits, sample = 8 * numbers.dtype.itemsize, {"u": 1, "i": 2, "f": 3}[numbers.dtype.kind]
    after = 8 + 2 + 12 * 9 + 4
    content = numbers.astype(numbers.dtype.newbyteorder(order)).tobytes()
    tags = [
        (256, 4, 1, width),
        (257, 4, 1, height),
        (258, 3, channels, bits if channels == 1 else after),
        (259, 3, 1, 1),
        (262, 3, 1, 1 if channels == 1 else 2),
        (273, 4, 1, after + 2 * channels),
        (277, 3, 1, channels),
        (279, 4, 1, len(content)),
        (339, 3, 1, sample),
    ]
    directory = struct.pack(f"{order}H", len(tags))
    for tag, kind, count, value in tags:
        short = kind == 3 and count == 1
        directory += struct.pack(f"{order}HHI", tag, kind, count)
        directory += struct.pack(f"{order}HH", value, 0) if short else struct.pack(f"{order}I", value)
    start = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HI", 42, 8)
    return start + directory + bytes(4) + struct.pack(f"{order}{channels}H", *[bits] * channels) + content


def pnm(numbers, most=65535):
    height, width, channels = numbers.shape
    return b"P%d %d %d %d\n" % (5 if channels == 1 else 6, width, height, most) + numbers.astype(">u2").tobytes()


def saved(image, kind="PNG", **options):
    content = io.BytesIO()
    image.save(content, kind, **options)
    return content.getvalue()


def folder(root, files, suffix):
    """Two classes, by turns."""
    for number, content in enumerate(files):
        place = root / ("cat", "dog")[number % 2]
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{number // 2}.{suffix}").write_bytes(content)
    return root


def read(root, files, suffix):
    """The images in the order of the files, N×C×H×W, and the form they are in."""
    dataset = load(str(folder(root, files, suffix)))
    found = np.concatenate([dataset.train.images, dataset.test.images])
    with_form = [pixels_of(root, number, suffix, dataset.reading.form) for number in range(len(files))]
    assert sorted(image.tobytes() for image in found) == sorted(image.tobytes() for image in with_form), "one rule"
    return np.stack(with_form), dataset.reading


def pixels_of(root, number, suffix, form):
    """C×H×W, as a prediction would take it."""
    with opened(root / ("cat", "dog")[number % 2] / f"{number // 2}.{suffix}") as image:
        return pixels(image, form).transpose(2, 0, 1)


def twelve_bits(level):
    return level[..., None].astype(np.uint16) * 16 if level.ndim == 2 else level.astype(np.uint16) * 16


DEEP = {
    "12 bits in a grey PNG": (GREYS, "png", lambda x: png(twelve_bits(x)), "16 bits", (0, 4080)),
    "12 bits in a coloured PNG": (COLOURS, "png", lambda x: png(twelve_bits(x)), "16 bits", (0, 4080)),
    "12 bits in a grey TIFF": (GREYS, "tif", lambda x: tiff(twelve_bits(x)), "16 bits", (0, 4080)),
    "12 bits, the large end first": (GREYS, "tif", lambda x: tiff(twelve_bits(x), ">"), "16 bits", (0, 4080)),
    "12 bits in a coloured TIFF": (COLOURS, "tif", lambda x: tiff(twelve_bits(x)), "16 bits", (0, 4080)),
    "coloured, the large end first": (COLOURS, "tif", lambda x: tiff(twelve_bits(x), ">"), "16 bits", (0, 4080)),
    "12 bits in a PGM": (GREYS, "pgm", lambda x: pnm(twelve_bits(x)), "32 bits", (0, 4080)),
    "12 bits in a PPM": (COLOURS, "ppm", lambda x: pnm(twelve_bits(x)), "16 bits", (0, 4080)),
    "a PPM of twelve bits": (COLOURS, "ppm", lambda x: pnm(twelve_bits(x), 4080), "16 bits", None),
    "16 bits with a sign": (GREYS, "tif", lambda x: tiff(x[..., None].astype(np.int16) - 100), "32 bits", (-100, 155)),
    "32 bits": (GREYS, "tif", lambda x: tiff(x[..., None].astype(np.int32) * 70_000), "32 bits", (0, 17_850_000)),
    "32 bits, no sign": (GREYS, "tif", lambda x: tiff(x[..., None] * np.uint32(2**24)), "32 bits", (0, 255 * 2**24)),
    "floats of another unit": (GREYS, "tif", lambda x: tiff(np.float32(x[..., None]) - 300), "floats", (-300, -45)),
    "faint floats": (GREYS, "tif", lambda x: tiff(np.float32(x[..., None]) / 25_500), "floats", (0, 0.01)),
    "floats": (GREYS, "tif", lambda x: tiff(np.float32(x[..., None]) / 255), "floats", None),
    "all of 16 bits": (GREYS, "png", lambda x: png(x[..., None] * np.uint16(257)), "16 bits", None),
    "all of 16 bits in colour": (COLOURS, "png", lambda x: png(x * np.uint16(257)), "16 bits", None),
    "8 bits in 16": (COLOURS, "png", lambda x: png(x.astype(np.uint16)), "16 bits", (0, 255)),
    "4 bits in 8": (GREYS, "png", lambda x: saved(Image.fromarray(x // 17)), "8 bits", (0, 15)),
    "a mask": (GREYS, "png", lambda x: saved(Image.fromarray(x // 255)), "8 bits", (0, 1)),
}


@pytest.mark.parametrize("case", DEEP)
def test_numbers_are_scaled_by_the_range_that_is_there(tmp_path, case):
    levels, suffix, content, kind, ends = DEEP[case]
    found, reading = read(tmp_path, [content(image) for image in levels], suffix)
    expected = np.stack(levels)
    if case in ("4 bits in 8", "a mask"):
        expected = expected // 17 * 17 if case == "4 bits in 8" else expected // 255 * 255
    expected = expected[:, None] if expected.ndim == 3 else expected.transpose(0, 3, 1, 2)
    assert np.abs(found.astype(int) - expected).max() <= 1
    if ends is None:
        assert reading.form.ranges == {}
    else:
        assert reading.form.ranges == {kind: pytest.approx(ends)}


def test_what_was_done_is_said_and_kept(tmp_path):
    folder(tmp_path / "scans", [png(twelve_bits(image)) for image in GREYS], "png")
    for _ in range(2):  # the second time from the cache
        about = ecoml.CnnTraining(tmp_path / "scans").about
        assert describe_treatment(about.to_dict()) == [
            "numbers of 16 bits from 0 to 4080 were scaled to the range from black to white"
        ]
        (tmp_path / "scans" / "cat" / "0.png").touch()


def test_opacity_of_sixteen_bits(tmp_path):
    for channels, name in ((2, "grey"), (4, "coloured")):
        image = np.zeros((8, 8, channels), np.uint16)
        image[:, :4, :-1], image[:, :4, -1] = 4000, 65535
        image[:, 4:, :-1], image[:, 4:, -1] = 4000, 0
        image[0, 0, :-1] = 0
        found, reading = read(tmp_path / name, [png(image)] * 6, "png")
        assert reading.form.ranges == {"16 bits": (0, 4000)}
        assert found.shape[1] == (1 if channels == 2 else 3)
        assert found[0, :, 4, :4].min() == 255
        assert found[0, :, :, 4:].max() == 0, "nothing is seen there, so the background is"


def drawing(ink, mode="RGBA"):
    """A cross of some level on nothing."""
    image = np.zeros((8, 8, 4), np.uint8)
    image[..., :3] = ink
    image[3:5, :, 3] = image[:, 3:5, 3] = 255
    whole = Image.fromarray(image)
    if mode == "P":
        return saved(whole.quantize(4))
    if mode == "GIF":
        return saved(whole, "GIF")
    if mode == "grey with a colour for nothing":
        grey = np.where(image[..., 3] == 255, ink, 77).astype(np.uint8)
        return saved(Image.fromarray(grey), transparency=77)
    return saved(whole.convert(mode))


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "GIF", "grey with a colour for nothing"])
@pytest.mark.parametrize(
    ("inks", "background"), [((0, 0), 255), ((20, 60), 255), ((255, 255), 0), ((150, 255), 0), ((0, 255), 128)]
)
def test_what_is_drawn_on_nothing_is_seen(tmp_path, mode, inks, background):
    found, reading = read(tmp_path, [drawing(ink, mode) for ink in inks * 5], "gif" if mode == "GIF" else "png")
    assert reading.form.background == background
    assert reading.blank == 0
    for image, ink in zip(found, inks * 5, strict=True):
        assert image[0, 4, 0] == image[0, 0, 4] == ink
        assert image[0, 0, 0] == background
        assert abs(ink - background) > 60


def test_one_colour_that_was_not_one_before_is_counted(tmp_path):
    inks = (0, 255, 0, 255, 0, 255, 128)
    _, reading = read(tmp_path, [drawing(ink) for ink in inks], "png")
    assert reading.form.background == 128
    assert reading.blank == 1


def test_opaque_images_and_photographs_with_an_edge_are_left_as_they_are(tmp_path):
    opaque = [saved(Image.fromarray(np.dstack([image, np.full((9, 7), 255, np.uint8)]))) for image in COLOURS]
    found, reading = read(tmp_path, opaque, "png")
    assert reading.form == Form(9, 7, 3)
    assert np.array_equal(found, np.stack(COLOURS).transpose(0, 3, 1, 2))


def turned(image, orientation, kind="PNG"):
    """As a camera stores it that was held another way."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    methods = {1: None, 3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}
    method = methods[orientation]
    stored = Image.fromarray(image) if method is None else Image.fromarray(image).transpose(method)
    return saved(stored, kind, exif=exif)


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
@pytest.mark.parametrize("deep", [False, True])
def test_images_are_held_as_the_camera_was(tmp_path, kind, deep):
    levels = [image.astype(np.uint16) * 257 if deep else image for image in GREYS[:8]]
    files = [turned(image, orientation, kind) for image, orientation in zip(levels, (1, 3, 6, 8) * 2, strict=True)]
    found, reading = read(tmp_path, files, kind.lower())
    assert (reading.form.height, reading.form.width) == (9, 7)
    assert np.array_equal(found[:, 0], np.stack(GREYS[:8]))


def test_sizes_are_those_of_images_held_upright(tmp_path):
    """All have one size in their files, but not when they are held as they should be."""
    files = [turned(image, 1) if number % 3 else turned(image.T.copy(), 6) for number, image in enumerate(GREYS)]
    _, reading = read(tmp_path, files, "png")
    assert (reading.form.height, reading.form.width) == (7, 7), "squares, as where sizes differ"


@pytest.mark.parametrize("mode", ["CMYK", "P", "YCbCr", "HSV"])
def test_every_kind_of_colour_looks_like_itself(tmp_path, mode):
    plain = np.zeros((8, 8, 3), np.uint8)
    plain[:4], plain[4:] = (200, 40, 40), (40, 40, 200)
    image = Image.fromarray(plain)
    image = image.quantize(4) if mode == "P" else image.convert(mode)
    suffix = "png" if mode == "P" else "tif"
    if mode == "HSV":
        image = image.convert("RGB")
    found, reading = read(tmp_path, [saved(image, "PNG" if mode == "P" else "TIFF")] * 6, suffix)
    assert reading.form.channels == 3
    assert np.abs(found[0].transpose(1, 2, 0).astype(int) - plain).max() <= 8


def test_what_cannot_be_read_rightly_is_refused(tmp_path):
    endless = np.ones((8, 8, 1), np.float32)
    endless[0, 0] = np.inf
    with pytest.raises(DataError, match="NaN or infinite"):
        read(tmp_path / "a", [tiff(endless)] * 6, "tif")
    plain = b"P3 2 2 65535\n" + b"4000 200 3000 " * 4
    with pytest.raises(DataError, match="only the upper eight can be read, and they are empty"):
        read(tmp_path / "b", [plain] * 6, "ppm")


def test_the_first_of_several_pictures_is_taken_and_said(tmp_path):
    pictures = [Image.fromarray(image) for image in GREYS[:2]]
    files = [saved(pictures[0], "TIFF", save_all=True, append_images=pictures[1:])] * 6
    found, reading = read(tmp_path, files, "tif")
    assert np.array_equal(found[0, 0], GREYS[0])
    assert reading.several == 6


def test_a_form_is_the_same_from_json(tmp_path):
    import json
    from dataclasses import asdict

    form = Form(9, 7, 1, 255, {"16 bits": (0.0, 4080.0)})
    assert Form.of(json.loads(json.dumps(asdict(form)))) == form
    (tmp_path / "1.png").write_bytes(png(twelve_bits(GREYS[0])))
    with opened(tmp_path / "1.png") as image:
        assert np.array_equal(pixels(image, form)[..., 0], GREYS[0])
