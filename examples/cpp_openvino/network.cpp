#include "network.hpp"

#include "files.hpp"

#include <algorithm>
#include <stdexcept>
#include <utility>

namespace {

constexpr std::size_t kColumns = 6;  // left, top, right, bottom, score, class

// From the input's pixels to the picture's, cut off at its edges.
float in_picture(float value, std::size_t offset, std::size_t length, std::size_t scaled) {
  const double ratio = static_cast<double>(length) / static_cast<double>(scaled);
  const double start = -static_cast<double>(offset) * static_cast<double>(length) /
                       static_cast<double>(scaled);
  const float placed = value * static_cast<float>(ratio) + static_cast<float>(start);
  return std::min(std::max(placed, 0.0F), static_cast<float>(length));
}

}  // namespace

Network::Network(ov::Core& core, const std::shared_ptr<ov::Model>& model, Deployment deployment)
    : deployment_(std::move(deployment)),
      request_(core.compile_model(model, "CPU",
                                  ov::hint::performance_mode(ov::hint::PerformanceMode::LATENCY),
                                  // Else newer CPUs would compute in bfloat16.
                                  ov::hint::inference_precision(ov::element::f32))
                   .create_infer_request()) {}

Network Network::open(ov::Core& core, const std::string& folder) {
  try {
    return {core, core.read_model(folder + "/model.xml"),
            Deployment::parse(read_text(folder + "/deployment.json"))};
  } catch (const std::exception& error) {
    throw std::runtime_error(folder + ": " + error.what());
  }
}

ov::Tensor Network::run(const Picture& picture) {
  const Deployment& given = deployment_;
  const Picture fitted = given.fitted(picture);
  const ov::Shape shape = given.channels_last
                              ? ov::Shape{1, given.height, given.width, given.channels}
                              : ov::Shape{1, given.channels, given.height, given.width};
  std::vector<float> floats;
  std::vector<std::uint8_t> bytes;
  if (given.takes_bytes) {
    bytes = given.bytes(fitted);
    request_.set_tensor(given.input, ov::Tensor(ov::element::u8, shape, bytes.data()));
  } else {
    floats = given.floats(fitted);
    request_.set_tensor(given.input, ov::Tensor(ov::element::f32, shape, floats.data()));
  }
  request_.infer();
  return request_.get_output_tensor();
}

std::string Network::read(const Picture& picture) {
  const ov::Tensor output = run(picture);
  const ov::Shape sizes = output.get_shape();  // [1, classes, steps], or codes [1, steps]
  if (output.get_element_type() == ov::element::i32 && sizes.size() == 2) {
    return deployment_.read(output.data<const std::int32_t>(), sizes[1]);
  }
  if (output.get_element_type() != ov::element::f32 || sizes.size() != 3) {
    throw std::runtime_error("the model's output is no plate reader's");
  }
  return deployment_.read(output.data<const float>(), sizes[1], sizes[2]);
}

std::vector<Found> Network::find(const Picture& picture) {
  if (request_.get_compiled_model().outputs().size() != 1) {
    throw std::runtime_error("the detector's boxes overlap: `lprc compile --embed postprocessing`");
  }
  const ov::Tensor output = run(picture);
  const ov::Shape sizes = output.get_shape();
  if (output.get_element_type() != ov::element::f32 || sizes.size() != 3 ||
      sizes[2] != kColumns) {
    throw std::runtime_error("the model's output is no rows of found boxes");
  }
  const Placement place = deployment_.placement(picture);
  const float* row = output.data<const float>();
  std::vector<Found> found;
  for (std::size_t i = 0; i < sizes[1]; ++i, row += kColumns) {
    if (row[5] < 0) continue;  // behind the last
    const auto x = [&](float value) {
      return in_picture(value, place.left, place.image_width, place.scaled_width);
    };
    const auto y = [&](float value) {
      return in_picture(value, place.top, place.image_height, place.scaled_height);
    };
    found.push_back(
        {x(row[0]), y(row[1]), x(row[2]), y(row[3]), row[4], static_cast<std::size_t>(row[5])});
  }
  return found;
}
