// Outputs of an engine, as nvinfer hands them over: one picture's, without the batch axis.
#pragma once

#include <nvdsinfer.h>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <vector>

namespace lprc {

// The output called `name` if it has elements of `type`; null, and a line on stderr, if not.
inline const NvDsInferLayerInfo* find_layer(const std::vector<NvDsInferLayerInfo>& layers,
                                            const char* name, NvDsInferDataType type) {
  for (const NvDsInferLayerInfo& layer : layers) {
    if (std::strcmp(layer.layerName, name) != 0) continue;
    if (layer.dataType == type && layer.buffer != nullptr) return &layer;
    std::fprintf(stderr, "lprc: output '%s' has another element type than the bundle's engine\n",
                 name);
    return nullptr;
  }
  std::fprintf(stderr, "lprc: the engine has no output '%s': build it by build_engines.sh\n", name);
  return nullptr;
}

// A float output as rows of `channels` numbers each, whichever axis comes first in memory.
struct Rows {
  const float* data = nullptr;
  std::size_t count = 0;
  std::size_t channels = 0;
  bool channels_last = true;

  float at(std::size_t row, std::size_t channel) const {
    return channels_last ? data[row * channels + channel] : data[channel * count + row];
  }
};

struct RowsOutput {
  const char* name;
  std::size_t channels;
  bool channels_last;
};

// False, and a line on stderr, if there is no such output.
inline bool read_rows(const std::vector<NvDsInferLayerInfo>& layers, const RowsOutput& output,
                      Rows& rows) {
  const NvDsInferLayerInfo* layer = find_layer(layers, output.name, FLOAT);
  if (layer == nullptr) return false;
  const std::size_t elements = layer->inferDims.numElements;
  if (elements % output.channels != 0) {
    std::fprintf(stderr, "lprc: output '%s' has %zu elements, which are no rows of %zu\n",
                 output.name, elements, output.channels);
    return false;
  }
  rows = {static_cast<const float*>(layer->buffer), elements / output.channels, output.channels,
          output.channels_last};
  return true;
}

}  // namespace lprc
