/* A GStreamer plug-in with elements of the names of DeepStream's, and what reads their metadata.
 *
 * nvstreammux passes on the buffers of its pads sink_0, sink_1 …; nvinfer passes on what comes, once
 * it has found its configuration; nvvideoconvert and nvdsosd pass on everything. What is found in each frame is the same two objects. */
#include <gstnvdsmeta.h>

#include <gst/base/gstbasetransform.h>
#include <stdio.h>
#include <string.h>

/* ---- metadata */

static NvDsLabelInfo label;
static NvDsClassifierMeta classifier;
static NvDsObjectMeta plate, lone;
static NvDsFrameMeta frame;
static NvDsBatchMeta batch;

__attribute__((visibility("default"))) NvDsBatchMeta *gst_buffer_get_nvds_batch_meta(
    GstBuffer *buffer) {
  if (batch.num_frames_in_batch == 0) {
    strcpy(label.result_label, "京A\"1\\2");
    label.result_prob = 0.875F;
    classifier.unique_component_id = 2;
    classifier.label_info_list = g_list_append(NULL, &label);
    strcpy(plate.obj_label, "plate");
    plate.unique_component_id = lone.unique_component_id = 1;
    plate.confidence = 0.5F;
    /* 100 x 50 at 10, 20, with margins of 0.06 and 0.12. */
    plate.rect_params = (NvOSD_RectParams){4, 14, 112, 62};
    plate.classifier_meta_list = g_list_append(NULL, &classifier);
    strcpy(lone.obj_label, "pla\tte");
    frame.obj_meta_list = g_list_append(g_list_append(NULL, &plate), &lone);
    batch.frame_meta_list = g_list_append(NULL, &frame);
    batch.num_frames_in_batch = 1;
  } else {
    frame.frame_num += 1;
  }
  frame.buf_pts = GST_BUFFER_PTS(buffer);
  return &batch;
}

/* ---- nvinfer */

typedef struct {
  GstBaseTransform parent;
  gchar *config;
} Infer;
typedef GstBaseTransformClass InferClass;
GType infer_get_type(void);
G_DEFINE_TYPE(Infer, infer, GST_TYPE_BASE_TRANSFORM)

static void infer_set(GObject *object, guint id, const GValue *value, GParamSpec *spec) {
  (void)id;
  (void)spec;
  ((Infer *)object)->config = g_value_dup_string(value);
}

static gboolean infer_start(GstBaseTransform *transform) {
  const gchar *config = ((Infer *)transform)->config;
  if (config != NULL && g_file_test(config, G_FILE_TEST_IS_REGULAR)) return TRUE;
  GST_ELEMENT_ERROR(transform, RESOURCE, NOT_FOUND, ("no configuration %s", config), (NULL));
  return FALSE;
}

static GstStaticPadTemplate any_sink =
    GST_STATIC_PAD_TEMPLATE("sink", GST_PAD_SINK, GST_PAD_ALWAYS, GST_STATIC_CAPS_ANY);
static GstStaticPadTemplate any_src =
    GST_STATIC_PAD_TEMPLATE("src", GST_PAD_SRC, GST_PAD_ALWAYS, GST_STATIC_CAPS_ANY);

static void infer_class_init(InferClass *class) {
  GstElementClass *element = GST_ELEMENT_CLASS(class);
  G_OBJECT_CLASS(class)->set_property = infer_set;
  g_object_class_install_property(
      G_OBJECT_CLASS(class), 1,
      g_param_spec_string("config-file-path", "", "", NULL, G_PARAM_WRITABLE));
  gst_element_class_add_static_pad_template(element, &any_sink);
  gst_element_class_add_static_pad_template(element, &any_src);
  gst_element_class_set_static_metadata(element, "nvinfer", "Filter", "stand-in", "tests");
  class->start = infer_start;
}

static void infer_init(Infer *self) {
  gst_base_transform_set_passthrough(GST_BASE_TRANSFORM(self), TRUE);
}

/* ---- nvvideoconvert, and nvdsosd, which draws nothing */

typedef GstBaseTransform Convert;
typedef GstBaseTransformClass ConvertClass;
GType convert_get_type(void);
G_DEFINE_TYPE(Convert, convert, GST_TYPE_BASE_TRANSFORM)

static GstCaps *convert_caps(GstBaseTransform *transform, GstPadDirection direction, GstCaps *caps,
                             GstCaps *filter) {
  (void)transform;
  (void)direction;
  (void)caps;
  GstCaps *all = gst_caps_from_string("video/x-raw(memory:NVMM); video/x-raw");
  if (filter == NULL) return all;
  GstCaps *allowed = gst_caps_intersect_full(filter, all, GST_CAPS_INTERSECT_FIRST);
  gst_caps_unref(all);
  return allowed;
}

static GstFlowReturn convert_buffer(GstBaseTransform *transform, GstBuffer *buffer) {
  (void)transform;
  (void)buffer;
  return GST_FLOW_OK;
}

