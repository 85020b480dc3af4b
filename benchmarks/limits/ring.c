/*
 * The limit of the rings: the same virtqueue in C, with the same layout, size, checks and workload as the ones in
 * JavaScript. Two threads: the driver publishes buffers in batches and takes used ones, the device takes and returns
 * them. Nobody looks at the buffers' bytes.
 *
 *   ring throughput|spin|sleep BATCH DESCRIPTORS INDIRECT WARM-UP-MS MS WINDOW DRIVER-CPU DEVICE-CPU
 *
 * throughput: as many buffers outstanding as fit, spinning. spin, sleep: one outstanding; sleep waits by futex(2).
 * INDIRECT: 0 or 1. A CPU of -1 leaves the thread where it runs. Prints the median over windows of WINDOW buffers, in
 * nanoseconds a buffer, and whether both threads were pinned.
 *
 * PACKED defined: the packed ring, otherwise the split one. ACQUIRE_RELEASE: see ring-common.h.
 */
#define _GNU_SOURCE
#include "ring-common.h"
#ifdef PACKED
#include "ring-packed.h"
#else
#include "ring-split.h"
#endif
#include <pthread.h>
#include <time.h>
#ifdef __linux__
#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

enum { BUFFER_BYTES = 64, MAX_WINDOWS = 1 << 16, STOP_POLLS = 64 };

/* One side's wake-up: see core/ring/doorbell.ts. */
struct bell { _Alignas(128) _Atomic int32_t sequence; _Atomic int32_t asleep; };

static _Alignas(128) struct driver driver;
static _Alignas(128) struct device device;
static _Alignas(128) struct chain chain;
static _Alignas(128) struct bell device_bell, driver_bell;
static _Alignas(128) atomic_bool stop;
static _Alignas(128) double window_ns[MAX_WINDOWS];
static atomic_bool device_pinned;

/* The driver's. */
static struct { _Alignas(128) uint32_t outstanding; uint32_t next_token; } work;

static bool pin(int cpu)
{
#ifdef __linux__
    cpu_set_t set;
    if (cpu < 0 || cpu >= CPU_SETSIZE) return false;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    return sched_setaffinity(0, sizeof set, &set) == 0;
#else
    (void)cpu;
    return false;
#endif
}

static void ring_bell(struct bell *b)
{
    atomic_fetch_add(&b->sequence, 1);
#ifdef __linux__
    if (atomic_load(&b->asleep)) syscall(SYS_futex, &b->sequence, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
#endif
}

static void sleep_on(struct bell *b, int32_t expected)
{
    if (atomic_load(&b->sequence) != expected) return;
#ifdef __linux__
    atomic_store(&b->asleep, 1);
    syscall(SYS_futex, &b->sequence, FUTEX_WAIT_PRIVATE, expected, NULL, NULL, 0);
    atomic_store(&b->asleep, 0);
#endif
}

static double now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1e9 + t.tv_nsec;
}

/* Takes up to a batch, returns it. */
static inline uint32_t serve(struct device *d, bool *interrupt)
{
    uint32_t taken = 0;
    while (taken < plan.batch && device_pop(d, &chain)) {
        device_push(d, chain.head, (uint32_t)chain.writable_bytes);
        taken++;
    }
    if (taken > 0) *interrupt = device_publish(d);
    return taken;
}

static void *run_device(void *unused)
{
    struct device *d = &device;
    bool interrupt = false;
    uint32_t empty = 0;
    (void)unused;
    device_pinned = pin(plan.device_cpu);
    if (!plan.may_sleep) {
        device_disable_kicks(d);
        while (++empty % STOP_POLLS != 0 || !atomic_load(&stop))
            if (serve(d, &interrupt) > 0) empty = 0;
        return NULL;
    }
    while (!atomic_load(&stop)) {
        int32_t sample = atomic_load(&device_bell.sequence);
        if (serve(d, &interrupt) > 0) {
            if (interrupt) ring_bell(&driver_bell);
        } else if (!device_enable_kicks(d)) {
            if (!atomic_load(&stop)) sleep_on(&device_bell, sample);
            device_disable_kicks(d);
        }
    }
    return NULL;
}

