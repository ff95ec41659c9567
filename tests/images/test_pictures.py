"""The policy of tcmbench.images.pictures, each point with a real file."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tcmbench.images import pictures
from tcmbench.images.pictures import UnreadableError, check_image, open_rgb


def noise(width, height, channels=3, seed=0):
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, channels), np.uint8)
    return Image.fromarray(pixels.squeeze())


def saved(image, kind="JPEG", **options):
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def pixels(content):
    check_image(content)
    image = open_rgb(io.BytesIO(content))
    assert image.mode == "RGB"
    return np.asarray(image)


def test_orientation_and_profile_are_ignored():
    image = noise(24, 16)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees
    turned = saved(image, exif=exif, icc_profile=b"a profile")
    assert pixels(turned).shape == (16, 24, 3)
    assert np.array_equal(pixels(turned), pixels(saved(image)))


def test_sixteen_bits_keep_their_high_byte():
    values = np.array([[0, 255, 256, 511, 32_768, 65_535]], np.uint16)
    found = pixels(saved(Image.fromarray(values), "PNG"))
    assert found[0, :, 0].tolist() == [0, 0, 1, 1, 128, 255]
    assert (found == found[..., :1]).all()


def test_grey_has_three_equal_channels():
    values = np.array([[0, 7, 200, 255]], np.uint8)
    found = pixels(saved(Image.fromarray(values), "PNG"))
    assert found[0].tolist() == [[v] * 3 for v in (0, 7, 200, 255)]


def test_cmyk_is_converted():
    assert pixels(saved(Image.new("CMYK", (8, 8), (0, 0, 0, 0))))[0, 0].tolist() == [255] * 3


def test_alpha_is_dropped():
    content = saved(Image.new("RGBA", (4, 4), (10, 20, 30, 0)), "PNG")
    assert pixels(content)[0, 0].tolist() == [10, 20, 30]


def test_transparent_palette_gives_its_colours():
    image = Image.new("P", (2, 1))
    image.putpalette([200, 100, 50, 1, 2, 3])
    image.putdata([0, 1])
    content = saved(image, "PNG", transparency=bytes([0, 255]))
    assert pixels(content)[0].tolist() == [[200, 100, 50], [1, 2, 3]]


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP"])
def test_the_first_picture_of_an_animation_counts(kind):
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    options = {"lossless": True} if kind == "WEBP" else {}
    content = saved(frames[0], kind, save_all=True, append_images=frames[1:], **options)
    assert pixels(content)[0, 0].tolist() == [255, 0, 0]


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "BMP", "WEBP"])
def test_one_pixel_is_an_image(kind):
    assert pixels(saved(Image.new("RGB", (1, 1)), kind)).shape == (1, 1, 3)


@pytest.mark.parametrize("kind", ["TIFF", "EPS", "PPM", "ICO"])
def test_other_formats_are_refused(kind):
    with pytest.raises(UnreadableError, match="not an image of a known format"):
        check_image(saved(noise(16, 16), kind))


@pytest.mark.parametrize("content", [b"", b"no image", b"<html>404</html>"])
def test_what_is_no_image_is_refused(content):
    for read in (check_image, lambda data: open_rgb(io.BytesIO(data))):
        with pytest.raises(UnreadableError, match="not an image of a known format"):
            read(content)


def test_too_many_pixels_are_refused_undecoded(monkeypatch):
    content = saved(Image.new("L", (20_000, 5_000)), "PNG")
    for read in (check_image, lambda data: open_rgb(io.BytesIO(data))):
        with pytest.raises(UnreadableError, match="20,000 x 5,000 pixels, more than 89,478,485"):
            read(content)
    monkeypatch.setattr(pictures, "MOST_PIXELS", 24 * 16)
    assert pixels(saved(noise(24, 16))).shape == (16, 24, 3)
    with pytest.raises(UnreadableError, match="25 x 16"):
        check_image(saved(noise(25, 16)))


def verdict(read, content):
    try:
        read(content)
    except UnreadableError:
        return False
    return True


PHOTOGRAPHS = {
    "baseline": saved(noise(64, 48), quality=80),
    "progressive": saved(noise(64, 48), quality=80, progressive=True),
    "grey": saved(noise(64, 48, 1), quality=80),
    "cmyk": saved(noise(64, 48).convert("CMYK"), quality=80),
    "restarts": saved(noise(64, 48), quality=80, restart_marker_rows=1),
}


@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_the_quick_check_finds_every_truncation_that_decoding_finds(name):
    content = PHOTOGRAPHS[name]
    for end in range(0, len(content), 1 if len(content) < 3000 else 7):
        full = verdict(lambda data: open_rgb(io.BytesIO(data)), content[:end])
        assert verdict(check_image, content[:end]) == full
    # Of the last bytes each counts; the end marker alone may be absent.
    assert not verdict(check_image, content[: len(content) // 2])
    assert verdict(check_image, content)


@pytest.mark.parametrize("name", PHOTOGRAPHS)
@settings(deadline=None, max_examples=150)
@given(place=st.floats(0, 1, exclude_max=True), value=st.integers(1, 255))
def test_the_quick_check_finds_all_damage_that_decoding_finds(name, place, value):
    content = bytearray(PHOTOGRAPHS[name])
    content[int(place * len(content))] ^= value
    damaged = bytes(content)
    full = verdict(lambda data: open_rgb(io.BytesIO(data)), damaged)
    assert verdict(check_image, damaged) == full
