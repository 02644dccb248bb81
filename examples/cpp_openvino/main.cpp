// Reads licence plates with an lprc artefact that is part of the program.
#include "files.hpp"
#include "network.hpp"
#include "picture.hpp"
#include "plates.h"

#include <cstring>
#include <exception>
#include <iostream>
#include <string>

namespace {

std::string text_of(const plates_file& file) {
  return {reinterpret_cast<const char*>(file.data), file.size};
}

// The model's text and weights stay where the linker put them.
Network load_network() {
  const plates_file weights = plates_get(PLATES_MODEL_BIN_NAME);
  const ov::Tensor tensor(ov::element::u8, {weights.size}, weights.data);
  ov::Core core;
  const auto model = core.read_model(text_of(plates_get(PLATES_MODEL_XML_NAME)), tensor);
  return {core, model, Deployment::parse(text_of(plates_get("deployment.json")))};
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
    Network network = load_network();
    for (int i = 1; i < count; ++i) {
      for (const std::string& file : files_of(arguments[i])) {
        std::cout << network.read(load_picture(file)) << '\n';
      }
    }
  } catch (const std::exception& error) {
    std::cerr << "error: " << error.what() << '\n';
    return 1;
  }
}
