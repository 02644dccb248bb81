// Texts: greedy CTC decoding (Graves et al., ICML 2006, section 3.2), or codes of a graph that
// has decoded itself.
#pragma once

#include "layers.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace lprc {

struct Text {
  std::string text;        // UTF-8
  float confidence = 1.0F;  // of its least sure character, 0 to 1; 1 where the graph tells none
};

// Logits [classes, steps]: the best class of each step, repeats merged, the last class (the blank)
// dropped. False, and a line on stderr, if there is no such output.
inline bool read_logits(const std::vector<NvDsInferLayerInfo>& layers, const char* output,
                        const std::vector<const char*>& signs, Text& text) {
  Rows steps;  // one row a step
  const std::size_t blank = signs.size();
  if (!read_rows(layers, {output, blank + 1, false}, steps)) return false;
  std::size_t last = blank;
  for (std::size_t step = 0; step < steps.count; ++step) {
    std::size_t best = 0;
    for (std::size_t label = 1; label <= blank; ++label) {
      if (steps.at(step, label) > steps.at(step, best)) best = label;
    }
    if (best != last && best != blank) {
      double sum = 0;
      for (std::size_t label = 0; label <= blank; ++label) {
        sum += std::exp(static_cast<double>(steps.at(step, label)) - steps.at(step, best));
      }
      text.text += signs[best];
      text.confidence = std::min(text.confidence, static_cast<float>(1 / sum));
    }
    last = best;
  }
  return true;
}

// Codes [steps]; those below 0 stand for nothing. False, and a line on stderr, if there is no such
// output, or a code is beyond the alphabet.
inline bool read_codes(const std::vector<NvDsInferLayerInfo>& layers, const char* output,
                       const std::vector<const char*>& signs, Text& text) {
  const NvDsInferLayerInfo* layer = find_layer(layers, output, INT32);
  if (layer == nullptr) return false;
  const auto* codes = static_cast<const std::int32_t*>(layer->buffer);
  for (std::size_t step = 0; step < layer->inferDims.numElements; ++step) {
    if (codes[step] < 0) continue;
    if (static_cast<std::size_t>(codes[step]) >= signs.size()) {
      std::fprintf(stderr, "lprc: code %d is beyond the alphabet's %zu characters\n", codes[step],
                   signs.size());
      return false;
    }
    text.text += signs[static_cast<std::size_t>(codes[step])];
  }
  return true;
}

}  // namespace lprc
