// Heads of detectors whose boxes the graph has decoded: boxes and scores apart, or in one output.
#pragma once

#include "layers.hpp"
#include "suppression.hpp"

#include <cmath>
#include <cstddef>
#include <vector>

namespace lprc {

enum class Activation { kNone, kSigmoid, kSoftmax };
enum class BoxFormat { kCorners, kCornersYx, kCenters };

struct BoxHead {
  RowsOutput boxes;
  RowsOutput scores;           // the same output where one holds both
  std::size_t first_score;     // channel of the first class, background included
  int objectness;              // channel of `scores` that multiplies all classes; -1 for none
  std::size_t classes;         // without a background
  std::size_t score_channels;  // with it
  bool background_first;
  Activation activation;
  BoxFormat format;
  float width, height;         // what sides are multiplied by: 1 where they are pixels
  std::size_t candidates;
  double most_overlap;
  std::size_t limit;
};

inline float sigmoid(float value) { return 0.5F * (1.0F + std::tanh(0.5F * value)); }

inline Box read_box(const Rows& rows, std::size_t row, const BoxHead& head) {
  const float a = rows.at(row, 0), b = rows.at(row, 1), c = rows.at(row, 2), d = rows.at(row, 3);
  Box box{{a, b, c, d}};
  if (head.format == BoxFormat::kCornersYx) box = {{b, a, d, c}};
  if (head.format == BoxFormat::kCenters) {
    const float half_width = c / 2, half_height = d / 2;
    box = {{a - half_width, b - half_height, a + half_width, b + half_height}};
  }
  for (int side = 0; side < 4; ++side) box.sides[side] *= side % 2 ? head.height : head.width;
  return box;
}

// The scores of one row's classes, 0 to 1, without a background.
inline void read_scores(const Rows& rows, std::size_t row, const BoxHead& head,
                        std::vector<float>& scores) {
  scores.resize(head.score_channels);
  for (std::size_t i = 0; i < scores.size(); ++i) scores[i] = rows.at(row, head.first_score + i);
  if (head.activation == Activation::kSigmoid) {
    for (float& score : scores) score = sigmoid(score);
  }
  if (head.activation == Activation::kSoftmax) {
    const float largest = *std::max_element(scores.begin(), scores.end());
    float sum = 0;
    for (float& score : scores) sum += score = std::exp(score - largest);
    for (float& score : scores) score /= sum;
  }
  if (head.background_first) scores.erase(scores.begin());
  scores.resize(head.classes);
  if (head.objectness < 0) return;
  float factor = rows.at(row, static_cast<std::size_t>(head.objectness));
  if (head.activation == Activation::kSigmoid) factor = sigmoid(factor);
  for (float& score : scores) score *= factor;
}

// False, and a line on stderr, if the outputs are not the head's.
//
// `thresholds` holds the least score of each class; classes beyond it are not looked for.
inline bool find_boxes(const std::vector<NvDsInferLayerInfo>& layers, const BoxHead& head,
                       const std::vector<float>& thresholds, std::vector<Found>& found) {
  Rows boxes, scores;
  if (!read_rows(layers, head.boxes, boxes) || !read_rows(layers, head.scores, scores)) {
    return false;
  }
  if (boxes.count != scores.count) {
    std::fprintf(stderr, "lprc: %zu boxes and %zu scores\n", boxes.count, scores.count);
    return false;
  }
  std::vector<Found> passing;
  std::vector<float> row_scores;
  for (std::size_t row = 0; row < boxes.count; ++row) {
    read_scores(scores, row, head, row_scores);
    for (std::size_t label = 0; label < head.classes && label < thresholds.size(); ++label) {
      if (row_scores[label] < thresholds[label]) continue;
      passing.push_back({read_box(boxes, row, head), row_scores[label], label});
    }
  }
  found = suppress(std::move(passing), head.candidates, head.most_overlap, head.limit);
  return true;
}

}  // namespace lprc
