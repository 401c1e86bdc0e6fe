"""Tokens of images: the rules as data, and the size of an image from its first bytes.

Source of the rules: the "Images and vision" guide of the OpenAI platform (openai-page:images-vision
2026-09). Which model has which rule stands in the catalog.
"""

from __future__ import annotations

import base64
import binascii
import io
import math
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias

from routed_llm.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Mapping

PATCH: Final = 32
"""Pixels of the side of a patch."""

MAX_PATCHES: Final = 30_000
"""Patches of one image, after resizing, above which the API answers 400."""

ANY_DETAIL: Final = "any"
"""The key of a patch rule whose details are all alike."""

_TILE = 512
_TILE_BOX = 2_048
_TILE_SHORT = 768
_HEADER = 65_536
_NEARLY = 1e-9  # keeps 50.000000001 patches from counting as 51


@dataclass(frozen=True, slots=True, kw_only=True)
class TileRule:
    """Counts 512-pixel tiles of the image, fitted into 2,048 pixels and then to 768 on its short side.

    Attributes:
        base: tokens per image, and the whole count at detail low.
        per_tile: tokens per tile.
    """

    base: int
    per_tile: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PatchRule:
    """Counts 32-pixel patches of the image, scaled down to the limits of the detail asked for.

    Attributes:
        multiplier: tokens per patch, exact (`Fraction("1.2")`).
        details: detail to (longest side in pixels, most patches or None); the key `any` stands for all.
    """

    multiplier: Fraction
    details: Mapping[str, tuple[int, int | None]]


ImageRule: TypeAlias = TileRule | PatchRule


class ImageSpec(Protocol):
    """What the catalog says of a model's image rule."""

    @property
    def kind(self) -> str: ...  # noqa: D102
    @property
    def base(self) -> int: ...  # noqa: D102
    @property
    def per_tile(self) -> int: ...  # noqa: D102
    @property
    def multiplier(self) -> float: ...  # noqa: D102
    @property
    def details(self) -> Mapping[str, tuple[int, int | None]]: ...  # noqa: D102


def image_rule(spec: ImageSpec) -> ImageRule | None:
    """Return the rule that a catalog entry describes, or None if the model refuses images.

    Raises:
        ValueError: The kind is not `tile`, `patch`, `patch_by_detail` or `rejected`.
    """
    if spec.kind == "tile":
        return TileRule(base=spec.base, per_tile=spec.per_tile)
    if spec.kind in ("patch", "patch_by_detail"):
        # Through text, because 1.2 as a float is a little less than 6/5.
        return PatchRule(multiplier=Fraction(str(spec.multiplier)), details=dict(spec.details))
    if spec.kind == "rejected":
        return None
    raise ValueError(
        f"Unknown kind of image rule {spec.kind!r}. Use tile, patch, patch_by_detail or rejected."
    )


def image_tokens(rule: ImageRule, width: int, height: int, detail: str | None = None) -> int:
    """Return the input tokens of an image of a known size.

    Args:
        rule: how the model counts.
        width: pixels, before any resizing.
        height: pixels, before any resizing.
        detail: `low`, `high`, `original` or `auto` (the default of both APIs). A detail that the rule does
            not list counts as `auto`, and at a tile rule everything but `low` counts as `high`.

    Raises:
        RequestError: Width or height is not positive.
    """
    _check_size(width, height)
    if isinstance(rule, TileRule):
        return rule.base if detail == "low" else rule.base + rule.per_tile * _tiles(width, height)
    return math.ceil(rule.multiplier * image_patches(rule, width, height, detail))


def image_patches(rule: PatchRule, width: int, height: int, detail: str | None = None) -> int:
    """Return the patches of an image after the resizing that its detail asks for.

    Raises:
        RequestError: Width or height is not positive.
    """
    _check_size(width, height)
    longest, budget = _limits(rule, detail)
    shrink = min(1.0, longest / max(width, height))
    across, down = width * shrink / PATCH, height * shrink / PATCH
    patches = _up(across) * _up(down)
    if budget is None or patches <= budget:
        return patches
    shrink = math.sqrt(budget / (across * down))
    across, down = across * shrink, down * shrink
    # The side that loses most by whole patches decides, so that the budget holds after rounding up.
    fit = min(_down(across) / across, _down(down) / down)
    return max(_up(across * fit), 1) * max(_up(down * fit), 1)


