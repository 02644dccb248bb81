"""The one table of what lprc ships with; nothing in it is imported until it is asked for."""

from __future__ import annotations

PASSES: dict[str, str] = {
    "commute-mean-conv": "lprc.passes.commute_mean_conv:CommuteMeanConv",
    "convert-opset": "lprc.passes.convert_opset:ConvertOpset",
    "deduplicate-initializers": "lprc.passes.deduplicate_initializers:DeduplicateInitializers",
    "eliminate-common-subexpressions": (
        "lprc.passes.eliminate_common_subexpressions:EliminateCommonSubexpressions"
    ),
    "eliminate-dead-code": "lprc.passes.eliminate_dead_code:EliminateDeadCode",
    "eliminate-identity": "lprc.passes.eliminate_identity:EliminateIdentity",
    "factor-average-pool": "lprc.passes.factor_average_pool:FactorAveragePool",
    "fold-affine": "lprc.passes.fold_affine:FoldAffine",
    "fold-bn": "lprc.passes.fold_bn:FoldBatchNorm",
    "fold-constants": "lprc.passes.fold_constants:FoldConstants",
    "freeze-initializers": "lprc.passes.freeze_initializers:FreezeInitializers",
    "hoist-slices": "lprc.passes.hoist_slices:HoistSlices",
    "infer-shapes": "lprc.passes.infer_shapes:InferShapes",
    "inline-functions": "lprc.passes.inline_functions:InlineFunctions",
    "legalize": "lprc.passes.legalize:Legalize",
    "lift-constants": "lprc.passes.lift_constants:LiftConstants",
    "lower-cast-like": "lprc.passes.lower_cast_like:LowerCastLike",
    "onnx-optimizer": "lprc.passes.onnx_optimizer:OnnxOptimizer",
    "per-sample-mean": "lprc.passes.per_sample_mean:PerSampleMean",
    "pow-to-mul": "lprc.passes.pow_to_mul:PowToMul",
    "reorder-channels": "lprc.passes.reorder_channels:ReorderChannels",
    "set-batch": "lprc.passes.set_batch:SetBatch",
    "simplify": "lprc.passes.simplify:Simplify",
    "split-channels": "lprc.passes.split_channels:SplitChannels",
    "simplify-activations": "lprc.passes.simplify_activations:SimplifyActivations",
}
"""Pass name to ``module:Class``."""

TARGETS: dict[str, str] = {
    "onnx": "lprc.targets.onnx_file:ONNX",
    "openvino-fp16": "lprc.targets.openvino_ir:OPENVINO_FP16",
    "openvino-fp32": "lprc.targets.openvino_ir:OPENVINO_FP32",
    "ort-fp32": "lprc.targets.onnx_file:ORT_FP32",
}
"""Target name to ``module:ATTRIBUTE``."""

TARGET_ALIASES: dict[str, str] = {
    "ov-fp16": "openvino-fp16",
    "ov-fp32": "openvino-fp32",
}
"""Short names."""
