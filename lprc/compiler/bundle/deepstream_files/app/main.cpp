// Videos or cameras in, what is read in them out: as JSON Lines, and drawn.
//
//   build/lprc_app [--headless] [--sink ELEMENT] [--folder BUNDLE] SOURCE...
#include "json_lines.hpp"
#include "pipeline.hpp"

#include <gst/gst.h>
#include <gstnvdsmeta.h>

#include <cstdio>
#include <cstring>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

struct Options {
  bool headless = false;
  std::string sink = "autovideosink";
  std::string folder = ".";
  std::vector<std::string> sources;
};

Options read_options(int count, char** arguments) {
  Options options;
  for (int i = 1; i < count; ++i) {
    const std::string argument = arguments[i];
    const bool has_next = i + 1 < count;
    if (argument == "--headless") {
      options.headless = true;
    } else if (argument == "--sink" && has_next) {
      options.sink = arguments[++i];
    } else if (argument == "--folder" && has_next) {
      options.folder = arguments[++i];
    } else if (argument.rfind("--", 0) == 0) {
      throw std::runtime_error(argument + ": no such option, or it lacks its value");
    } else {
      options.sources.push_back(argument);
    }
  }
  if (options.sources.empty()) throw std::runtime_error("no source: name a file or an rtsp:// URL");
  if (options.sources.size() > lprc::kStreams) {
    throw std::runtime_error("the engines were built for " + std::to_string(lprc::kStreams) +
                             " streams: `lprc bundle --streams` makes them for more");
  }
  return options;
}

std::string uri_of(const std::string& source) {
  if (source.find("://") != std::string::npos) return source;
  GError* error = nullptr;
  gchar* path = g_canonicalize_filename(source.c_str(), nullptr);
  gchar* uri = gst_filename_to_uri(path, &error);
  g_free(path);
  if (uri == nullptr) {
    const std::string reason = error ? error->message : "no file";
    g_clear_error(&error);
    throw std::runtime_error(source + ": " + reason);
  }
  const std::string text = uri;
  g_free(uri);
  return text;
}

GstElement* add(GstBin* bin, const std::string& factory, const std::string& name) {
  GstElement* element = gst_element_factory_make(factory.c_str(), name.c_str());
  if (element == nullptr) throw std::runtime_error("GStreamer has no element '" + factory + "'");
  gst_bin_add(bin, element);
  return element;
}

void link(GstElement* from, GstElement* to) {
  if (!gst_element_link(from, to)) {
    throw std::runtime_error(std::string(GST_ELEMENT_NAME(from)) + " can't feed " +
                             GST_ELEMENT_NAME(to));
  }
}

// A decoder's pads appear once it knows the file: its video goes to the pad of the muxer in `data`.
void on_pad(GstElement* /*decoder*/, GstPad* pad, gpointer data) {
  GstCaps* caps = gst_pad_get_current_caps(pad);
  if (caps == nullptr) caps = gst_pad_query_caps(pad, nullptr);
  const char* kind = gst_structure_get_name(gst_caps_get_structure(caps, 0));
  auto* input = static_cast<GstPad*>(data);
  if (std::strncmp(kind, "video", 5) == 0 && !gst_pad_is_linked(input) &&
      gst_pad_link(pad, input) != GST_PAD_LINK_OK) {
    std::fprintf(stderr, "lprc: a decoder's video can't be linked to nvstreammux\n");
  }
  gst_caps_unref(caps);
}

void add_source(GstBin* bin, GstElement* muxer, const std::string& source, std::size_t index) {
  GstElement* decoder = add(bin, "uridecodebin", "source" + std::to_string(index));
  g_object_set(decoder, "uri", uri_of(source).c_str(), nullptr);
  const std::string name = "sink_" + std::to_string(index);
  GstPad* input = gst_element_request_pad_simple(muxer, name.c_str());
  if (input == nullptr) throw std::runtime_error("nvstreammux has no pad " + name);
  g_signal_connect(decoder, "pad-added", G_CALLBACK(on_pad), input);
}

