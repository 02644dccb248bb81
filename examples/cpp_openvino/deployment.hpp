// What deployment.json says of a plate reader or a detector: how a picture becomes the input, and
// what the output means.
#pragma once

#include "picture.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

// Where a picture comes to lie in the input.
struct Placement {
  std::size_t image_width, image_height;    // of the picture
  std::size_t scaled_width, scaled_height;  // that it has in the input
  std::size_t left, top;                    // pixels of the input beside and above it
};

struct Deployment {
  std::string kind;   // plates or detection
  std::string input;  // its name
  std::size_t width = 0, height = 0;
  std::size_t channels = 3;
  std::string resize;  // stretch, letterbox or letterbox-corner
  std::uint8_t border = 0;
  bool is_bgr = false;
  bool channels_last = false;
  bool takes_bytes = false;          // uint8: mean and scale are in the graph
  std::vector<float> mean, scale;    // one for each channel, in the order of the input
  std::vector<std::string> signs;    // of plates by class; the blank is the class behind the last
  std::vector<std::string> classes;  // of detections

  // Throws std::runtime_error for what is no such deployment, or one that needs more than this
  // example does.
  static Deployment parse(const std::string& json);

  Placement placement(const Picture& picture) const;

  // The picture in the input's size and channels.
  Picture fitted(const Picture& picture) const;

  // The input's pixels, of a picture that is fitted.
  std::vector<float> floats(const Picture& picture) const;
  std::vector<std::uint8_t> bytes(const Picture& picture) const;

  // Best path decoding of [classes, steps]: the best class of each step, repeats merged, blanks
  // dropped. Or codes [steps] of a graph that has decoded itself, -1 behind the last.
  std::string read(const float* logits, std::size_t classes, std::size_t steps) const;
  std::string read(const std::int32_t* codes, std::size_t steps) const;
};
