#include "deployment.hpp"

#include "json.hpp"

#include <algorithm>
#include <cmath>
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
  Deployment given;
  given.kind = document.at("task").text();
  const bool reads = given.kind == "plates";
  if ((!reads && given.kind != "detection") || document.at("inputs").list().size() != 1) {
    throw std::runtime_error("the artefact is no plate reader and no detector");
  }
  const Json& image = document.at("image");
  require(image, "interpolation", "bilinear");
  given.resize = image.at("resize").text();
  if (given.resize == "crop") throw std::runtime_error("resize is crop: this example can't");
  given.border = static_cast<std::uint8_t>(image.at("border").number());
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
  if (reads) require(document.at("output"), "decoder", "greedy");
  std::vector<std::string>& names = reads ? given.signs : given.classes;
  for (const Json& name : document.at("output").at(reads ? "alphabet" : "classes").list()) {
    names.push_back(name.text());
  }
  return given;
}

Placement Deployment::placement(const Picture& picture) const {
  if (resize == "stretch") return {picture.width, picture.height, width, height, 0, 0};
  const double ratio = std::min(static_cast<double>(width) / static_cast<double>(picture.width),
                                static_cast<double>(height) / static_cast<double>(picture.height));
  // Halves go to the even number, as Python rounds.
  const auto scaled = [&](std::size_t length) {
    return std::max<std::size_t>(
        1, static_cast<std::size_t>(std::nearbyint(static_cast<double>(length) * ratio)));
  };
  Placement place{picture.width, picture.height, scaled(picture.width), scaled(picture.height),
                  0, 0};
  if (resize == "letterbox") {
    place.left = (width - place.scaled_width) / 2;
    place.top = (height - place.scaled_height) / 2;
  }
  return place;
}

Picture Deployment::fitted(const Picture& picture) const {
  const Placement place = placement(picture);
  const Picture scaled = resized(channels == 1 && picture.channels == 3 ? grey(picture) : picture,
                                 place.scaled_width, place.scaled_height);
  if (scaled.width == width && scaled.height == height) return scaled;
  Picture canvas;
  canvas.width = width;
  canvas.height = height;
  canvas.channels = channels;
  canvas.pixels.assign(width * height * channels, border);
  for (std::size_t row = 0; row < scaled.height; ++row) {
    const std::size_t bytes_in_row = scaled.width * channels;
    std::copy_n(scaled.pixels.data() + row * bytes_in_row, bytes_in_row,
                canvas.pixels.data() + ((row + place.top) * width + place.left) * channels);
  }
  return canvas;
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
