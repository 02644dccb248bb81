// Calls nvinfer's parsers from Python: plain C around their C++ signatures.
#include <nvdsinfer_custom_impl.h>

#include <dlfcn.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

namespace {

std::vector<NvDsInferLayerInfo> layers_of(int count, const char* const* names, const int* types,
                                          const int* dims, const int* sizes, void* const* buffers) {
  std::vector<NvDsInferLayerInfo> layers(static_cast<std::size_t>(count));
  for (int i = 0; i < count; ++i) {
    NvDsInferLayerInfo& layer = layers[static_cast<std::size_t>(i)];
    layer.dataType = static_cast<NvDsInferDataType>(types[i]);
    layer.inferDims.numDims = static_cast<unsigned int>(dims[i]);
    layer.inferDims.numElements = 1;
    for (int axis = 0; axis < dims[i]; ++axis) {
      layer.inferDims.d[axis] = static_cast<unsigned int>(*sizes++);
      layer.inferDims.numElements *= layer.inferDims.d[axis];
    }
    layer.layerName = names[i];
    layer.buffer = buffers[i];
  }
  return layers;
}

void* function_in(const char* library, const char* name) {
  void* handle = dlopen(library, RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) std::fprintf(stderr, "%s\n", dlerror());
  return handle == nullptr ? nullptr : dlsym(handle, name);
}

}  // namespace

// The number of objects, six numbers each in `found`; -1 if the parser fails, -2 without one.
extern "C" int parse_boxes(const char* library, const char* name, int count,
                           const char* const* names, const int* types, const int* dims,
                           const int* sizes, void* const* buffers, int width, int height,
                           int classes, const float* thresholds, float* found, int room) {
  const auto parse = reinterpret_cast<NvDsInferParseCustomFunc>(function_in(library, name));
  if (parse == nullptr) return -2;
  NvDsInferParseDetectionParams params;
  params.numClassesConfigured = static_cast<unsigned int>(classes);
  params.perClassPreclusterThreshold.assign(thresholds, thresholds + classes);
  const NvDsInferNetworkInfo network{static_cast<unsigned int>(width),
                                     static_cast<unsigned int>(height), 3};
  std::vector<NvDsInferObjectDetectionInfo> objects;
  if (!parse(layers_of(count, names, types, dims, sizes, buffers), network, params, objects)) {
    return -1;
  }
  for (std::size_t i = 0; i < objects.size() && static_cast<int>(i) < room; ++i) {
    const NvDsInferObjectDetectionInfo& object = objects[i];
    const float row[] = {object.left,   object.top,
                         object.width,  object.height,
                         object.detectionConfidence, static_cast<float>(object.classId)};
    std::memcpy(found + 6 * i, row, sizeof(row));
  }
  return static_cast<int>(objects.size());
}

// The number of attributes; the first one's label and confidence; -1 and -2 as of parse_boxes.
extern "C" int parse_text(const char* library, const char* name, int count,
                          const char* const* names, const int* types, const int* dims,
                          const int* sizes, void* const* buffers, int width, int height,
                          float threshold, char* text, int room, float* confidence) {
  const auto parse = reinterpret_cast<NvDsInferClassiferParseCustomFunc>(function_in(library, name));
  if (parse == nullptr) return -2;
  const NvDsInferNetworkInfo network{static_cast<unsigned int>(width),
                                     static_cast<unsigned int>(height), 3};
  std::vector<NvDsInferAttribute> attributes;
  std::string description;
  if (!parse(layers_of(count, names, types, dims, sizes, buffers), network, threshold, attributes,
             description)) {
    return -1;
  }
  text[0] = '\0';
  if (!attributes.empty()) {
    if (description != attributes[0].attributeLabel) return -3;
    std::snprintf(text, static_cast<std::size_t>(room), "%s", attributes[0].attributeLabel);
    *confidence = attributes[0].attributeConfidence;
  }
  for (NvDsInferAttribute& attribute : attributes) std::free(attribute.attributeLabel);
  return static_cast<int>(attributes.size());
}
