"""The one table of what lprc ships with; nothing in it is imported until it is asked for."""

from __future__ import annotations

PASSES: dict[str, str] = {
    "adaround": "lprc.passes.adaround:AdaRound",
    "average-pool-to-conv": "lprc.passes.average_pool_to_conv:AveragePoolToConv",
    "calibrate": "lprc.passes.calibrate:Calibrate",
    "commute-mean-conv": "lprc.passes.commute_mean_conv:CommuteMeanConv",
    "convert-fp16": "lprc.passes.convert_fp16:ConvertFloat16",
    "convert-opset": "lprc.passes.convert_opset:ConvertOpset",
    "correct-bias": "lprc.passes.correct_bias:CorrectBias",
    "decode-boxes": "lprc.passes.decode_boxes:DecodeBoxes",
    "deduplicate-initializers": "lprc.passes.deduplicate_initializers:DeduplicateInitializers",
    "eliminate-common-subexpressions": (
        "lprc.passes.eliminate_common_subexpressions:EliminateCommonSubexpressions"
    ),
    "eliminate-constant-channels": (
        "lprc.passes.eliminate_constant_channels:EliminateConstantChannels"
    ),
    "eliminate-dead-code": "lprc.passes.eliminate_dead_code:EliminateDeadCode",
    "eliminate-identity": "lprc.passes.eliminate_identity:EliminateIdentity",
    "embed-postprocessing": "lprc.passes.embed_postprocessing:EmbedPostprocessing",
    "embed-preprocessing": "lprc.passes.embed_preprocessing:EmbedPreprocessing",
    "equalize": "lprc.passes.equalize:Equalize",
    "extract": "lprc.passes.extract:Extract",
    "factor-average-pool": "lprc.passes.factor_average_pool:FactorAveragePool",
    "fold-affine": "lprc.passes.fold_affine:FoldAffine",
    "fold-bn": "lprc.passes.fold_bn:FoldBatchNorm",
    "fold-constants": "lprc.passes.fold_constants:FoldConstants",
    "fold-pad": "lprc.passes.fold_pad:FoldPad",
    "freeze-initializers": "lprc.passes.freeze_initializers:FreezeInitializers",
    "hoist-slices": "lprc.passes.hoist_slices:HoistSlices",
    "infer-shapes": "lprc.passes.infer_shapes:InferShapes",
    "inline-branches": "lprc.passes.inline_branches:InlineBranches",
    "inline-functions": "lprc.passes.inline_functions:InlineFunctions",
    "insert-qdq": "lprc.passes.insert_qdq:InsertQDQ",
    "legalize": "lprc.passes.legalize:Legalize",
    "lift-constants": "lprc.passes.lift_constants:LiftConstants",
    "lower-cast-like": "lprc.passes.lower_cast_like:LowerCastLike",
    "lower-sequences": "lprc.passes.lower_sequences:LowerSequences",
    "matmul-to-gemm": "lprc.passes.matmul_to_gemm:MatMulToGemm",
    "mean-to-pool": "lprc.passes.mean_to_pool:MeanToPool",
    "merge-concats": "lprc.passes.merge_concats:MergeConcats",
    "merge-reshapes": "lprc.passes.merge_reshapes:MergeReshapes",
    "merge-slices": "lprc.passes.merge_slices:MergeSlices",
    "merge-transposes": "lprc.passes.merge_transposes:MergeTransposes",
    "onnx-optimizer": "lprc.passes.onnx_optimizer:OnnxOptimizer",
    "per-sample-mean": "lprc.passes.per_sample_mean:PerSampleMean",
    "pow-to-mul": "lprc.passes.pow_to_mul:PowToMul",
    "prune-channels": "lprc.passes.prune_channels:PruneChannels",
    "quantize-weights": "lprc.passes.quantize_weights:QuantizeWeights",
    "reconstruct": "lprc.passes.reconstruct:Reconstruct",
    "reorder-channels": "lprc.passes.reorder_channels:ReorderChannels",
    "reverse-channels": "lprc.passes.reverse_channels:ReverseChannels",
    "set-batch": "lprc.passes.set_batch:SetBatch",
    "set-input-shape": "lprc.passes.set_input_shape:SetInputShape",
    "set-layout": "lprc.passes.set_layout:SetLayout",
    "simplify": "lprc.passes.simplify:Simplify",
    "smooth-quant": "lprc.passes.smooth_quant:SmoothQuant",
    "sparsify": "lprc.passes.sparsify:Sparsify",
    "split-channels": "lprc.passes.split_channels:SplitChannels",
    "simplify-activations": "lprc.passes.simplify_activations:SimplifyActivations",
}
"""Pass name to ``module:Class``."""

