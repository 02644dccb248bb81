/* The types of nvinfer's custom parsers, after the page "nvdsinfer_custom_impl.h File Reference" of
 * the DeepStream SDK API Reference, 7.1. For tests alone. */
#ifndef LPRC_TEST_NVDSINFER_CUSTOM_IMPL_H
#define LPRC_TEST_NVDSINFER_CUSTOM_IMPL_H

#include "nvdsinfer.h"

#include <string>
#include <vector>

typedef struct {
  unsigned int numClassesConfigured;
  std::vector<float> perClassPreclusterThreshold;
  std::vector<float> perClassPostclusterThreshold;
  std::vector<float> &perClassThreshold = perClassPreclusterThreshold;
} NvDsInferParseDetectionParams;

typedef bool (*NvDsInferParseCustomFunc)(
    std::vector<NvDsInferLayerInfo> const &outputLayersInfo, NvDsInferNetworkInfo const &networkInfo,
    NvDsInferParseDetectionParams const &detectionParams,
    std::vector<NvDsInferObjectDetectionInfo> &objectList);

typedef bool (*NvDsInferClassiferParseCustomFunc)(
    std::vector<NvDsInferLayerInfo> const &outputLayersInfo, NvDsInferNetworkInfo const &networkInfo,
    float classifierThreshold, std::vector<NvDsInferAttribute> &attrList, std::string &descString);

#define CHECK_CUSTOM_PARSE_FUNC_PROTOTYPE(name)                          \
  static void check_##name(NvDsInferParseCustomFunc function = name) {   \
    (void)function;                                                      \
    (void)check_##name;                                                  \
  }                                                                      \
  extern "C" bool name(                                                  \
      std::vector<NvDsInferLayerInfo> const &, NvDsInferNetworkInfo const &, \
      NvDsInferParseDetectionParams const &, std::vector<NvDsInferObjectDetectionInfo> &)

#define CHECK_CUSTOM_CLASSIFIER_PARSE_FUNC_PROTOTYPE(name)                      \
  static void check_##name(NvDsInferClassiferParseCustomFunc function = name) { \
    (void)function;                                                             \
    (void)check_##name;                                                         \
  }                                                                             \
  extern "C" bool name(std::vector<NvDsInferLayerInfo> const &, NvDsInferNetworkInfo const &, float, \
                       std::vector<NvDsInferAttribute> &, std::string &)

#endif
