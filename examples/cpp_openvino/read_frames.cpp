// Reads the plates in street pictures: a detector and a reader, one behind the other, as
// `lprc run pipeline.toml` does with the same settings.
//
//   read_frames [--margin X,Y] [--min-size W,H] [--min-score S] [--top-k N] DETECTOR READER
//               PICTURE|FOLDER...
#include "files.hpp"
#include "network.hpp"
#include "picture.hpp"

#include <openvino/openvino.hpp>

#include <cmath>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

// As of [[edges]] in pipeline.toml.
struct Edge {
  double margin_x = 0, margin_y = 0;
  double min_width = 1, min_height = 1;
  double min_score = 0.3;
  std::size_t top_k = 16;
};

double number_of(const std::string& text) {
  char* end = nullptr;
  const double value = std::strtod(text.c_str(), &end);
  if (text.empty() || *end != '\0' || !(value >= 0)) throw std::runtime_error(text + ": no number");
  return value;
}

void read_pair(const std::string& text, double& first, double& second) {
  const std::size_t comma = text.find(',');
  if (comma == std::string::npos) throw std::runtime_error(text + ": no two numbers");
  first = number_of(text.substr(0, comma));
  second = number_of(text.substr(comma + 1));
}

Edge read_edge(std::vector<std::string>& arguments) {
  Edge edge;
  while (arguments.size() > 1 && arguments[0].rfind("--", 0) == 0) {
    const std::string option = arguments[0], value = arguments[1];
    arguments.erase(arguments.begin(), arguments.begin() + 2);
    if (option == "--margin") {
      read_pair(value, edge.margin_x, edge.margin_y);
    } else if (option == "--min-size") {
      read_pair(value, edge.min_width, edge.min_height);
    } else if (option == "--min-score") {
      edge.min_score = number_of(value);
    } else if (option == "--top-k") {
      edge.top_k = static_cast<std::size_t>(number_of(value));
    } else {
      throw std::runtime_error(option + ": no such option");
    }
  }
  return edge;
}

std::size_t within(double value, std::size_t length) {
  return static_cast<std::size_t>(std::min(std::max(value, 0.0), static_cast<double>(length)));
}

// The box with its margin, in whole pixels outwards; empty where nothing is left.
Picture piece_of(const Picture& picture, const Found& box, const Edge& edge) {
  const double across = edge.margin_x * (static_cast<double>(box.right) - box.left);
  const double down = edge.margin_y * (static_cast<double>(box.bottom) - box.top);
  const std::size_t left = within(std::floor(box.left - across), picture.width);
  const std::size_t top = within(std::floor(box.top - down), picture.height);
  const std::size_t right = within(std::ceil(box.right + across), picture.width);
  const std::size_t bottom = within(std::ceil(box.bottom + down), picture.height);
  if (right <= left || bottom <= top) return {};
  return cut_out(picture, left, top, right, bottom);
}

std::vector<std::string> read_texts(Network& detector, Network& reader, const Picture& picture,
                                    const Edge& edge) {
  std::vector<std::string> texts;
  std::size_t count = 0;
  for (const Found& box : detector.find(picture)) {
    const bool is_small =
        box.right - box.left < edge.min_width || box.bottom - box.top < edge.min_height;
    if (is_small || box.score < static_cast<float>(edge.min_score)) continue;
    if (++count > edge.top_k) break;
    const Picture piece = piece_of(picture, box, edge);
    if (!piece.pixels.empty()) texts.push_back(reader.read(piece));
  }
  return texts;
}

}  // namespace

int main(int count, char** given) {
  std::vector<std::string> arguments(given + 1, given + count);
  try {
    const Edge edge = read_edge(arguments);
    if (arguments.size() < 3) throw std::runtime_error("name DETECTOR READER PICTURE|FOLDER...");
    ov::Core core;
    Network detector = Network::open(core, arguments[0]);
    Network reader = Network::open(core, arguments[1]);
    for (std::size_t i = 2; i < arguments.size(); ++i) {
      for (const std::string& file : files_of(arguments[i])) {
        std::cout << file << ':';
        for (const std::string& text : read_texts(detector, reader, load_picture(file), edge)) {
          std::cout << ' ' << text;
        }
        std::cout << '\n';
      }
    }
  } catch (const std::exception& error) {
    std::cerr << "error: " << error.what() << '\n';
    return 1;
  }
}
