/* What the application reads of DeepStream's metadata, after the pages "nvdsmeta.h" and
 * "gstnvdsmeta.h File Reference" of the DeepStream SDK API Reference, 7.1. For tests alone. */
#ifndef LPRC_TEST_GSTNVDSMETA_H
#define LPRC_TEST_GSTNVDSMETA_H

#include <gst/gst.h>

#define MAX_LABEL_SIZE 128

#ifdef __cplusplus
extern "C" {
#endif

typedef GList NvDsMetaList;
typedef GList NvDsFrameMetaList;
typedef GList NvDsObjectMetaList;
typedef GList NvDsClassifierMetaList;
typedef GList NvDsLabelInfoList;

typedef struct {
  float left, top, width, height;
} NvOSD_RectParams;

typedef struct {
  guint num_classes;
  gchar result_label[MAX_LABEL_SIZE];
  gchar *pResult_label;
  guint result_class_id;
  guint label_id;
  gfloat result_prob;
} NvDsLabelInfo;

typedef struct {
  guint num_labels;
  gint unique_component_id;
  NvDsLabelInfoList *label_info_list;
  const gchar *classifier_type;
} NvDsClassifierMeta;

typedef struct {
  gint unique_component_id;
  gint class_id;
  guint64 object_id;
  gfloat confidence;
  NvOSD_RectParams rect_params;
  gchar obj_label[MAX_LABEL_SIZE];
  NvDsClassifierMetaList *classifier_meta_list;
} NvDsObjectMeta;

typedef struct {
  guint pad_index;
  gint frame_num;
  guint64 buf_pts;
  NvDsObjectMetaList *obj_meta_list;
} NvDsFrameMeta;

typedef struct {
  guint num_frames_in_batch;
  NvDsFrameMetaList *frame_meta_list;
} NvDsBatchMeta;

NvDsBatchMeta *gst_buffer_get_nvds_batch_meta(GstBuffer *buffer);

#ifdef __cplusplus
}
#endif

#endif
