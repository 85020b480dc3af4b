/*
 * What the split and the packed ring of ring.c have in common: guest memory, chains, the order of the atomics.
 *
 * ACQUIRE_RELEASE not defined: sequentially consistent accesses, the only ones that JavaScript's Atomics have.
 * Defined: release stores and acquire loads, enough while both sides spin. Where a side may sleep, the order of a
 * store and the load after it matters, and that takes a fence in this variant.
 */
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef ACQUIRE_RELEASE
#define LOAD(p) atomic_load_explicit((p), memory_order_acquire)
#define STORE(p, v) atomic_store_explicit((p), (v), memory_order_release)
#define FENCE() do { if (plan.may_sleep) atomic_thread_fence(memory_order_seq_cst); } while (0)
#else
#define LOAD(p) atomic_load_explicit((p), memory_order_seq_cst)
#define STORE(p, v) atomic_store_explicit((p), (v), memory_order_seq_cst)
#define FENCE() do { } while (0)
#endif

/* The same numbers as in micro/ring-memory.ts. Guest memory begins at guest-physical 0. */
enum {
    SIZE = 256,
    RAM_BYTES = 1 << 20,
    QUEUE_AT = 0x10000,
    TABLES_AT = 0x20000,
    TABLE_DESCRIPTORS = 4,
    BUFFERS_AT = 0x80000,
    MAX_CHAIN = 1024,
};

enum { NEXT = 1, WRITE = 2, INDIRECT = 4 };

static _Alignas(4096) uint8_t ram[RAM_BYTES];

/* Set before the threads start, read by both: lines of its own, apart from what one side writes. */
static struct { _Alignas(128) uint32_t batch; uint32_t descriptors; bool indirect, may_sleep; int device_cpu; } plan;

/* Two cache lines: neighbouring lines are prefetched in pairs. */
static uint32_t align_128(uint32_t at) { return (at + 127) & ~127u; }

/* Descriptors of a chain as the device took them, checked. `head`: what push wants back. */
struct chain {
    uint32_t head, count, readable_count;
    bool indirect;
    uint64_t readable_bytes, writable_bytes;
    struct { uint64_t at; uint32_t length; } segment[MAX_CHAIN];
};

/* Buffers of the chain that the driver builds. */
struct pending {
    uint32_t count, readable_count;
    struct { uint64_t address; uint32_t length; } buffer[MAX_CHAIN];
};

_Noreturn static void broken(const char *rule)
{
    fprintf(stderr, "broken ring: %s\n", rule);
    exit(3);
}

static inline void chain_clear(struct chain *c, uint32_t head)
{
    c->head = head;
    c->count = c->readable_count = 0;
    c->indirect = false;
    c->readable_bytes = c->writable_bytes = 0;
}

static inline bool in_memory(uint64_t address, uint32_t length)
{
    return address < RAM_BYTES && length <= RAM_BYTES - address;
}

/* The checks that a host owes itself: the guest's memory, readable before writable, nothing in the device's own area. */
static inline void chain_add(struct chain *c, uint64_t address, uint32_t length, bool writable, uint64_t own, uint64_t own_end)
{
    uint32_t n = c->count;
    if (n == MAX_CHAIN) broken("chain-too-long");
    if (!writable && c->readable_count != n) broken("readable-after-writable");
    if (!in_memory(address, length)) broken("outside-memory");
    if (address < own_end && address + length > own) broken("used-ring-overlap");
    c->segment[n].at = address;
    c->segment[n].length = length;
    c->count = n + 1;
    if (writable) {
        c->writable_bytes += length;
    } else {
        c->readable_count = n + 1;
        c->readable_bytes += length;
    }
}
