// What deployment.json says of a plate reader: how a picture becomes the input, and what the
// output means.
#pragma once

#include "picture.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

struct Deployment {
  std::string input;  // its name
  std::size_t width = 0, height = 0;
  std::size_t channels = 3;
  bool is_bgr = false;
  bool channels_last = false;
  bool takes_bytes = false;        // uint8: mean and scale are in the graph
  std::vector<float> mean, scale;  // one for each channel, in the order of the input
  std::vector<std::string> signs;  // by class; the blank is the class behind the last

  // Throws std::runtime_error for what is no deployment of a plate reader, or one that needs more
  // than this example does.
  static Deployment parse(const std::string& json);

  // The input's pixels: of a picture that has its size and channels.
  std::vector<float> floats(const Picture& picture) const;
  std::vector<std::uint8_t> bytes(const Picture& picture) const;

  // Best path decoding of [classes, steps]: the best class of each step, repeats merged, blanks
  // dropped. Or codes [steps] of a graph that has decoded itself, -1 behind the last.
  std::string read(const float* logits, std::size_t classes, std::size_t steps) const;
  std::string read(const std::int32_t* codes, std::size_t steps) const;
};
