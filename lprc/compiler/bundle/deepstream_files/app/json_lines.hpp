// One line of JSON a frame: what was found in it and what was read.
#pragma once

#include "pipeline.hpp"

#include <gstnvdsmeta.h>

#include <cstdio>
#include <string>

namespace lprc {

inline std::string json_text(const char* text) {
  std::string quoted = "\"";
  for (const char* sign = text; *sign != '\0'; ++sign) {
    const auto code = static_cast<unsigned char>(*sign);
    char escape[8];
    if (code < 0x20) {
      std::snprintf(escape, sizeof(escape), "\\u%04x", code);
      quoted += escape;
    } else {
      if (*sign == '"' || *sign == '\\') quoted += '\\';
      quoted += *sign;
    }
  }
  return quoted + '"';
}

inline const Engine* engine_of(int number) {
  for (const Engine& engine : kEngines) {
    if (static_cast<int>(engine.number) == number) return &engine;
  }
  return nullptr;
}

// [left, top, right, bottom] in pixels of the frame, without the margin that the parser added.
inline std::string json_box(const NvDsObjectMeta& object) {
  const NvOSD_RectParams& rect = object.rect_params;
  const Engine* engine = engine_of(object.unique_component_id);
  const double x = engine ? engine->margin_x : 0, y = engine ? engine->margin_y : 0;
  const double across = rect.width * x / (1 + 2 * x), down = rect.height * y / (1 + 2 * y);
  char text[128];
  std::snprintf(text, sizeof(text), "[%.2f, %.2f, %.2f, %.2f]", rect.left + across, rect.top + down,
                rect.left + rect.width - across, rect.top + rect.height - down);
  return text;
}

// What the engines behind the detector read in an object: {"reader": {"text": …}}.
inline std::string json_readings(const NvDsObjectMeta& object) {
  std::string readings;
  for (NvDsMetaList* item = object.classifier_meta_list; item != nullptr; item = item->next) {
    const auto* classifier = static_cast<const NvDsClassifierMeta*>(item->data);
    const Engine* engine = engine_of(classifier->unique_component_id);
    if (engine == nullptr || classifier->label_info_list == nullptr) continue;
    const auto* label = static_cast<const NvDsLabelInfo*>(classifier->label_info_list->data);
    const char* text = label->pResult_label ? label->pResult_label : label->result_label;
    char confidence[32];
    std::snprintf(confidence, sizeof(confidence), "%.4f", label->result_prob);
    readings += (readings.empty() ? "" : ", ") + json_text(engine->name) + ": {\"text\": " +
                json_text(text) + ", \"confidence\": " + confidence + "}";
  }
  return "{" + readings + "}";
}

inline std::string json_frame(const NvDsFrameMeta& frame) {
  std::string objects;
  for (NvDsMetaList* item = frame.obj_meta_list; item != nullptr; item = item->next) {
    const auto& object = *static_cast<const NvDsObjectMeta*>(item->data);
    char score[32];
    std::snprintf(score, sizeof(score), "%.4f", object.confidence);
    objects += (objects.empty() ? "" : ", ") + std::string("{\"class\": ") +
               json_text(object.obj_label) + ", \"score\": " + score +
               ", \"box\": " + json_box(object) + ", \"read\": " + json_readings(object) + "}";
  }
  return "{\"stream\": " + std::to_string(frame.pad_index) +
         ", \"frame\": " + std::to_string(frame.frame_num) +
         ", \"time\": " + std::to_string(static_cast<double>(frame.buf_pts) / 1e9) +
         ", \"objects\": [" + objects + "]}";
}

}  // namespace lprc