static void convert_class_init(ConvertClass *class) {
  GstElementClass *element = GST_ELEMENT_CLASS(class);
  gst_element_class_add_static_pad_template(element, &any_sink);
  gst_element_class_add_static_pad_template(element, &any_src);
  gst_element_class_set_static_metadata(element, "nvvideoconvert", "Filter", "stand-in", "tests");
  class->transform_caps = convert_caps;
  class->transform_ip = convert_buffer;
}

static void convert_init(Convert *self) { gst_base_transform_set_in_place(self, TRUE); }

/* ---- nvstreammux */

typedef struct {
  GstElement parent;
  GstPad *src;
  gint pads, ended;
  GMutex lock;
} Muxer;
typedef GstElementClass MuxerClass;
GType muxer_get_type(void);
G_DEFINE_TYPE(Muxer, muxer, GST_TYPE_ELEMENT)

static GstStaticPadTemplate asked_sink =
    GST_STATIC_PAD_TEMPLATE("sink_%u", GST_PAD_SINK, GST_PAD_REQUEST, GST_STATIC_CAPS_ANY);

static GstFlowReturn muxer_chain(GstPad *pad, GstObject *parent, GstBuffer *buffer) {
  Muxer *self = (Muxer *)parent;
  (void)pad;
  g_mutex_lock(&self->lock);
  GstFlowReturn flow = gst_pad_push(self->src, buffer);
  g_mutex_unlock(&self->lock);
  return flow;
}

static gboolean muxer_event(GstPad *pad, GstObject *parent, GstEvent *event) {
  Muxer *self = (Muxer *)parent;
  gboolean passes = strcmp(GST_PAD_NAME(pad), "sink_0") == 0;
  if (GST_EVENT_TYPE(event) == GST_EVENT_EOS) {
    passes = g_atomic_int_add(&self->ended, 1) + 1 == self->pads;
  }
  if (passes) return gst_pad_push_event(self->src, event);
  gst_event_unref(event);
  return TRUE;
}

static GstPad *muxer_pad(GstElement *element, GstPadTemplate *template, const gchar *name,
                         const GstCaps *caps) {
  (void)caps;
  GstPad *pad = gst_pad_new_from_template(template, name);
  gst_pad_set_chain_function(pad, muxer_chain);
  gst_pad_set_event_function(pad, muxer_event);
  gst_element_add_pad(element, pad);
  ((Muxer *)element)->pads += 1;
  return pad;
}

static void muxer_set(GObject *object, guint id, const GValue *value, GParamSpec *spec) {
  (void)object;
  (void)id;
  gchar *text = g_strdup_value_contents(value);
  fprintf(stderr, "nvstreammux %s=%s\n", spec->name, text);
  g_free(text);
}

static void muxer_class_init(MuxerClass *class) {
  GObjectClass *object = G_OBJECT_CLASS(class);
  object->set_property = muxer_set;
  const gchar *numbers[] = {"batch-size", "width", "height"};
  for (guint i = 0; i < 3; ++i) {
    g_object_class_install_property(
        object, i + 1, g_param_spec_uint(numbers[i], "", "", 0, 65535, 0, G_PARAM_WRITABLE));
  }
  g_object_class_install_property(
      object, 4, g_param_spec_boolean("live-source", "", "", FALSE, G_PARAM_WRITABLE));
  g_object_class_install_property(object, 5,
                                  g_param_spec_int("batched-push-timeout", "", "", -1, G_MAXINT, -1,
                                                   G_PARAM_WRITABLE));
  class->request_new_pad = muxer_pad;
  gst_element_class_add_static_pad_template(class, &asked_sink);
  gst_element_class_add_static_pad_template(class, &any_src);
  gst_element_class_set_static_metadata(class, "nvstreammux", "Muxer", "stand-in", "tests");
}

static void muxer_init(Muxer *self) {
  self->src = gst_pad_new_from_static_template(&any_src, "src");
  gst_element_add_pad(GST_ELEMENT(self), self->src);
  g_mutex_init(&self->lock);
}

static gboolean plugin_init(GstPlugin *plugin) {
  return gst_element_register(plugin, "nvinfer", GST_RANK_NONE, infer_get_type()) &&
         gst_element_register(plugin, "nvvideoconvert", GST_RANK_NONE, convert_get_type()) &&
         gst_element_register(plugin, "nvdsosd", GST_RANK_NONE, convert_get_type()) &&
         gst_element_register(plugin, "nvstreammux", GST_RANK_NONE, muxer_get_type());
}

#define PACKAGE "lprc-tests"
GST_PLUGIN_DEFINE(GST_VERSION_MAJOR, GST_VERSION_MINOR, nvdsstandin, "stand-in", plugin_init, "1.0",
                  "LGPL", "lprc", "https://example.invalid/")
