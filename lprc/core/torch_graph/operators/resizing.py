"""Resize and Upsample, as far as torch's interpolate knows them."""

from __future__ import annotations

import torch
from torch.nn import functional

from lprc.core.torch_graph.operators.call import Call, Function, Inputs, given, integers, needed

_SMOOTH = {("linear", 3): "linear", ("linear", 4): "bilinear", ("cubic", 4): "bicubic"}
_UNKNOWN = ("antialias", "axes", "exclude_outside")


def _resize(call: Call, inputs: Inputs) -> torch.Tensor:
    x = needed(inputs, 0)
    if any(call.attribute(name) for name in _UNKNOWN) or call.attribute(
        "keep_aspect_ratio_policy", "stretch"
    ) not in ("stretch", ""):
        raise call.refused(f"it has one of {', '.join(_UNKNOWN)} or keeps an aspect ratio")
    if call.attribute("cubic_coeff_a", -0.75) != -0.75:
        raise call.refused("its cubic_coeff_a is not -0.75")
    where = call.attribute("coordinate_transformation_mode", "half_pixel")
    return _interpolated(call, x, _sizes(call, x, inputs), where)


def _upsample(call: Call, inputs: Inputs) -> torch.Tensor:
    x = needed(inputs, 0)
    sizes = _sizes(call, x, [x, None, needed(inputs, 1)])
    return _interpolated(call, x, sizes, "asymmetric", rounding="floor")


def _sizes(call: Call, x: torch.Tensor, inputs: Inputs) -> list[int]:
    scales, sizes = given(inputs, 2), given(inputs, 3)
    if sizes is not None:
        whole = integers(sizes)
    else:
        assert scales is not None
        exact = [size * scale for size, scale in zip(x.shape, scales.tolist(), strict=True)]
        whole = [round(exact_size) for exact_size in exact]
        # Elsewhere coordinates follow from the scale, not from the sizes.
        if any(
            abs(exact_size - size) > 1e-6 for exact_size, size in zip(exact, whole, strict=True)
        ):
            raise call.refused("its scales give no whole sizes")
    if whole[:2] != list(x.shape[:2]):
        raise call.refused("it resizes the batch or the channels")
    return whole[2:]


def _interpolated(
    call: Call, x: torch.Tensor, sizes: list[int], where: str, rounding: str | None = None
) -> torch.Tensor:
    mode = call.attribute("mode", "nearest")
    if mode == "nearest":
        rounding = rounding or call.attribute("nearest_mode", "round_prefer_floor")
        if _is_floor_of_ratio(x, sizes, where, rounding):
            return functional.interpolate(x, size=sizes, mode="nearest")
        raise call.refused(f"mode nearest with {where} and {rounding}")
    name = _SMOOTH.get((mode, x.dim()))
    single = where == "pytorch_half_pixel" and 1 in sizes
    if name is None or single or where not in ("half_pixel", "pytorch_half_pixel", "align_corners"):
        raise call.refused(f"mode {mode} with {where} on {x.dim()} axes")
    aligned = where == "align_corners"
    return functional.interpolate(x, size=sizes, mode=name, align_corners=aligned)


def _is_floor_of_ratio(x: torch.Tensor, sizes: list[int], where: str, rounding: str) -> bool:
    """Whether nearest means what it means in torch: the floor of index x input / output."""
    if where == "asymmetric" and rounding == "floor":
        return True
    whole = all(new % old == 0 for new, old in zip(sizes, x.shape[2:], strict=True))
    if where in ("half_pixel", "pytorch_half_pixel"):
        return whole and rounding.startswith("round_prefer")
    return False


TABLE: dict[str, Function] = {"Resize": _resize, "Upsample": _upsample}
