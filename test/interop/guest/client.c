/*
 * Draws on a virtio-gpu head with the kernel's own interface, without a compositor: buffers of other devices imported by
 * PRIME, dumb buffers, damage, cursor. Frame i has FRAME_BASE + i in its first pixel.
 *
 *   client import N        two udmabuf buffers, imported, N page flips
 *   client dumb N          two dumb buffers, N page flips
 *   client damage N        one dumb buffer, N damage rectangles
 *   client cursor N        N cursor moves, a new image every tenth
 *   client two-gpus N      two dumb buffers of another GPU, exported, imported, N page flips
 *   client vfio N BDF      two buffers in a PCI device's BAR, exported by vfio-pci, imported; the device is reset now and then
 */
#define _GNU_SOURCE
#include <drm.h>
#include <drm_mode.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <linux/udmabuf.h>
#include <linux/vfio.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define FRAME_BASE 0xbeef0000u
#define FORMAT_XRGB8888 0x34325258u
#define BUFFERS 2
#define MOST_OBJECTS 8
/* Flips between two resets of the VFIO device. */
#define RESET_EVERY 20
#define SAY_EVERY 20
/* The driver waits 50 ms for the host, then goes on: a host that is later may show what was drawn meanwhile. */
#define LATE_MS 45
#define VFIO_FEATURE_DMA_BUF 11
#define PCI_COMMAND 4
#define PCI_COMMAND_MEMORY_MASTER 6
/* ivshmem's shared memory. */
#define VFIO_BAR 2

static void fail(const char *what)
{
	printf("FAIL %s: %s\n", what, strerror(errno));
	exit(1);
}

static long check(long result, const char *what)
{
	if (result < 0)
		fail(what);
	return result;
}

#define CHECK(call) check((call), #call)

static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e3 + t.tv_nsec / 1e6;
}

static void say_if_late(int frame, double since)
{
	if (now_ms() - since >= LATE_MS)
		printf("LATE %d\n", frame);
}

struct head {
	int fd;
	uint32_t crtc, connector;
	struct drm_mode_modeinfo mode;
};

struct buffer {
	uint32_t fb;
	uint32_t *pixels;
};

static int other_gpu = -1;
static int vfio_device = -1;
static uint8_t *bar;

static void open_head(struct head *head)
{
	struct drm_mode_card_res res = { 0 };
	struct drm_mode_get_connector connector = { 0 };
	uint32_t crtcs[MOST_OBJECTS], connectors[MOST_OBJECTS], encoders[MOST_OBJECTS], fbs[MOST_OBJECTS];
	struct drm_mode_modeinfo *modes;

	head->fd = -1;
	for (int i = 0; i < 4; i++) {
		char path[32], name[64] = { 0 };
		struct drm_version version = { .name = name, .name_len = sizeof(name) - 1 };
		int fd;

		snprintf(path, sizeof(path), "/dev/dri/card%d", i);
		fd = open(path, O_RDWR | O_CLOEXEC);
		if (fd < 0)
			continue;
		ioctl(fd, DRM_IOCTL_VERSION, &version);
		if (!strcmp(name, "virtio_gpu"))
			head->fd = fd;
		else
			other_gpu = fd;
	}
	if (head->fd < 0) {
		errno = ENODEV;
		fail("virtio_gpu");
	}
	res.crtc_id_ptr = (uintptr_t)crtcs;
	res.connector_id_ptr = (uintptr_t)connectors;
	res.encoder_id_ptr = (uintptr_t)encoders;
	res.fb_id_ptr = (uintptr_t)fbs;
	res.count_crtcs = res.count_connectors = res.count_encoders = res.count_fbs = MOST_OBJECTS;
	CHECK(ioctl(head->fd, DRM_IOCTL_MODE_GETRESOURCES, &res));
	head->crtc = crtcs[0];
	head->connector = connectors[0];
	connector.connector_id = head->connector;
	CHECK(ioctl(head->fd, DRM_IOCTL_MODE_GETCONNECTOR, &connector));
	if (connector.count_modes == 0) {
		errno = ENOENT;
		fail("modes");
	}
	modes = calloc(connector.count_modes, sizeof(*modes));
	connector.modes_ptr = (uintptr_t)modes;
	connector.count_props = 0;
	connector.count_encoders = 0;
	CHECK(ioctl(head->fd, DRM_IOCTL_MODE_GETCONNECTOR, &connector));
	head->mode = modes[0];
	printf("mode %ux%u\n", head->mode.hdisplay, head->mode.vdisplay);
}

static uint32_t create_dumb(int fd, uint32_t width, uint32_t height, uint32_t **pixels, uint32_t *pitch)
{
	struct drm_mode_create_dumb dumb = { .width = width, .height = height, .bpp = 32 };
	struct drm_mode_map_dumb map = { 0 };

	CHECK(ioctl(fd, DRM_IOCTL_MODE_CREATE_DUMB, &dumb));
	map.handle = dumb.handle;
	CHECK(ioctl(fd, DRM_IOCTL_MODE_MAP_DUMB, &map));
	*pixels = mmap(NULL, dumb.size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, map.offset);
	if (*pixels == MAP_FAILED)
		fail("mmap of a dumb buffer");
	*pitch = dumb.pitch;
	return dumb.handle;
}

