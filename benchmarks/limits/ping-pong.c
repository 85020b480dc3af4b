/*
 * Round trip of a value bounced between two spinning threads: two cells on cache lines of their own, sequentially
 * consistent atomics, as JavaScript's Atomics are.
 *
 *   ping-pong MILLISECONDS
 *
 * Prints the median over batches of BATCH round trips, in nanoseconds a round trip. Batches are short: on a busy
 * machine both threads may share a CPU for a while, and each trip then takes two time slices.
 */
#define _POSIX_C_SOURCE 200809L
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { BATCH = 200, MAX_BATCHES = 1 << 16, STOP = -1 };

static _Alignas(128) atomic_int ping;
static _Alignas(128) atomic_int pong;
static _Alignas(128) double batch_ns[MAX_BATCHES];

static void *respond(void *unused)
{
    int last = 0;
    (void)unused;
    for (;;) {
        int value;
        while ((value = atomic_load(&ping)) == last)
            ;
        if (value == STOP)
            return NULL;
        atomic_store(&pong, value);
        last = value;
    }
}

static double now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1e9 + t.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
    double budget_ns = (argc > 1 ? atof(argv[1]) : 100) * 1e6;
    pthread_t other;
    int batches = 0, value = 0;

    if (pthread_create(&other, NULL, respond, NULL) != 0) {
        fputs("no second thread\n", stderr);
        return 1;
    }
    double start = now_ns(), from = start;
    do {
        for (int i = 0; i < BATCH; i++) {
            value = (value + 1) & 0x3fffffff;
            atomic_store(&ping, value);
            while (atomic_load(&pong) != value)
                ;
        }
        double to = now_ns();
        batch_ns[batches++] = (to - from) / BATCH;
        from = to;
    } while (batches < MAX_BATCHES && from - start < budget_ns);
    atomic_store(&ping, STOP);
    pthread_join(other, NULL);

    qsort(batch_ns, batches, sizeof batch_ns[0], by_value);
    printf("%.1f\n", batch_ns[batches / 2]);
    return 0;
}
