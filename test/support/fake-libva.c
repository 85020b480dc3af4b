/*
 * Stands for libva and a GPU: what FFmpeg's h264_vaapi calls of them, no more. Each surface is written as it is, a macroblock
 * as I_PCM after the other (H.264, 7.3.5), behind the headers that FFmpeg has packed, so that what is decoded is what was uploaded.
 * Built as libva.so.2 and as libva-drm.so.2. Says on standard error, at its end, what was not given back.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <va/va.h>
#include <va/va_enc_h264.h>

#define SURFACES 64
#define BUFFERS 4096
#define IMAGES 64
#define LARGEST 4096
#define HEADER_BYTES 4096
#define ALIGNED(n, to) (((n) + (to)-1) / (to) * (to))

static struct surface {
  int width, height, pitch, rows;
  unsigned char *data;
} surfaces[SURFACES];
static struct buffer {
  VABufferType type;
  unsigned size;
  int owned;
  void *data;
} buffers[BUFFERS];
static VABufferID images[IMAGES];
static int display;

/* Numbers count from 1. */
static unsigned free_buffer(void) {
  unsigned id = 1;
  while (id < BUFFERS - 1 && buffers[id].data != NULL) id++;
  return id;
}

VADisplay vaGetDisplayDRM(int fd) { return &display; }
int vaDisplayIsValid(VADisplay d) { return 1; }
const char *vaErrorStr(VAStatus status) { return "refused"; }
const char *vaQueryVendorString(VADisplay d) { return "stand-in"; }
const char *vaProfileStr(VAProfile profile) { return "profile"; }
const char *vaEntrypointStr(VAEntrypoint entrypoint) { return "entrypoint"; }
VAMessageCallback vaSetErrorCallback(VADisplay d, VAMessageCallback callback, void *user) { return NULL; }
VAMessageCallback vaSetInfoCallback(VADisplay d, VAMessageCallback callback, void *user) { return NULL; }

VAStatus vaInitialize(VADisplay d, int *major, int *minor) {
  *major = 1;
  *minor = 17;
  return VA_STATUS_SUCCESS;
}

VAStatus vaTerminate(VADisplay d) {
  int kept = 0;
  for (int i = 0; i < SURFACES; i++) kept += surfaces[i].data != NULL;
  for (int i = 0; i < BUFFERS; i++) kept += buffers[i].data != NULL;
  fprintf(stderr, "libva: %d kept\n", kept);
  return VA_STATUS_SUCCESS;
}

int vaMaxNumProfiles(VADisplay d) { return 1; }
int vaMaxNumEntrypoints(VADisplay d) { return 1; }
int vaMaxNumImageFormats(VADisplay d) { return 1; }

VAStatus vaQueryConfigProfiles(VADisplay d, VAProfile *profiles, int *count) {
  profiles[0] = VAProfileH264ConstrainedBaseline;
  *count = 1;
  return VA_STATUS_SUCCESS;
}

VAStatus vaQueryConfigEntrypoints(VADisplay d, VAProfile profile, VAEntrypoint *entrypoints, int *count) {
  entrypoints[0] = VAEntrypointEncSlice;
  *count = 1;
  return VA_STATUS_SUCCESS;
}

VAStatus vaGetConfigAttributes(VADisplay d, VAProfile profile, VAEntrypoint entrypoint, VAConfigAttrib *attributes, int count) {
  for (int i = 0; i < count; i++) {
    unsigned *value = &attributes[i].value;
    switch (attributes[i].type) {
      case VAConfigAttribRTFormat: *value = VA_RT_FORMAT_YUV420; break;
      case VAConfigAttribRateControl: *value = VA_RC_CQP; break;
      case VAConfigAttribEncMaxRefFrames: *value = 1; break;
      case VAConfigAttribEncPackedHeaders: *value = VA_ENC_PACKED_HEADER_SEQUENCE | VA_ENC_PACKED_HEADER_SLICE; break;
      default: *value = VA_ATTRIB_NOT_SUPPORTED;
    }
  }
  return VA_STATUS_SUCCESS;
}

VAStatus vaCreateConfig(VADisplay d, VAProfile p, VAEntrypoint e, VAConfigAttrib *attributes, int count, VAConfigID *id) {
  *id = 1;
  return VA_STATUS_SUCCESS;
}
VAStatus vaDestroyConfig(VADisplay d, VAConfigID id) { return VA_STATUS_SUCCESS; }