static uint32_t import(const struct head *head, int dmabuf, const char *whose)
{
	struct drm_prime_handle prime = { .fd = dmabuf };

	CHECK(ioctl(head->fd, DRM_IOCTL_PRIME_FD_TO_HANDLE, &prime));
	close(dmabuf);
	printf("imported a buffer of %s\n", whose);
	return prime.handle;
}

static void add_fb(const struct head *head, struct buffer *buffer, uint32_t handle, uint32_t pitch)
{
	struct drm_mode_fb_cmd2 fb = {
		.width = head->mode.hdisplay,
		.height = head->mode.vdisplay,
		.pixel_format = FORMAT_XRGB8888,
	};

	fb.handles[0] = handle;
	fb.pitches[0] = pitch;
	CHECK(ioctl(head->fd, DRM_IOCTL_MODE_ADDFB2, &fb));
	buffer->fb = fb.fb_id;
}

static size_t frame_bytes(const struct head *head)
{
	return ((size_t)head->mode.hdisplay * 4 * head->mode.vdisplay + 4095) & ~(size_t)4095;
}

static void udmabuf_buffer(const struct head *head, struct buffer *buffer)
{
	size_t size = frame_bytes(head);
	struct udmabuf_create create = { .flags = UDMABUF_FLAGS_CLOEXEC, .size = size };
	int device = CHECK(open("/dev/udmabuf", O_RDWR));

	create.memfd = CHECK(memfd_create("scanout", MFD_ALLOW_SEALING));
	CHECK(ftruncate(create.memfd, size));
	CHECK(fcntl(create.memfd, F_ADD_SEALS, F_SEAL_SHRINK));
	buffer->pixels = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, create.memfd, 0);
	memset(buffer->pixels, 0, size);
	add_fb(head, buffer, import(head, CHECK(ioctl(device, UDMABUF_CREATE, &create)), "udmabuf"), head->mode.hdisplay * 4);
	close(device);
}

static void dumb_buffer(const struct head *head, struct buffer *buffer)
{
	uint32_t pitch, handle = create_dumb(head->fd, head->mode.hdisplay, head->mode.vdisplay, &buffer->pixels, &pitch);

	add_fb(head, buffer, handle, pitch);
}

static void other_gpu_buffer(const struct head *head, struct buffer *buffer)
{
	uint32_t pitch, handle = create_dumb(other_gpu, head->mode.hdisplay, head->mode.vdisplay, &buffer->pixels, &pitch);
	struct drm_prime_handle prime = { .handle = handle, .flags = O_CLOEXEC | O_RDWR };

	CHECK(ioctl(other_gpu, DRM_IOCTL_PRIME_HANDLE_TO_FD, &prime));
	add_fb(head, buffer, import(head, prime.fd, "the other GPU"), pitch);
}

static void vfio_memory_on(void)
{
	struct vfio_region_info config = { .argsz = sizeof(config), .index = VFIO_PCI_CONFIG_REGION_INDEX };
	uint16_t command = PCI_COMMAND_MEMORY_MASTER;

	CHECK(ioctl(vfio_device, VFIO_DEVICE_GET_REGION_INFO, &config));
	CHECK(pwrite(vfio_device, &command, sizeof(command), config.offset + PCI_COMMAND));
}

static void open_vfio(const char *bdf)
{
	struct vfio_region_info region = { .argsz = sizeof(region), .index = VFIO_BAR };
	int container = CHECK(open("/dev/vfio/vfio", O_RDWR)), group;
	glob_t groups;

	if (glob("/dev/vfio/[0-9]*", 0, NULL, &groups) || groups.gl_pathc == 0) {
		errno = ENOENT;
		fail("VFIO group");
	}
	group = CHECK(open(groups.gl_pathv[0], O_RDWR));
	CHECK(ioctl(group, VFIO_GROUP_SET_CONTAINER, &container));
	CHECK(ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU));
	vfio_device = CHECK(ioctl(group, VFIO_GROUP_GET_DEVICE_FD, bdf));
	vfio_memory_on();
	CHECK(ioctl(vfio_device, VFIO_DEVICE_GET_REGION_INFO, &region));
	bar = mmap(NULL, region.size, PROT_READ | PROT_WRITE, MAP_SHARED, vfio_device, region.offset);
	if (bar == MAP_FAILED)
		fail("mmap of the BAR");
}

