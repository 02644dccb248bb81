"""What is measured against what, how slow it may be, and on which networks."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Bar:
    """One promise about latency.

    Attributes:
        target: The artefact that is measured, a column of the zoo.
        peer: What it is measured beside, in words.
        peer_column: The zoo's column that makes the peer; empty for the export as it is.
        runtime: Where the peer runs, as ``lprc bench`` names it.
        most: The largest ratio of the artefact's latency to the peer's that keeps the promise.
    """

    target: str
    peer: str
    peer_column: str
    runtime: str
    most: float


BARS = {
    bar.target: bar
    for bar in (
        Bar("ort-fp32", "the export in ONNX Runtime", "", "ort", 1.02),
        Bar("ov-fp32", "the export in OpenVINO", "", "openvino", 1.02),
        Bar("ort-int8", "quantize_static", "quantize_static", "ort", 1.0),
        Bar("ov-int8", "NNCF", "NNCF", "openvino", 0.8),
        Bar("tvm-fp32", "the export in OpenVINO", "", "openvino", 1.1),
    )
}
"""In the order in which they are measured: the quick ones first."""

FAMILIES = {
    "residual": ("resnet18-dynamo", "regnet_x_400mf-script-dynamic"),
    "plain": ("squeezenet1_1-script-dynamic", "timm_repvgg_a0_merged-script", "googlenet-dynamo"),
    "depthwise, ReLU": (
        "mobilenet_v2-dynamo", "mnasnet0_5-script", "timm_efficientnet_lite0-dynamo",
        "timm_mobileone_s0_merged-dynamo-dynamic",
    ),
    "depthwise, signed activations": (
        "mobilenet_v3_small-script", "efficientnet_b0-dynamo", "timm_tinynet_e-dynamo",
    ),
    "shuffled and split channels": (
        "shufflenet_v2_x0_5-dynamo-dynamic", "timm_ghostnet_100-dynamo-dynamic",
    ),
    "pixels": (
        "espnet-dynamo", "unet_transposed-dynamo", "unet_bilinear-script", "style_transfer-dynamo",
        "super_resolution-script", "lraspp_mobilenet_v3_large-script",
    ),
    "detection": ("yolo-dynamo", "ssdlite320_heads-script-dynamic", "wheel-mtcnn-onet"),
    "sequences": ("crnn_lstm-dynamo", "waves-dynamo", "wheel-silero_vad-silero_vad_openvino_16k"),
    "attention": (
        "encoder_gelu-script", "conformer-dynamo", "timm_edgenext_xx_small-script-dynamic",
    ),
    "text recognition": ("wheel-rapidocr-ch_ppocr_mobile_v2.0_cls_infer",),
}  # fmt: skip
"""Networks of the zoo, small and of medium size, by what they are made of."""