VAStatus vaQuerySurfaceAttributes(VADisplay d, VAConfigID config, VASurfaceAttrib *attributes, unsigned *count) {
  static const struct {
    VASurfaceAttribType type;
    int value;
  } said[] = {{VASurfaceAttribPixelFormat, VA_FOURCC_NV12}, {VASurfaceAttribMaxWidth, LARGEST}, {VASurfaceAttribMaxHeight, LARGEST}};
  *count = sizeof said / sizeof *said;
  for (unsigned i = 0; attributes != NULL && i < *count; i++) {
    attributes[i] = (VASurfaceAttrib){said[i].type, VA_SURFACE_ATTRIB_SETTABLE, {VAGenericValueTypeInteger, {.i = said[i].value}}};
  }
  return VA_STATUS_SUCCESS;
}

VAStatus vaCreateSurfaces(VADisplay d, unsigned format, unsigned width, unsigned height, VASurfaceID *ids, unsigned count,
                          VASurfaceAttrib *attributes, unsigned attribute_count) {
  for (unsigned i = 0; i < count; i++) {
    unsigned id = 1;
    while (id < SURFACES && surfaces[id].data != NULL) id++;
    if (id == SURFACES) return VA_STATUS_ERROR_ALLOCATION_FAILED;
    struct surface *made = &surfaces[id];
    *made = (struct surface){width, height, ALIGNED(width, 64), ALIGNED(height, 16), NULL};
    made->data = calloc(made->pitch * made->rows, 2);
    ids[i] = id;
  }
  return VA_STATUS_SUCCESS;
}

VAStatus vaDestroySurfaces(VADisplay d, VASurfaceID *ids, int count) {
  for (int i = 0; i < count; i++) {
    free(surfaces[ids[i]].data);
    surfaces[ids[i]].data = NULL;
  }
  return VA_STATUS_SUCCESS;
}

VAStatus vaCreateContext(VADisplay d, VAConfigID config, int width, int height, int flag, VASurfaceID *ids, int count, VAContextID *id) {
  *id = 1;
  return width > LARGEST || height > LARGEST ? VA_STATUS_ERROR_RESOLUTION_NOT_SUPPORTED : VA_STATUS_SUCCESS;
}
VAStatus vaDestroyContext(VADisplay d, VAContextID id) { return VA_STATUS_SUCCESS; }

VAStatus vaCreateBuffer(VADisplay d, VAContextID context, VABufferType type, unsigned size, unsigned count, void *data, VABufferID *id) {
  *id = free_buffer();
  /* I_PCM is larger than FFmpeg's bound. */
  size_t room = type == VAEncCodedBufferType ? sizeof(VACodedBufferSegment) + 4 * (size_t)size * count : (size_t)size * count;
  buffers[*id] = (struct buffer){type, size, 1, calloc(room + 1, 1)};
  if (data != NULL) memcpy(buffers[*id].data, data, (size_t)size * count);
  return VA_STATUS_SUCCESS;
}

VAStatus vaDestroyBuffer(VADisplay d, VABufferID id) {
  if (buffers[id].owned) free(buffers[id].data);
  buffers[id].data = NULL;
  return VA_STATUS_SUCCESS;
}

VAStatus vaMapBuffer(VADisplay d, VABufferID id, void **data) {
  *data = buffers[id].data;
  return VA_STATUS_SUCCESS;
}
VAStatus vaUnmapBuffer(VADisplay d, VABufferID id) { return VA_STATUS_SUCCESS; }

VAStatus vaQueryImageFormats(VADisplay d, VAImageFormat *formats, int *count) {
  formats[0] = (VAImageFormat){.fourcc = VA_FOURCC_NV12, .byte_order = VA_LSB_FIRST, .bits_per_pixel = 12};
  *count = 1;
  return VA_STATUS_SUCCESS;
}

/* Images are surfaces' memory; there are no others. */
VAStatus vaDeriveImage(VADisplay d, VASurfaceID id, VAImage *image) {
  struct surface *of = &surfaces[id];
  unsigned number = 1;
  while (number < IMAGES - 1 && images[number] != 0) number++;
  images[number] = free_buffer();
  buffers[images[number]] = (struct buffer){VAImageBufferType, 0, 0, of->data};
  *image = (VAImage){.image_id = number, .buf = images[number], .width = of->width, .height = of->height, .num_planes = 2};
  image->format = (VAImageFormat){.fourcc = VA_FOURCC_NV12, .byte_order = VA_LSB_FIRST, .bits_per_pixel = 12};
  image->pitches[0] = image->pitches[1] = of->pitch;
  image->offsets[1] = of->pitch * of->rows;
  image->data_size = of->pitch * of->rows * 3 / 2;
  return VA_STATUS_SUCCESS;
}
VAStatus vaDestroyImage(VADisplay d, VAImageID id) {
  vaDestroyBuffer(d, images[id]);
  images[id] = 0;
  return VA_STATUS_SUCCESS;
}

