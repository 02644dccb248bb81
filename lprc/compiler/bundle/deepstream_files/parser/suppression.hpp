// From the scores of many boxes to the few that are found; the arithmetic of lprc's detection task.
#pragma once

#include <nvdsinfer.h>

#include <algorithm>
#include <cstddef>
#include <vector>

namespace lprc {

// Left, top, right, bottom in pixels of the network's input.
struct Box {
  float sides[4];
};

// The part of a box that is inside of the network's input.
inline Box within(const Box& box, const NvDsInferNetworkInfo& network) {
  Box part{};
  for (int side = 0; side < 4; ++side) {
    const auto length = static_cast<float>(side % 2 ? network.height : network.width);
    part.sides[side] = std::min(std::max(box.sides[side], 0.0F), length);
  }
  return part;
}

struct Found {
  Box box;
  float score;
  std::size_t label;
};

inline double area(double width, double height) {
  return std::max(width, 0.0) * std::max(height, 0.0);
}

// Intersection over union.
inline double overlap(const Box& one, const Box& other) {
  const float* a = one.sides;
  const float* b = other.sides;
  const double shared = area(static_cast<double>(std::min(a[2], b[2])) - std::max(a[0], b[0]),
                             static_cast<double>(std::min(a[3], b[3])) - std::max(a[1], b[1]));
  const double areas = area(static_cast<double>(a[2]) - a[0], static_cast<double>(a[3]) - a[1]) +
                       area(static_cast<double>(b[2]) - b[0], static_cast<double>(b[3]) - b[1]);
  const double joined = areas - shared;
  return joined > 0 ? shared / joined : 0.0;
}

inline void best_first(std::vector<Found>& boxes, std::size_t limit) {
  std::stable_sort(boxes.begin(), boxes.end(),
                   [](const Found& a, const Found& b) { return a.score > b.score; });
  if (boxes.size() > limit) boxes.resize(limit);
}

// Greedy: of two boxes of a class that overlap by more than `most`, the better remains.
inline std::vector<Found> suppress(std::vector<Found> boxes, std::size_t candidates, double most,
                                   std::size_t limit) {
  best_first(boxes, candidates);
  std::vector<Found> remaining;
  for (const Found& box : boxes) {
    if (remaining.size() == limit) break;
    const bool hidden = std::any_of(remaining.begin(), remaining.end(), [&](const Found& better) {
      return better.label == box.label && overlap(better.box, box.box) > most;
    });
    if (!hidden) remaining.push_back(box);
  }
  return remaining;
}

}  // namespace lprc
