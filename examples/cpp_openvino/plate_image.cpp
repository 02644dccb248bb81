#include "plate_image.hpp"

#include <cctype>
#include <fstream>
#include <limits>
#include <stdexcept>

namespace {

// As models/synthetic.toml and models/lprnet.toml have them.
constexpr float kMean = 127.5F;
constexpr float kScale = 0.0078125F;
constexpr std::size_t kChannels = 3;

// A number of the header, in front of which there may be comments.
std::size_t read_number(std::istream& file) {
  while (file >> std::ws && file.peek() == '#') {
    file.ignore(std::numeric_limits<std::streamsize>::max(), '\n');
  }
  std::size_t number = 0;
  file >> number;
  return number;
}

}  // namespace

std::vector<float> load_plate(const std::string& path, std::size_t width, std::size_t height) {
  std::ifstream file(path, std::ios::binary);
  std::string magic(2, '\0');
  file.read(magic.data(), 2);
  if (!file || magic != "P6") throw std::runtime_error(path + ": not a binary PPM file");
  const std::size_t file_width = read_number(file);
  const std::size_t file_height = read_number(file);
  const std::size_t largest = read_number(file);
  if (!file || !std::isspace(file.get()) || largest != 255) {
    throw std::runtime_error(path + ": not a PPM file with 8 bits a channel");
  }
  if (file_width != width || file_height != height) {
    throw std::runtime_error(path + ": is " + std::to_string(file_width) + "x" +
                             std::to_string(file_height) + ", not " + std::to_string(width) + "x" +
                             std::to_string(height));
  }
  const std::size_t pixels = width * height;
  std::vector<unsigned char> rgb(pixels * kChannels);
  file.read(reinterpret_cast<char*>(rgb.data()), static_cast<std::streamsize>(rgb.size()));
  if (!file) throw std::runtime_error(path + ": ends too early");

  std::vector<float> planes(rgb.size());
  for (std::size_t channel = 0; channel < kChannels; ++channel) {
    for (std::size_t pixel = 0; pixel < pixels; ++pixel) {
      const float value = rgb[pixel * kChannels + (kChannels - 1 - channel)];
      planes[channel * pixels + pixel] = (value - kMean) * kScale;
    }
  }
  return planes;
}