def is_over_limit(rule: ImageRule, width: int, height: int, detail: str | None = None) -> bool:
    """Return whether the API would refuse the image for having more than 30,000 patches.

    Raises:
        RequestError: Width or height is not positive.
    """
    return isinstance(rule, PatchRule) and image_patches(rule, width, height, detail) > MAX_PATCHES


def worst_case(rule: ImageRule, detail: str | None = None) -> int:
    """Return the most tokens an image can cost at a detail, for an image of unknown size."""
    if isinstance(rule, TileRule):
        return rule.base if detail == "low" else rule.base + rule.per_tile * _most_tiles()
    longest, budget = _limits(rule, detail)
    square = math.ceil(longest / PATCH) ** 2
    return math.ceil(rule.multiplier * min(square, MAX_PATCHES if budget is None else budget))


def image_size(data: bytes) -> tuple[int, int, str]:
    """Return width, height (pixels) and format of an image, from its header.

    Raises:
        RequestError: The bytes are no PNG, JPEG, GIF or WebP image, or the header is broken.
    """
    import imagesize  # type: ignore[import-untyped]

    kind = _format(data)
    if kind is None:
        raise RequestError("The image is not in a format that the API takes. Send PNG, JPEG, GIF or WebP.")
    width, height = imagesize.get(io.BytesIO(data), exif_rotation=False)
    if width <= 0 or height <= 0:
        raise RequestError(f"The header of the {kind.upper()} image is broken. Send a complete image file.")
    return width, height, kind


def data_url_size(url: str) -> tuple[int, int, str]:
    """Return width, height and format of an image in a base64 data URL, decoding no more than its header.

    Raises:
        RequestError: The URL is no base64 data URL, or the image in it cannot be read.
    """
    head, comma, _ = url[:1024].partition(",")
    if not (comma and head[:5].lower() == "data:" and head.lower().endswith(";base64")):
        raise RequestError("The image URL is not a base64 data URL. Send data:image/png;base64,... or https.")
    return base64_size(url, start=len(head) + 1)


def base64_size(text: str, *, start: int = 0) -> tuple[int, int, str]:
    """Return width, height and format of a base64 image, decoding no more than its header.

    Args:
        text: the base64, from `start` on.
        start: index of the first character of the base64.

    Raises:
        RequestError: The text is not base64, or the image in it cannot be read.
    """
    size = _HEADER
    while True:
        data = _decode(text[start : start + size])
        try:
            return image_size(data)
        except RequestError:
            # A JPEG may carry a thumbnail or a colour profile of any length before its size.
            if start + size >= len(text):
                raise
            size *= 8


def _decode(text: str) -> bytes:
    compact = "".join(text.split())
    whole = len(compact) - len(compact) % 4
    try:
        return base64.b64decode(compact[:whole], validate=True)
    except (binascii.Error, ValueError) as error:
        raise RequestError(
            f"The image is not valid base64: {error}. Encode the file's bytes again."
        ) from error


def _format(data: bytes) -> str | None:
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png"
    if data.startswith(b"\xff\xd8\xff"):
        return "jpeg"
    if data.startswith((b"GIF87a", b"GIF89a")):
        return "gif"
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "webp"
    return None


def _check_size(width: int, height: int) -> None:
    if width <= 0 or height <= 0:
        raise RequestError(f"An image cannot be {width} x {height} pixels. Send a complete image file.")


def _limits(rule: PatchRule, detail: str | None) -> tuple[int, int | None]:
    details = rule.details
    return details.get(detail or "auto") or details.get(ANY_DETAIL) or details["auto"]


def _tiles(width: int, height: int) -> int:
    shrink = min(1.0, _TILE_BOX / max(width, height))
    shrink = min(shrink, _TILE_SHORT / min(width, height))
    return _up(width * shrink / _TILE) * _up(height * shrink / _TILE)


def _most_tiles() -> int:
    return math.ceil(_TILE_SHORT / _TILE) * math.ceil(_TILE_BOX / _TILE)


def _up(patches: float) -> int:
    return math.ceil(patches - _NEARLY)


def _down(patches: float) -> int:
    return math.floor(patches + _NEARLY)
