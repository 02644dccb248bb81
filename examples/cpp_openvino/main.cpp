// Reads licence plates with an lprc artefact that is part of the program.
#include "deployment.hpp"
#include "picture.hpp"
#include "plates.h"

#include <openvino/openvino.hpp>

#include <algorithm>
#include <cstring>
#include <exception>
#include <filesystem>
#include <iostream>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

std::string text_of(const plates_file& file) {
  return {reinterpret_cast<const char*>(file.data), file.size};
}

// The model's text and weights stay where the linker put them.
ov::CompiledModel load_model(ov::Core& core) {
  const plates_file weights = plates_get(PLATES_MODEL_BIN_NAME);
  const ov::Tensor tensor(ov::element::u8, {weights.size}, weights.data);
  return core.compile_model(text_of(plates_get(PLATES_MODEL_XML_NAME)), tensor, "CPU",
                            ov::hint::performance_mode(ov::hint::PerformanceMode::LATENCY));
}

std::string read_plate(ov::InferRequest& request, const Deployment& deployment,
                       const std::string& path) {
  Picture picture = load_picture(path);
  if (deployment.channels == 1) picture = grey(picture);
  picture = resized(picture, deployment.width, deployment.height);
  const std::size_t height = deployment.height, width = deployment.width;
  const ov::Shape shape = deployment.channels_last
                              ? ov::Shape{1, height, width, deployment.channels}
                              : ov::Shape{1, deployment.channels, height, width};
  std::vector<float> floats;
  std::vector<std::uint8_t> bytes;
  if (deployment.takes_bytes) {
    bytes = deployment.bytes(picture);
    request.set_tensor(deployment.input, ov::Tensor(ov::element::u8, shape, bytes.data()));
  } else {
    floats = deployment.floats(picture);
    request.set_tensor(deployment.input, ov::Tensor(ov::element::f32, shape, floats.data()));
  }
  request.infer();
  const ov::Tensor output = request.get_output_tensor();
  const ov::Shape sizes = output.get_shape();  // [1, classes, steps], or codes [1, steps]
  if (output.get_element_type() == ov::element::i32 && sizes.size() == 2) {
    return deployment.read(output.data<const std::int32_t>(), sizes[1]);
  }
  if (sizes.size() != 3) throw std::runtime_error("the model's output is no plate reader's");
  return deployment.read(output.data<const float>(), sizes[1], sizes[2]);
}

// A file, or the pictures of a folder by name.
std::vector<std::string> files_of(const std::string& place) {
  if (!std::filesystem::is_directory(place)) return {place};
  std::vector<std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(place)) {
    const std::string suffix = entry.path().extension().string();
    if (suffix == ".ppm" || suffix == ".jpg" || suffix == ".jpeg") {
      files.push_back(entry.path().string());
    }
  }
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace

int main(int count, char** arguments) {
  if (count == 2 && std::strcmp(arguments[1], "--model") == 0) {
    std::cout << PLATES_MANIFEST_SHA256 << '\n';  // which artefact this program was built with
    return 0;
  }
  if (count < 2) {
    std::cerr << "usage: read_plate PICTURE|FOLDER... | --model\n";
    return 2;
  }
  try {
    const Deployment deployment = Deployment::parse(text_of(plates_get("deployment.json")));
    ov::Core core;
    ov::InferRequest request = load_model(core).create_infer_request();
    for (int i = 1; i < count; ++i) {
      for (const std::string& file : files_of(arguments[i])) {
        std::cout << read_plate(request, deployment, file) << '\n';
      }
    }
  } catch (const std::exception& error) {
    std::cerr << "error: " << error.what() << '\n';
    return 1;
  }
}
