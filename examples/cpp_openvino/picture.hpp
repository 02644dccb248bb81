// Pictures of bytes: read from files, and resized as Pillow 13 does it, to the last bit.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

struct Picture {
  std::size_t width = 0, height = 0, channels = 3;
  std::vector<std::uint8_t> pixels;  // rows of pixels, red first
};

// A binary PPM (P6) with 8 bits a channel, or, where the program was built with libjpeg, a JPEG.
//
// Throws std::runtime_error for a file that can't be read, is something else, or has more than
// 100 million pixels.
Picture load_picture(const std::string& path);

// Bilinear over all pixels that a new one covers (Pillow's Resampling.BILINEAR, in its fixed-point
// arithmetic).
Picture resized(const Picture& picture, std::size_t width, std::size_t height);

// Luma by ITU-R 601-2, in Pillow's arithmetic.
Picture grey(const Picture& picture);

// The part from `left`, `top` to just before `right`, `bottom`, all inside of the picture.
Picture cut_out(const Picture& picture, std::size_t left, std::size_t top, std::size_t right,
                std::size_t bottom);
