// Reads licence plates with an lprc artefact that is part of the program.
#include "plate_image.hpp"
#include "plates.h"

#include <openvino/openvino.hpp>

#include <algorithm>
#include <cstring>
#include <exception>
#include <iostream>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

// As models/synthetic.toml has it; the blank is the class behind the last character.
constexpr char kAlphabet[] = "0123456789ABCDEFGHJKLMNPRSTUVWXYZ";
constexpr std::size_t kBlank = sizeof(kAlphabet) - 1;

// The model's text and weights stay where the linker put them.
ov::CompiledModel load_model(ov::Core& core) {
  const plates_file text = plates_get(PLATES_MODEL_XML_NAME);
  const plates_file weights = plates_get(PLATES_MODEL_BIN_NAME);
  const ov::Tensor tensor(ov::element::u8, {weights.size}, weights.data);
  const std::string xml(reinterpret_cast<const char*>(text.data), text.size);
  return core.compile_model(xml, tensor, "CPU",
                            ov::hint::performance_mode(ov::hint::PerformanceMode::LATENCY));
}

// Best path decoding: the best class of each step, repeats merged, blanks dropped.
std::string decode(const float* logits, std::size_t classes, std::size_t steps) {
  if (classes != kBlank + 1) throw std::runtime_error("the model has another alphabet");
  std::string text;
  std::size_t last = kBlank;
  for (std::size_t step = 0; step < steps; ++step) {
    std::size_t best = 0;
    for (std::size_t each = 1; each < classes; ++each) {
      if (logits[each * steps + step] > logits[best * steps + step]) best = each;
    }
    if (best != last && best != kBlank) text += kAlphabet[best];
    last = best;
  }
  return text;
}

std::string read_plate(ov::InferRequest& request, const std::string& path) {
  const ov::PartialShape shape = request.get_compiled_model().input().get_partial_shape();
  const auto height = static_cast<std::size_t>(shape[2].get_length());
  const auto width = static_cast<std::size_t>(shape[3].get_length());
  std::vector<float> pixels = load_plate(path, width, height);
  request.set_input_tensor(ov::Tensor(ov::element::f32, {1, 3, height, width}, pixels.data()));
  request.infer();
  const ov::Tensor logits = request.get_output_tensor();  // [1, classes, steps]
  return decode(logits.data<const float>(), logits.get_shape()[1], logits.get_shape()[2]);
}

}  // namespace

int main(int count, char** arguments) {
  if (count == 2 && std::strcmp(arguments[1], "--model") == 0) {
    std::cout << PLATES_MANIFEST_SHA256 << '\n';  // which artefact this program was built with
    return 0;
  }
  if (count < 2) {
    std::cerr << "usage: read_plate PLATE.ppm... | --model\n";
    return 2;
  }
  try {
    ov::Core core;
    ov::InferRequest request = load_model(core).create_infer_request();
    for (int i = 1; i < count; ++i) std::cout << read_plate(request, arguments[i]) << '\n';
  } catch (const std::exception& error) {
    std::cerr << "error: " << error.what() << '\n';
    return 1;
  }
}