static void vfio_buffer(const struct head *head, struct buffer *buffer, int index)
{
	struct {
		uint32_t argsz, flags, region, open_flags, dmabuf_flags, ranges;
		uint64_t offset, length;
	} feature = {
		.argsz = sizeof(feature),
		.flags = VFIO_DEVICE_FEATURE_GET | VFIO_FEATURE_DMA_BUF,
		.region = VFIO_BAR,
		.open_flags = O_RDWR | O_CLOEXEC,
		.ranges = 1,
		.length = frame_bytes(head),
	};

	feature.offset = index * ((feature.length + 0xfffff) & ~0xfffffull);
	buffer->pixels = (uint32_t *)(bar + feature.offset);
	add_fb(head, buffer, import(head, CHECK(ioctl(vfio_device, VFIO_DEVICE_FEATURE, &feature)), "the VFIO device"),
	       head->mode.hdisplay * 4);
}

static void set_crtc(struct head *head, const struct buffer *buffer)
{
	struct drm_mode_crtc crtc = {
		.crtc_id = head->crtc,
		.fb_id = buffer->fb,
		.set_connectors_ptr = (uintptr_t)&head->connector,
		.count_connectors = 1,
		.mode_valid = 1,
		.mode = head->mode,
	};

	CHECK(ioctl(head->fd, DRM_IOCTL_MODE_SETCRTC, &crtc));
}

static void damage(struct head *head, const struct buffer *buffer, int count)
{
	int width = head->mode.hdisplay, height = head->mode.vdisplay;

	for (int i = 1; i <= count; i++) {
		int x = (i * 37) % (width - 200), y = (i * 53) % (height - 100);
		struct drm_clip_rect clip = { .x1 = x, .y1 = y, .x2 = x + 200, .y2 = y + 100 };
		struct drm_mode_fb_dirty_cmd dirty = { .fb_id = buffer->fb, .num_clips = 1, .clips_ptr = (uintptr_t)&clip };

		double drawn = now_ms();

		buffer->pixels[0] = FRAME_BASE + i;
		CHECK(ioctl(head->fd, DRM_IOCTL_MODE_DIRTYFB, &dirty));
		say_if_late(i, drawn);
	}
}

static void move_cursor(struct head *head, int count)
{
	uint32_t *pixels, pitch, handle = create_dumb(head->fd, 64, 64, &pixels, &pitch);

	memset(pixels, 0x80, 64 * 64 * 4);
	for (int i = 0; i < count; i++) {
		struct drm_mode_cursor2 cursor = {
			.flags = DRM_MODE_CURSOR_MOVE | (i % 10 ? 0 : DRM_MODE_CURSOR_BO),
			.crtc_id = head->crtc,
			.x = i * 7,
			.y = i * 5,
			.width = 64,
			.height = 64,
			.handle = handle,
			.hot_x = 1,
			.hot_y = 2,
		};

		CHECK(ioctl(head->fd, DRM_IOCTL_MODE_CURSOR2, &cursor));
	}
}

static void flip(struct head *head, const struct buffer *buffers, int count)
{
	double start = now_ms();

	for (int i = 1; i <= count; i++) {
		const struct buffer *buffer = &buffers[i % BUFFERS];
		struct drm_mode_crtc_page_flip page_flip = {
			.crtc_id = head->crtc,
			.fb_id = buffer->fb,
			.flags = DRM_MODE_PAGE_FLIP_EVENT,
			.user_data = i,
		};
		char event[256];
		double drawn;

		if (vfio_device >= 0 && i % RESET_EVERY == RESET_EVERY / 2) {
			CHECK(ioctl(vfio_device, VFIO_DEVICE_RESET));
			vfio_memory_on();
			printf("device reset at flip %d\n", i);
		}
		drawn = now_ms();
		buffer->pixels[0] = FRAME_BASE + i;
		CHECK(ioctl(head->fd, DRM_IOCTL_MODE_PAGE_FLIP, &page_flip));
		CHECK(read(head->fd, event, sizeof(event)));
		say_if_late(i, drawn);
		if (i % SAY_EVERY == 0)
			printf("flip %d\n", i);
	}
	printf("%d flips, %.2f ms each\n", count, (now_ms() - start) / count);
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	int count = argc > 2 ? atoi(argv[2]) : 60;
	struct buffer buffers[BUFFERS];
	struct head head;

	setvbuf(stdout, NULL, _IOLBF, 0);
	open_head(&head);
	if (!strcmp(what, "vfio"))
		open_vfio(argc > 3 ? argv[3] : "");
	for (int i = 0; i < BUFFERS; i++) {
		if (!strcmp(what, "import"))
			udmabuf_buffer(&head, &buffers[i]);
		else if (!strcmp(what, "two-gpus"))
			other_gpu_buffer(&head, &buffers[i]);
		else if (!strcmp(what, "vfio"))
			vfio_buffer(&head, &buffers[i], i);
		else
			dumb_buffer(&head, &buffers[i]);
	}
	buffers[0].pixels[0] = FRAME_BASE;
	set_crtc(&head, &buffers[0]);
	if (!strcmp(what, "damage"))
		damage(&head, &buffers[0], count);
	else if (!strcmp(what, "cursor"))
		move_cursor(&head, count);
	else
		flip(&head, buffers, count);
	printf("DONE %s\n", what);
	return 0;
}
