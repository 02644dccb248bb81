// Graphs with suppression inside: each row is a box that is found, or fills up.
#pragma once

#include "layers.hpp"
#include "suppression.hpp"

#include <cstddef>
#include <vector>

namespace lprc {

struct FinishedRows {
  RowsOutput rows;
  std::size_t sides[4];  // columns of left, top, right, bottom
  std::size_t score, label;
  long first_label;      // the number of the first class: 1 where 0 is a background
  std::size_t classes;
  float width, height;   // what sides are multiplied by: 1 where they are pixels
  std::size_t limit;
};

// False, and a line on stderr, if the output is missing or names a class that there is none.
inline bool find_boxes(const std::vector<NvDsInferLayerInfo>& layers, const FinishedRows& head,
                       const std::vector<float>& thresholds, std::vector<Found>& found) {
  Rows rows;
  if (!read_rows(layers, head.rows, rows)) return false;
  for (std::size_t row = 0; row < rows.count; ++row) {
    const long label = static_cast<long>(rows.at(row, head.label)) - head.first_label;
    if (label < 0) continue;
    const auto index = static_cast<std::size_t>(label);
    const float score = rows.at(row, head.score);
    if (index < thresholds.size() && score < thresholds[index]) continue;
    if (index >= head.classes) {
      std::fprintf(stderr, "lprc: class %ld is beyond the %zu\n", label, head.classes);
      return false;
    }
    if (index >= thresholds.size()) continue;
    Box box{};
    for (int side = 0; side < 4; ++side) {
      box.sides[side] = rows.at(row, head.sides[side]) * (side % 2 ? head.height : head.width);
    }
    found.push_back({box, score, index});
  }
  best_first(found, head.limit);
  return true;
}

}  // namespace lprc
