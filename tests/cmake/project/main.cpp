// Writes the embedded files into the folder that it is given, and prints what the header says.
#include "plates.h"

#include <cstdint>
#include <fstream>
#include <iostream>
#include <string>

int main(int, char** arguments) {
  const char* names[] = PLATES_FILE_NAMES;
  for (const char* name : names) {
    const plates_file file = plates_get(name);
    std::ofstream out(std::string(arguments[1]) + "/" + file.name, std::ios::binary);
    out.write(reinterpret_cast<const char*>(file.data), static_cast<std::streamsize>(file.size));
    std::cout << name << ' ' << file.size << ' '
              << reinterpret_cast<std::uintptr_t>(file.data) % 64 << '\n';
  }
  std::cout << PLATES_FIRST_FILE << ' ' << PLATES_FILE_COUNT << ' ' << PLATES_MODEL_XML_SIZE << ' '
            << (plates_get("model.xml").data == plates_model_xml) << ' '
            << (plates_get("nothing").data == nullptr) << '\n'
            << PLATES_MANIFEST_SHA256 << '\n';
}
