#include "picture.hpp"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <fstream>
#include <iterator>
#include <limits>
#include <stdexcept>

#ifdef WITH_JPEG
#include <cstdio>  // jpeglib.h needs it and does not include it

#include <jpeglib.h>
#endif

namespace {

constexpr std::size_t kMostPixels = 100'000'000;
constexpr int kPrecision = 32 - 8 - 2;  // bits of a weight behind the point

void check_size(const std::string& path, std::size_t width, std::size_t height) {
  if (width == 0 || height == 0 || width > kMostPixels / height) {
    throw std::runtime_error(path + ": is " + std::to_string(width) + "x" +
                             std::to_string(height) + ", and 100 million pixels are the most");
  }
}

// A number of the header, in front of which there may be comments.
std::size_t read_number(std::istream& file) {
  while (file >> std::ws && file.peek() == '#') {
    file.ignore(std::numeric_limits<std::streamsize>::max(), '\n');
  }
  std::size_t number = 0;
  file >> number;
  return number;
}

Picture load_ppm(const std::string& path, std::istream& file) {
  file.ignore(2);
  Picture picture;
  picture.width = read_number(file);
  picture.height = read_number(file);
  const std::size_t largest = read_number(file);
  if (!file || !std::isspace(file.get()) || largest != 255) {
    throw std::runtime_error(path + ": not a PPM file with 8 bits a channel");
  }
  check_size(path, picture.width, picture.height);
  picture.pixels.resize(picture.width * picture.height * picture.channels);
  file.read(reinterpret_cast<char*>(picture.pixels.data()),
            static_cast<std::streamsize>(picture.pixels.size()));
  if (!file) throw std::runtime_error(path + ": ends too early");
  return picture;
}

#ifdef WITH_JPEG
[[noreturn]] void throw_jpeg_error(j_common_ptr info) {
  char message[JMSG_LENGTH_MAX];
  info->err->format_message(info, message);
  throw std::runtime_error(message);
}

void no_warning(j_common_ptr info, int level) {
  if (level < 0) throw_jpeg_error(info);  // a truncated file is one that can't be read
}

struct JpegReader {
  jpeg_decompress_struct info{};
  jpeg_error_mgr errors{};