/* Half of a chain's buffers, at least one, are writable. */
static inline void submit(struct driver *d)
{
    struct pending *p = &d->pending;
    uint32_t token = work.next_token++ & (SIZE - 1);
    uint64_t at = BUFFERS_AT + (uint64_t)token * TABLE_DESCRIPTORS * BUFFER_BYTES;
    p->count = plan.descriptors;
    p->readable_count = plan.descriptors >> 1;
    for (uint32_t i = 0; i < plan.descriptors; i++, at += BUFFER_BYTES) {
        p->buffer[i].address = at;
        p->buffer[i].length = BUFFER_BYTES;
    }
    if (!driver_submit(d, token)) broken("full");
}

static inline void check_used(struct driver *d)
{
    if (d->used_length != (plan.descriptors - (plan.descriptors >> 1)) * BUFFER_BYTES) broken("used-length");
}

static void throughput(struct driver *d, uint32_t count)
{
    uint32_t most = plan.indirect ? SIZE : SIZE / plan.descriptors;
    for (uint32_t done = 0; done < count;) {
        while (work.outstanding + plan.batch <= most) {
            for (uint32_t i = 0; i < plan.batch; i++) submit(d);
            driver_publish(d);
            work.outstanding += plan.batch;
        }
        while (driver_pop_used(d)) {
            check_used(d);
            work.outstanding--;
            done++;
        }
    }
}

static void spin(struct driver *d, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        submit(d);
        driver_publish(d);
        while (!driver_pop_used(d))
            ;
        check_used(d);
    }
}

static void sleeping(struct driver *d, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        submit(d);
        if (driver_publish(d)) ring_bell(&device_bell);
        for (;;) {
            int32_t sample = atomic_load(&driver_bell.sequence);
            if (driver_pop_used(d)) break;
            if (!driver_enable_interrupts(d)) sleep_on(&driver_bell, sample);
            driver_disable_interrupts(d);
        }
        check_used(d);
    }
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
    void (*run)(struct driver *, uint32_t);
    pthread_t other;
    int windows = 0;

    if (argc != 10) return 2;
    if (strcmp(argv[1], "throughput") == 0) run = throughput;
    else if (strcmp(argv[1], "spin") == 0) run = spin;
    else if (strcmp(argv[1], "sleep") == 0) run = sleeping;
    else return 2;
    plan.may_sleep = run == sleeping;
    plan.batch = (uint32_t)atoi(argv[2]);
    plan.descriptors = (uint32_t)atoi(argv[3]);
    plan.indirect = atoi(argv[4]) != 0;
    uint32_t window = (uint32_t)atoi(argv[7]);
    plan.device_cpu = atoi(argv[9]);
    double warm_up_ns = atof(argv[5]) * 1e6, budget_ns = atof(argv[6]) * 1e6;
    if (plan.batch < 1 || plan.descriptors < 1 || plan.descriptors > TABLE_DESCRIPTORS || window < 1) return 2;
    if (plan.batch > (plan.indirect ? SIZE : SIZE / plan.descriptors)) return 2;

    driver_init(&driver);
    device_init(&device);
    if (pthread_create(&other, NULL, run_device, NULL) != 0) {
        fputs("no second thread\n", stderr);
        return 1;
    }
    bool pinned = pin(atoi(argv[8]));
    if (!plan.may_sleep) driver_disable_interrupts(&driver);

    for (double end = now_ns() + warm_up_ns; now_ns() < end;) run(&driver, window);
    double start = now_ns(), from = start;
    do {
        run(&driver, window);
        double to = now_ns();
        window_ns[windows++] = (to - from) / window;
        from = to;
    } while (windows < MAX_WINDOWS && from - start < budget_ns);

    atomic_store(&stop, true);
    ring_bell(&device_bell);
    pthread_join(other, NULL);
    qsort(window_ns, (size_t)windows, sizeof window_ns[0], by_value);
    printf("{\"ns\":%.3f,\"windows\":%d,\"pinned\":%s}\n", window_ns[windows / 2], windows, pinned && device_pinned ? "true" : "false");
    return 0;
}