TARGETS: dict[str, str] = {
    "aoti-fp32": "lprc.targets.aoti:AOTI_FP32",
    "aoti-int8": "lprc.targets.aoti:AOTI_INT8",
    "executorch-fp32": "lprc.targets.executorch:EXECUTORCH_FP32",
    "onnx": "lprc.targets.onnx_file:ONNX",
    "onnx-qdq": "lprc.targets.onnx_file:ONNX_QDQ",
    "openvino-fp16": "lprc.targets.openvino_ir:OPENVINO_FP16",
    "openvino-fp32": "lprc.targets.openvino_ir:OPENVINO_FP32",
    "openvino-int8": "lprc.targets.openvino_ir:OPENVINO_INT8",
    "openvino-int8-fp16": "lprc.targets.openvino_ir:OPENVINO_INT8_FP16",
    "ort-fp32": "lprc.targets.onnx_file:ORT_FP32",
    "ort-int8": "lprc.targets.onnx_file:ORT_INT8",
    "tensorrt-fp16": "lprc.targets.tensorrt:TENSORRT_FP16",
    "tensorrt-fp32": "lprc.targets.tensorrt:TENSORRT_FP32",
    "tensorrt-int8": "lprc.targets.tensorrt:TENSORRT_INT8",
    "tensorrt-int8-fp16": "lprc.targets.tensorrt:TENSORRT_INT8_FP16",
    "tensorrt-sparse-fp16": "lprc.targets.tensorrt:TENSORRT_SPARSE_FP16",
    "tensorrt-sparse-int8": "lprc.targets.tensorrt:TENSORRT_SPARSE_INT8",
    "torchscript-fp32": "lprc.targets.torchscript:TORCHSCRIPT_FP32",
    "tvm-fp32": "lprc.targets.tvm:TVM_FP32",
    "tvm-int8": "lprc.targets.tvm:TVM_INT8",
}
"""Target name to ``module:ATTRIBUTE``."""

TARGET_ALIASES: dict[str, str] = {
    "ov-fp16": "openvino-fp16",
    "ov-fp32": "openvino-fp32",
    "ov-int8": "openvino-int8",
    "ov-int8-fp16": "openvino-int8-fp16",
    "trt-fp16": "tensorrt-fp16",
    "trt-fp32": "tensorrt-fp32",
    "trt-int8": "tensorrt-int8",
    "trt-int8-fp16": "tensorrt-int8-fp16",
    "trt-sparse-fp16": "tensorrt-sparse-fp16",
    "trt-sparse-int8": "tensorrt-sparse-int8",
}
"""Short names."""

SHARED_PARTS = "lprc.targets"
"""The package whose ``shared.toml`` holds what targets' files share."""

SEARCH_SPACES: dict[str, str] = {"lprc": "lprc.targets.search_space:SPACE"}
"""Search space to ``module:ATTRIBUTE``."""

RUNTIMES: dict[str, str] = {
    "aoti": "lprc.compiler.runners.builtin_runtimes:AOTI",
    "executorch": "lprc.compiler.runners.builtin_runtimes:EXECUTORCH",
    "onnxruntime": "lprc.compiler.runners.builtin_runtimes:ONNXRUNTIME",
    "openvino": "lprc.compiler.runners.builtin_runtimes:OPENVINO",
    "tensorrt": "lprc.compiler.runners.builtin_runtimes:TENSORRT",
    "torchscript": "lprc.compiler.runners.builtin_runtimes:TORCHSCRIPT",
    "tvm": "lprc.compiler.runners.builtin_runtimes:TVM",
}
"""Runtime name to ``module:ATTRIBUTE``."""

RUNTIME_ALIASES: dict[str, str] = {"ort": "onnxruntime"}
"""Short names, by which the command line calls them: ``model.onnx@ort``."""

TASKS: dict[str, str] = {
    "classification": "lprc.models.tasks.classification:Classification",
    "detection": "lprc.models.tasks.detection:Detection",
    "plates": "lprc.models.tasks.plates:Plates",
    "segmentation": "lprc.models.tasks.segmentation:Segmentation",
    "tensors": "lprc.models.tasks.tensors:Tensors",
}
"""Kind of tasks to ``module:Class``."""

TASK_FILES: dict[str, str] = {
    "lprnet": "lprc.models:lprnet.toml",
    "synthetic": "lprc.models:synthetic.toml",
    "european": "lprc.models:european.toml",
    "plate-detector": "lprc.models:plate_detector.toml",
}
"""Built-in task to ``package:file``."""
