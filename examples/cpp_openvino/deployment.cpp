#include "deployment.hpp"

#include "json.hpp"

#include <stdexcept>

namespace {

constexpr int kSchema = 1;

std::vector<float> per_channel(const Json& values, std::size_t channels) {
  std::vector<float> numbers;
  for (const Json& value : values.list()) numbers.push_back(static_cast<float>(value.number()));
  if (numbers.size() == 1) numbers.resize(channels, numbers[0]);
  if (numbers.size() != channels) throw std::runtime_error("mean or scale is not one a channel");
  return numbers;
}

void require(const Json& image, const char* key, const std::string& wanted) {
  const std::string& given = image.at(key).text();
  if (given != wanted) {
    throw std::runtime_error(std::string(key) + " is " + given + ": this example does " + wanted);
  }
}

// Calls `put(index, value)` for each number of the input.
template <typename Put>
void arrange(const Deployment& given, const Picture& picture, Put put) {
  if (picture.width != given.width || picture.height != given.height ||
      picture.channels != given.channels) {
    throw std::runtime_error("the picture has another size than the input");
  }
  const std::size_t count = picture.width * picture.height;
  for (std::size_t channel = 0; channel < given.channels; ++channel) {
    const std::size_t source = given.is_bgr ? given.channels - 1 - channel : channel;
    for (std::size_t pixel = 0; pixel < count; ++pixel) {
      const std::size_t index =
          given.channels_last ? pixel * given.channels + channel : channel * count + pixel;
      put(index, channel, picture.pixels[pixel * given.channels + source]);
    }
  }
}

}  // namespace

Deployment Deployment::parse(const std::string& json) {
  const Json document = Json::parse(json);
  if (document.at("schema").number() != kSchema) {
    throw std::runtime_error("deployment.json has another schema than 1");
  }
  if (document.at("task").text() != "plates" || document.at("inputs").list().size() != 1) {
    throw std::runtime_error("the artefact is no plate reader");
  }
  const Json& image = document.at("image");
  require(image, "resize", "stretch");
  require(image, "interpolation", "bilinear");
  Deployment given;
  given.input = document.at("inputs").list()[0].at("name").text();
  given.width = static_cast<std::size_t>(image.at("width").number());
  given.height = static_cast<std::size_t>(image.at("height").number());
  given.channels = image.at("color").text() == "GRAY" ? 1 : 3;
  given.is_bgr = image.at("color").text() == "BGR";
  given.channels_last = image.at("layout").text() == "NHWC";
  given.takes_bytes = image.at("dtype").text() == "uint8";
  if (!given.takes_bytes) require(image, "dtype", "float32");
  given.mean = per_channel(image.at("mean"), given.channels);
  given.scale = per_channel(image.at("scale"), given.channels);
  require(document.at("output"), "decoder", "greedy");
  for (const Json& sign : document.at("output").at("alphabet").list()) {
    given.signs.push_back(sign.text());
  }
  return given;
}

std::vector<float> Deployment::floats(const Picture& picture) const {
  std::vector<float> values(width * height * channels);
  arrange(*this, picture, [&](std::size_t index, std::size_t channel, std::uint8_t value) {
    values[index] = (static_cast<float>(value) - mean[channel]) * scale[channel];
  });
  return values;
}

std::vector<std::uint8_t> Deployment::bytes(const Picture& picture) const {
  std::vector<std::uint8_t> values(width * height * channels);
  arrange(*this, picture, [&](std::size_t index, std::size_t /*channel*/, std::uint8_t value) {
    values[index] = value;
  });
  return values;
}

std::string Deployment::read(const float* logits, std::size_t classes, std::size_t steps) const {
  const std::size_t blank = signs.size();
  if (classes != blank + 1) {
    throw std::runtime_error("the model has " + std::to_string(classes) +
                             " classes, and deployment.json " + std::to_string(blank) +
                             " characters");
  }
  std::string text;
  std::size_t last = blank;
  for (std::size_t step = 0; step < steps; ++step) {
    std::size_t best = 0;
    for (std::size_t label = 1; label < classes; ++label) {
      if (logits[label * steps + step] > logits[best * steps + step]) best = label;
    }
    if (best != last && best != blank) text += signs[best];
    last = best;
  }
  return text;
}

std::string Deployment::read(const std::int32_t* codes, std::size_t steps) const {
  std::string text;
  for (std::size_t step = 0; step < steps; ++step) {
    if (codes[step] >= 0) text += signs.at(static_cast<std::size_t>(codes[step]));
  }
  return text;
}