GstPadProbeReturn on_buffer(GstPad* /*pad*/, GstPadProbeInfo* info, gpointer /*data*/) {
  NvDsBatchMeta* batch = gst_buffer_get_nvds_batch_meta(GST_PAD_PROBE_INFO_BUFFER(info));
  if (batch == nullptr) return GST_PAD_PROBE_OK;
  for (NvDsMetaList* item = batch->frame_meta_list; item != nullptr; item = item->next) {
    const auto* frame = static_cast<const NvDsFrameMeta*>(item->data);
    std::puts(lprc::json_frame(*frame).c_str());
  }
  std::fflush(stdout);
  return GST_PAD_PROBE_OK;
}

GstElement* add_muxer(GstBin* bin, const Options& options) {
  GstElement* muxer = add(bin, "nvstreammux", "muxer");
  const bool is_live = options.sources[0].rfind("rtsp://", 0) == 0;
  g_object_set(muxer, "batch-size", static_cast<guint>(options.sources.size()), "width",
               lprc::kWidth, "height", lprc::kHeight, "live-source", is_live,
               "batched-push-timeout", 40000, nullptr);
  for (std::size_t i = 0; i < options.sources.size(); ++i) {
    add_source(bin, muxer, options.sources[i], i);
  }
  return muxer;
}

GstElement* add_engines(GstBin* bin, GstElement* last, const std::string& folder) {
  for (const lprc::Engine& engine : lprc::kEngines) {
    GstElement* infer = add(bin, "nvinfer", engine.name);
    g_object_set(infer, "config-file-path", (folder + "/" + engine.config).c_str(), nullptr);
    link(last, infer);
    last = infer;
  }
  GstPad* pad = gst_element_get_static_pad(last, "src");
  gst_pad_add_probe(pad, GST_PAD_PROBE_TYPE_BUFFER, on_buffer, nullptr, nullptr);
  gst_object_unref(pad);
  return last;
}

void add_output(GstBin* bin, GstElement* last, const Options& options) {
  if (options.headless) {
    GstElement* nowhere = add(bin, "fakesink", "nowhere");
    g_object_set(nowhere, "sync", FALSE, nullptr);
    link(last, nowhere);
    return;
  }
  const char* chain[] = {"nvmultistreamtiler", "nvvideoconvert", "nvdsosd", "nvvideoconvert"};
  int number = 0;
  for (const char* factory : chain) {
    GstElement* element = add(bin, factory, std::string(factory) + std::to_string(number++));
    link(last, element);
    last = element;
  }
  link(last, add(bin, options.sink, "sink"));
}

// Runs until all sources end; throws what an element says that fails.
void run(GstElement* pipeline) {
  gst_element_set_state(pipeline, GST_STATE_PLAYING);
  GstBus* bus = gst_element_get_bus(pipeline);
  const auto wanted = static_cast<GstMessageType>(GST_MESSAGE_EOS | GST_MESSAGE_ERROR);
  GstMessage* message = gst_bus_timed_pop_filtered(bus, GST_CLOCK_TIME_NONE, wanted);
  std::string failure;
  if (GST_MESSAGE_TYPE(message) == GST_MESSAGE_ERROR) {
    GError* error = nullptr;
    gst_message_parse_error(message, &error, nullptr);
    failure = std::string(GST_OBJECT_NAME(message->src)) + ": " + error->message;
    g_clear_error(&error);
  }
  gst_message_unref(message);
  gst_object_unref(bus);
  gst_element_set_state(pipeline, GST_STATE_NULL);
  if (!failure.empty()) throw std::runtime_error(failure);
}

}  // namespace

int main(int count, char** arguments) {
  gst_init(&count, &arguments);
  GstElement* pipeline = gst_pipeline_new("lprc");
  int code = 0;
  try {
    const Options options = read_options(count, arguments);
    GstBin* bin = GST_BIN(pipeline);
    GstElement* last = add_engines(bin, add_muxer(bin, options), options.folder);
    add_output(bin, last, options);
    run(pipeline);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    code = 1;
  }
  gst_object_unref(pipeline);
  return code;
}