  JpegReader() {
    info.err = jpeg_std_error(&errors);
    errors.error_exit = throw_jpeg_error;
    errors.emit_message = no_warning;
    jpeg_create_decompress(&info);
  }
  JpegReader(const JpegReader&) = delete;
  JpegReader& operator=(const JpegReader&) = delete;
  ~JpegReader() { jpeg_destroy_decompress(&info); }
};

Picture load_jpeg(const std::string& path, std::istream& file) {
  const std::string data((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  JpegReader reader;
  jpeg_mem_src(&reader.info, reinterpret_cast<const unsigned char*>(data.data()), data.size());
  jpeg_read_header(&reader.info, TRUE);
  check_size(path, reader.info.image_width, reader.info.image_height);
  reader.info.out_color_space = JCS_RGB;
  jpeg_start_decompress(&reader.info);
  Picture picture;
  picture.width = reader.info.output_width;
  picture.height = reader.info.output_height;
  picture.pixels.resize(picture.width * picture.height * picture.channels);
  while (reader.info.output_scanline < picture.height) {
    JSAMPROW row =
        picture.pixels.data() + reader.info.output_scanline * picture.width * picture.channels;
    jpeg_read_scanlines(&reader.info, &row, 1);
  }
  jpeg_finish_decompress(&reader.info);
  return picture;
}
#endif

// Which old pixels a new one is made of, and their weights.
struct Window {
  std::size_t first = 0;
  std::vector<int> weights;
};

std::vector<Window> windows(std::size_t from, std::size_t to) {
  const double scale = static_cast<double>(from) / static_cast<double>(to);
  const double support = std::max(scale, 1.0);
  std::vector<Window> made(to);
  for (std::size_t place = 0; place < to; ++place) {
    const double centre = (static_cast<double>(place) + 0.5) * scale;
    const int first = std::max(0, static_cast<int>(centre - support + 0.5));
    const int end = std::min(static_cast<int>(from), static_cast<int>(centre + support + 0.5));
    std::vector<double> shares;
    double sum = 0;
    for (int old = first; old < end; ++old) {
      const double distance = std::abs((old - centre + 0.5) * (1.0 / support));
      shares.push_back(distance < 1.0 ? 1.0 - distance : 0.0);
      sum += shares.back();
    }
    made[place].first = static_cast<std::size_t>(first);
    for (double share : shares) {
      if (sum != 0.0) share /= sum;
      made[place].weights.push_back(static_cast<int>(0.5 + share * (1 << kPrecision)));
    }
  }
  return made;
}

std::uint8_t rounded(int sum) {
  return static_cast<std::uint8_t>(std::clamp(sum >> kPrecision, 0, 255));
}

// One line of values, `step` bytes from each to the next, before and behind.
void resample(const std::vector<Window>& made, const std::uint8_t* old, std::uint8_t* fresh,
              std::size_t step) {
  for (const Window& window : made) {
    int sum = 1 << (kPrecision - 1);
    for (std::size_t i = 0; i < window.weights.size(); ++i) {
      sum += old[(window.first + i) * step] * window.weights[i];
    }
    *fresh = rounded(sum);
    fresh += step;
  }
}

}  // namespace

Picture load_picture(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  char magic[2] = {};
  file.read(magic, 2);
  if (!file) throw std::runtime_error(path + ": can't be read, or is empty");
  file.seekg(0);
  if (magic[0] == 'P' && magic[1] == '6') return load_ppm(path, file);
#ifdef WITH_JPEG
  if (magic[0] == '\xFF' && magic[1] == '\xD8') {
    try {
      return load_jpeg(path, file);
    } catch (const std::runtime_error& error) {
      const std::string what = error.what();
      throw std::runtime_error(what.rfind(path, 0) == 0 ? what : path + ": " + what);
    }
  }
  throw std::runtime_error(path + ": neither a JPEG nor a binary PPM file");
#else
  throw std::runtime_error(path + ": not a binary PPM file (built without libjpeg)");
#endif
}

namespace {

Picture across(const Picture& picture, std::size_t width) {
  if (picture.width == width) return picture;
  Picture wide = picture;
  wide.width = width;
  wide.pixels.resize(width * picture.height * picture.channels);
  const std::vector<Window> made = windows(picture.width, width);
  for (std::size_t row = 0; row < picture.height; ++row) {
    for (std::size_t channel = 0; channel < picture.channels; ++channel) {
      resample(made, picture.pixels.data() + row * picture.width * picture.channels + channel,
               wide.pixels.data() + row * width * picture.channels + channel, picture.channels);
    }
  }
  return wide;
}

Picture down(const Picture& picture, std::size_t height) {
  if (picture.height == height) return picture;
  Picture high = picture;
  high.height = height;
  const std::size_t row_bytes = picture.width * picture.channels;
  high.pixels.resize(row_bytes * height);
  const std::vector<Window> made = windows(picture.height, height);
  for (std::size_t column = 0; column < row_bytes; ++column) {
    resample(made, picture.pixels.data() + column, high.pixels.data() + column, row_bytes);
  }
  return high;
}

}  // namespace

Picture resized(const Picture& picture, std::size_t width, std::size_t height) {
  // Values are rounded to bytes between the directions, so their order matters: this is how
  // Pillow 13 chooses it, found by trying 1500 sizes.
  const auto lost = [](std::size_t from, std::size_t to) {
    return static_cast<long>(from) - static_cast<long>(to);
  };
  const bool is_down_first = height < picture.height &&
                             lost(picture.height, height) > 2 * lost(picture.width, width);
  return is_down_first ? across(down(picture, height), width)
                       : down(across(picture, width), height);
}

Picture grey(const Picture& picture) {
  Picture single;
  single.width = picture.width;
  single.height = picture.height;
  single.channels = 1;
  for (std::size_t pixel = 0; pixel < picture.width * picture.height; ++pixel) {
    const std::uint8_t* rgb = picture.pixels.data() + 3 * pixel;
    const unsigned sum = rgb[0] * 19595U + rgb[1] * 38470U + rgb[2] * 7471U + 0x8000U;
    single.pixels.push_back(static_cast<std::uint8_t>(sum >> 16));
  }
  return single;
}

Picture cut_out(const Picture& picture, std::size_t left, std::size_t top, std::size_t right,
                std::size_t bottom) {
  Picture part;
  part.width = right - left;
  part.height = bottom - top;
  part.channels = picture.channels;
  for (std::size_t row = top; row < bottom; ++row) {
    const auto start = picture.pixels.begin() +
                       static_cast<std::ptrdiff_t>((row * picture.width + left) * part.channels);
    part.pixels.insert(part.pixels.end(), start,
                       start + static_cast<std::ptrdiff_t>(part.width * part.channels));
  }
  return part;
}
