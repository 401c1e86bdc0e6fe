"""Image tokens by the published rules, and image sizes from headers."""

from __future__ import annotations

import base64
import io
import random
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from routed_llm.errors import RequestError
from routed_llm.tokens.images import (
    MAX_PATCHES,
    PatchRule,
    TileRule,
    base64_size,
    data_url_size,
    image_patches,
    image_rule,
    image_size,
    image_tokens,
    is_over_limit,
    worst_case,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from routed_llm.tokens.images import ImageRule


def fixed(multiplier: str, budget: int) -> PatchRule:
    """Return a patch rule whose details are all alike."""
    return PatchRule(multiplier=Fraction(multiplier), details={"any": (2048, budget)})


def detailed(
    low: tuple[int, int | None],
    high: tuple[int, int | None],
    original: tuple[int, int | None],
    auto: tuple[int, int | None],
) -> PatchRule:
    """Return a patch rule by detail."""
    return PatchRule(
        multiplier=Fraction("1.2"), details={"low": low, "high": high, "original": original, "auto": auto}
    )


# openai-page:images-vision 2026-09
PATCH_5_5 = detailed((512, None), (2048, 2500), (6000, 10000), (6000, 10000))
RULES: dict[str, ImageRule] = {
    "tile_85_170": TileRule(base=85, per_tile=170),
    "tile_70_140": TileRule(base=70, per_tile=140),
    "tile_2833_5667": TileRule(base=2833, per_tile=5667),
    "patch_6144x1.62": fixed("1.62", 6144),
    "patch_1536x2.46": fixed("2.46", 1536),
    "patch_1536x1.2": fixed("1.2", 1536),
    "patch_1536x1.5": fixed("1.5", 1536),
    "patch_6144x1.2": fixed("1.2", 6144),
    "patch_5.4": detailed((2048, 6144), (2048, 2500), (6000, 10000), (2048, 2500)),
    "patch_5.5": PATCH_5_5,
    "patch_5.6": detailed((512, None), (2048, 2500), (65535, None), (65535, None)),
    "patch_astra": detailed((512, None), (65535, 2500), (65535, None), (65535, None)),
}

PUBLISHED = [  # examples on OpenAI's pages
    ("patch_5.4", 1024, 1024, "high", 1229),
    ("patch_5.4", 2048, 2048, "high", 3000),
    ("patch_astra", 4096, 512, "high", 2458),
    ("patch_astra", 1024, 1024, "high", 1229),
    ("tile_85_170", 1024, 1024, "high", 765),
    ("tile_85_170", 2048, 4096, "high", 1105),
    ("tile_85_170", 4096, 8192, "low", 85),
]
COMPUTED = [  # by hand from the published rules
    ("tile_85_170", 1024, 1024, "auto", 765),
    ("tile_85_170", 4000, 3000, "auto", 765),
    ("tile_85_170", 512, 512, "high", 255),
    ("tile_85_170", 1, 1, "high", 255),
    ("tile_70_140", 1024, 1024, "auto", 630),
    ("tile_70_140", 4000, 3000, "auto", 630),
    ("tile_70_140", 4000, 3000, "low", 70),
    ("tile_2833_5667", 1024, 1024, "auto", 25501),
    ("tile_2833_5667", 4000, 3000, "auto", 25501),
    ("tile_2833_5667", 4000, 3000, "low", 2833),
    ("patch_6144x1.62", 1024, 1024, "auto", 1659),
    ("patch_6144x1.62", 4000, 3000, "auto", 4977),
    ("patch_6144x1.62", 4000, 3000, "low", 4977),
    ("patch_1536x2.46", 1024, 1024, "auto", 2520),
    ("patch_1536x1.2", 1024, 1024, "auto", 1229),
    ("patch_1536x1.5", 1024, 1024, "auto", 1536),
    ("patch_6144x1.2", 1024, 1024, "auto", 1229),
    ("patch_6144x1.2", 4000, 3000, "auto", 3687),
    ("patch_5.4", 1024, 1024, "low", 1229),
    ("patch_5.4", 4000, 3000, "low", 3687),
    ("patch_5.4", 1024, 1024, "auto", 1229),
    ("patch_5.4", 4000, 3000, "auto", 2942),
    ("patch_5.5", 1024, 1024, "auto", 1229),
    ("patch_5.5", 4000, 3000, "auto", 11868),
    ("patch_5.5", 4000, 3000, None, 11868),
    ("patch_5.6", 1024, 1024, "auto", 1229),
    ("patch_5.6", 4000, 3000, "auto", 14100),
    ("patch_5.6", 4000, 3000, None, 14100),
    ("patch_5.6", 1024, 1024, "low", 308),
    ("patch_5.6", 4000, 3000, "low", 231),
    ("patch_5.6", 1024, 1024, "high", 1229),
    ("patch_5.6", 4000, 3000, "high", 2942),
    ("patch_5.6", 1, 1, "high", 2),
]


@pytest.mark.parametrize(
    ("rule", "width", "height", "detail", "tokens"),
    [pytest.param(*row, id=f"{row[0]} {row[1]}x{row[2]} {row[3]}") for row in PUBLISHED + COMPUTED],
)
def test_image_tokens(rule: str, width: int, height: int, detail: str | None, tokens: int) -> None:
    """Every rule gives the published counts, whichever way the image is turned."""
    assert image_tokens(RULES[rule], width, height, detail) == tokens
    assert image_tokens(RULES[rule], height, width, detail) == tokens


@given(
    rule=st.sampled_from(sorted(RULES)),
    width=st.integers(1, 20_000),
    height=st.integers(1, 20_000),
    detail=st.sampled_from(["low", "high", "original", "auto", None]),
)
def test_worst_case_is_worst(rule: str, width: int, height: int, detail: str | None) -> None:
    """No image that the API takes costs more than the worst case, nor less than one patch."""
    tokens = image_tokens(RULES[rule], width, height, detail)
    assert tokens >= 1
    assert is_over_limit(RULES[rule], width, height, detail) or tokens <= worst_case(RULES[rule], detail)


@pytest.mark.parametrize(
    ("rule", "detail", "tokens"),
    [
        pytest.param("tile_85_170", "high", 85 + 8 * 170, id="tiles: 768 x 2048"),
        pytest.param("tile_85_170", "low", 85, id="tiles, low"),
        pytest.param("patch_5.4", "high", 3000, id="budget"),
        pytest.param("patch_1536x2.46", None, 3779, id="budget, any detail"),
        pytest.param("patch_6144x1.2", "auto", 4916, id="longest side below the budget"),
        pytest.param("patch_5.6", "low", 308, id="longest side, no budget"),
        pytest.param("patch_5.6", "original", 36_000, id="the API's limit of patches"),
    ],
)
def test_worst_case(rule: str, detail: str | None, tokens: int) -> None:
    """An image of unknown size costs what the largest one can."""
    assert worst_case(RULES[rule], detail) == tokens


@pytest.mark.parametrize(
    ("rule", "width", "height", "detail", "over"),
    [
        pytest.param("patch_5.6", 9_600, 3_200, "original", False, id="exactly 30,000"),
        pytest.param("patch_5.6", 9_601, 3_200, "original", True, id="one row more"),
        pytest.param("patch_5.6", 9_601, 3_200, "high", False, id="resized"),
        pytest.param("tile_85_170", 9_601, 3_200, "high", False, id="tiles have no limit"),
    ],
)
def test_limit_of_patches(rule: str, width: int, height: int, detail: str, over: bool) -> None:
    """More than 30,000 patches after resizing are refused by the API."""
    assert is_over_limit(RULES[rule], width, height, detail) is over


@given(
    width=st.integers(1, 60_000), height=st.integers(1, 60_000), budget=st.sampled_from([1536, 2500, 10_000])
)
def test_budget_holds(width: int, height: int, budget: int) -> None:
    """A rule with a budget never gives more patches than it."""
    rule = PatchRule(multiplier=Fraction(1), details={"any": (6000, budget)})
    assert 1 <= image_patches(rule, width, height) <= max(budget, 6000 // 32 + 1)
    assert image_patches(rule, width, height) <= MAX_PATCHES


@pytest.mark.parametrize(("width", "height"), [(0, 5), (5, 0), (-1, -1)])
@pytest.mark.parametrize("rule", ["tile_85_170", "patch_5.6"])
def test_impossible_size(rule: str, width: int, height: int) -> None:
    """A size that no image has is an error of the request."""
    with pytest.raises(RequestError) as caught:
        image_tokens(RULES[rule], width, height)
    assert str(caught.value) == (f"An image cannot be {width} x {height} pixels. Send a complete image file.")


@dataclass(frozen=True)
class Spec:
    """What a catalog says of a rule."""

    kind: str
    base: int = 0
    per_tile: int = 0
    multiplier: float = 1.0
    details: Mapping[str, tuple[int, int | None]] = field(default_factory=dict)


@pytest.mark.parametrize(
    ("spec", "rule"),
    [
        pytest.param(Spec("tile", base=85, per_tile=170), RULES["tile_85_170"], id="tile"),
        pytest.param(
            Spec("patch", multiplier=1.62, details={"any": (2048, 6144)}),
            RULES["patch_6144x1.62"],
            id="patch",
        ),
        pytest.param(
            Spec("patch_by_detail", multiplier=1.2, details=PATCH_5_5.details),
            RULES["patch_5.5"],
            id="by detail",
        ),
        pytest.param(Spec("rejected"), None, id="rejected"),
    ],
)
def test_rule_of_a_catalog_entry(spec: Spec, rule: ImageRule | None) -> None:
    """A catalog entry becomes a rule, its multiplier exact."""
    assert image_rule(spec) == rule


def test_unknown_kind_of_rule() -> None:
    """A kind that does not exist is refused."""
    with pytest.raises(ValueError, match="Unknown kind") as caught:
        image_rule(Spec("voxels"))
    assert str(caught.value) == (
        "Unknown kind of image rule 'voxels'. Use tile, patch, patch_by_detail or rejected."
    )


def encoded(kind: str, size: tuple[int, int] = (123, 45), **options: object) -> bytes:
    """Return an image file made by Pillow."""
    stream = io.BytesIO()
    Image.new("RGB", size, "red").save(stream, kind, **options)
    return stream.getvalue()


FILES = [
    pytest.param(encoded("PNG"), "png", id="png"),
    pytest.param(encoded("JPEG"), "jpeg", id="jpeg"),
    pytest.param(encoded("JPEG", progressive=True), "jpeg", id="progressive jpeg"),
    pytest.param(encoded("GIF"), "gif", id="gif"),
    pytest.param(encoded("WEBP", lossless=False), "webp", id="webp"),
    pytest.param(encoded("WEBP", lossless=True), "webp", id="lossless webp"),
    pytest.param(encoded("WEBP", exif=b"Exif\0\0MM\0*\0\0\0\x08\0\0\0\0"), "webp", id="extended webp"),
]


@pytest.mark.parametrize(("data", "kind"), FILES)
def test_image_size(data: bytes, kind: str) -> None:
    """Size and format come from the file's bytes, and from a data URL of them alike."""
    assert image_size(data) == (123, 45, kind)
    text = base64.b64encode(data).decode()
    assert base64_size(text) == (123, 45, kind)
    assert data_url_size(f"data:image/{kind};base64,{text}") == (123, 45, kind)


def test_data_url_decodes_only_the_header() -> None:
    """What follows the header is not decoded: it may even be no base64."""
    head = base64.b64encode(encoded("PNG", (64, 32)).ljust(49_152, b"\0")).decode()
    assert data_url_size("data:image/png;base64," + head + "!" * 1_000_000) == (64, 32, "png")


def test_jpeg_with_much_before_its_size() -> None:
    """A JPEG whose size stands behind 300 KB of other data is read on until it is found."""
    profile = random.Random(1).randbytes(300_000)
    text = base64.b64encode(encoded("JPEG", (640, 480), icc_profile=profile)).decode()
    assert text.find("A") < 100
    assert base64_size(text) == (640, 480, "jpeg")


def test_base64_with_line_breaks_and_without_padding() -> None:
    """Line breaks inside the base64, and missing padding, do no harm."""
    text = base64.encodebytes(encoded("GIF")).decode()
    assert base64_size(text.rstrip("=\n")) == (123, 45, "gif")


UNKNOWN = "The image is not in a format that the API takes. Send PNG, JPEG, GIF or WebP."


@pytest.mark.parametrize(
    ("data", "message"),
    [
        pytest.param(b"", UNKNOWN, id="empty"),
        pytest.param(b"hello world", UNKNOWN, id="text"),
        pytest.param(encoded("BMP"), UNKNOWN, id="bmp"),
        pytest.param(
            encoded("PNG")[:20],
            "The header of the PNG image is broken. Send a complete image file.",
            id="png",
        ),
        pytest.param(
            encoded("JPEG")[:30],
            "The header of the JPEG image is broken. Send a complete image file.",
            id="jpeg",
        ),
        pytest.param(
            encoded("GIF")[:8], "The header of the GIF image is broken. Send a complete image file.", id="gif"
        ),
        pytest.param(
            encoded("WEBP")[:22],
            "The header of the WEBP image is broken. Send a complete image file.",
            id="webp",
        ),
        pytest.param(
            encoded("PNG").replace((123).to_bytes(4, "big"), bytes(4), 1),
            "The header of the PNG image is broken. Send a complete image file.",
            id="no width",
        ),
    ],
)
def test_broken_image(data: bytes, message: str) -> None:
    """What is no image, or only its beginning, is an error of the request."""
    with pytest.raises(RequestError) as caught:
        image_size(data)
    assert str(caught.value) == message
    with pytest.raises(RequestError) as caught:
        base64_size(base64.b64encode(data).decode())
    assert str(caught.value) == message


@pytest.mark.parametrize(
    "url", ["https://example.com/a.png", "data:image/png,abc", "data:image/png;base64", ""]
)
def test_no_data_url(url: str) -> None:
    """Only base64 data URLs can be measured; nothing is fetched."""
    with pytest.raises(RequestError) as caught:
        data_url_size(url)
    assert str(caught.value) == (
        "The image URL is not a base64 data URL. Send data:image/png;base64,... or https."
    )


def test_no_base64() -> None:
    """Characters that base64 does not have are an error of the request."""
    with pytest.raises(RequestError) as caught:
        base64_size("äöü!")
    assert str(caught.value) == (
        "The image is not valid base64: string argument should contain only ASCII characters. "
        "Encode the file's bytes again."
    )
