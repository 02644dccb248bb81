// An image of a plate, from a binary PPM file, as the network's input.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

// One plate as the network reads it: float32 [3, height, width], BGR, (value - 127.5) / 128.
//
// Throws std::runtime_error for a file that can't be read, is no binary PPM (P6) with 8 bits a
// channel, or has another size.
std::vector<float> load_plate(const std::string& path, std::size_t width, std::size_t height);