/* The picture that is being encoded. */
static VASurfaceID target;
static VAEncPictureParameterBufferH264 picture;
static VAEncSliceParameterBufferH264 slice;
static VAEncPackedHeaderParameterBuffer packed;
static unsigned char headers[HEADER_BYTES], slice_header[HEADER_BYTES];
static size_t headers_bytes;
static unsigned slice_bits;

VAStatus vaBeginPicture(VADisplay d, VAContextID context, VASurfaceID surface) {
  target = surface;
  headers_bytes = 0;
  return VA_STATUS_SUCCESS;
}

VAStatus vaRenderPicture(VADisplay d, VAContextID context, VABufferID *ids, int count) {
  for (int i = 0; i < count; i++) {
    const void *data = buffers[ids[i]].data;
    switch (buffers[ids[i]].type) {
      case VAEncPictureParameterBufferType: memcpy(&picture, data, sizeof picture); break;
      case VAEncSliceParameterBufferType: memcpy(&slice, data, sizeof slice); break;
      case VAEncPackedHeaderParameterBufferType: memcpy(&packed, data, sizeof packed); break;
      case VAEncPackedHeaderDataBufferType:
        if (packed.type == VAEncPackedHeaderSlice) {
          slice_bits = packed.bit_length;
          memcpy(slice_header, data, (slice_bits + 7) / 8);
        } else {
          memcpy(headers + headers_bytes, data, packed.bit_length / 8);
          headers_bytes += packed.bit_length / 8;
        }
        break;
      default: break;
    }
  }
  return VA_STATUS_SUCCESS;
}

static unsigned char *out;
static unsigned zeros, waiting, waiting_bits;

static void put_raw(unsigned char byte) {
  *out++ = byte;
  zeros = byte == 0 ? zeros + 1 : 0;
}
/* What would look like a start code is broken up (7.4.1). */
static void put_byte(unsigned char byte) {
  if (zeros >= 2 && byte <= 3) put_raw(3);
  put_raw(byte);
}
static void put_bit(unsigned bit) {
  waiting = waiting << 1 | bit;
  if (++waiting_bits < 8) return;
  put_byte((unsigned char)waiting);
  waiting = waiting_bits = 0;
}
/* Exp-Golomb (9.1). */
static void put_ue(unsigned value) {
  int length = 0;
  while ((value + 1) >> (length + 1) != 0) length++;
  for (int i = 0; i < length; i++) put_bit(0);
  for (int i = length; i >= 0; i--) put_bit((value + 1) >> i & 1);
}
static void align(void) {
  while (waiting_bits != 0) put_bit(0);
}

static void put_macroblock(const struct surface *of, int x, int y, int in_i_slice) {
  const unsigned char *luma = of->data + y * 16 * of->pitch + x * 16;
  const unsigned char *chroma = of->data + (of->rows + y * 8) * of->pitch + x * 16;
  /* mb_type I_PCM; in a P slice after a run of no skipped ones, and behind the five types of its own. */
  if (!in_i_slice) put_ue(0);
  put_ue(in_i_slice ? 25 : 30);
  align();
  for (int row = 0; row < 16; row++)
    for (int i = 0; i < 16; i++) put_byte(luma[row * of->pitch + i]);
  for (int plane = 0; plane < 2; plane++)
    for (int row = 0; row < 8; row++)
      for (int i = 0; i < 8; i++) put_byte(chroma[row * of->pitch + 2 * i + plane]);
}

VAStatus vaEndPicture(VADisplay d, VAContextID context) {
  const struct surface *of = &surfaces[target];
  VACodedBufferSegment *segment = buffers[picture.coded_buf].data;
  *segment = (VACodedBufferSegment){.buf = segment + 1};
  out = segment->buf;
  zeros = waiting = waiting_bits = 0;
  for (size_t i = 0; i < headers_bytes; i++) put_raw(headers[i]);
  for (unsigned i = 0; i < slice_bits / 8; i++) put_raw(slice_header[i]);
  for (unsigned i = 0; i < slice_bits % 8; i++) put_bit(slice_header[slice_bits / 8] >> (7 - i) & 1);
  for (int y = 0; y < ALIGNED(of->height, 16) / 16; y++)
    for (int x = 0; x < ALIGNED(of->width, 16) / 16; x++) put_macroblock(of, x, y, slice.slice_type % 5 == 2);
  put_bit(1);
  align();
  segment->size = (unsigned)(out - (unsigned char *)segment->buf);
  return VA_STATUS_SUCCESS;
}

VAStatus vaSyncSurface(VADisplay d, VASurfaceID surface) { return VA_STATUS_SUCCESS; }
VAStatus vaSyncBuffer(VADisplay d, VABufferID buffer, uint64_t timeout_ns) { return VA_STATUS_SUCCESS; }
