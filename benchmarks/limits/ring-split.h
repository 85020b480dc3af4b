/* A split virtqueue with EVENT_IDX (virtio 1.3 section 2.7). Free lists and indices of one's own are kept outside shared memory. */

struct descriptor { uint64_t address; uint32_t length; uint16_t flags, next; };
struct used_element { uint32_t id, length; };

enum { AVAIL_AT = QUEUE_AT + 16 * SIZE };

/* Where things lie in `ram`, for one side. */
struct areas {
    struct descriptor *descriptors;
    _Atomic uint16_t *avail_idx, *used_idx, *used_event, *avail_event;
    uint16_t *avail_ring;
    struct used_element *used_ring;
    uint32_t used_at, used_end;
};

struct driver {
    struct areas a;
    struct pending pending;
    uint32_t free, used_token, used_length;
    uint16_t free_head, avail_next, avail_published, last_used, used_seen;
    int32_t token[SIZE];
    uint16_t taken[SIZE], tail[SIZE], next[SIZE];
};

struct device {
    struct areas a;
    uint16_t last_avail, avail_seen, used_next, used_published;
    uint8_t taken[SIZE];
};

static struct areas find_areas(void)
{
    uint32_t avail = align_128(AVAIL_AT), used = align_128(avail + 6 + 2 * SIZE);
    uint16_t *a = (uint16_t *)(ram + avail), *u = (uint16_t *)(ram + used);
    return (struct areas){
        .descriptors = (struct descriptor *)(ram + QUEUE_AT),
        .avail_idx = (_Atomic uint16_t *)(a + 1),
        .avail_ring = a + 2,
        .used_event = (_Atomic uint16_t *)(a + 2 + SIZE),
        .used_idx = (_Atomic uint16_t *)(u + 1),
        .used_ring = (struct used_element *)(u + 2),
        .avail_event = (_Atomic uint16_t *)(u + 2 + 4 * SIZE),
        .used_at = used,
        .used_end = used + 6 + 8 * SIZE,
    };
}

static inline bool need_event(uint16_t event, uint16_t next, uint16_t old)
{
    return (uint16_t)(next - event - 1) < (uint16_t)(next - old);
}

static void driver_init(struct driver *d)
{
    d->a = find_areas();
    d->free = SIZE;
    for (int i = 0; i < SIZE; i++) {
        d->token[i] = -1;
        d->next[i] = (uint16_t)(i + 1);
    }
}

static inline void place(struct descriptor *at, struct pending *p, uint32_t i, uint16_t next)
{
    at->address = p->buffer[i].address;
    at->length = p->buffer[i].length;
    at->flags = (uint16_t)((i < p->readable_count ? 0 : WRITE) | (i + 1 < p->count ? NEXT : 0));
    at->next = next;
}

static inline bool driver_submit(struct driver *d, uint32_t token)
{
    struct pending *p = &d->pending;
    uint32_t taken = plan.indirect ? 1 : p->count;
    if (taken > d->free) return false;
    uint16_t head = d->free_head, index = head, last = head;
    if (plan.indirect) {
        uint64_t address = TABLES_AT + (uint64_t)head * TABLE_DESCRIPTORS * 16;
        struct descriptor *table = (struct descriptor *)(ram + address);
        for (uint32_t i = 0; i < p->count; i++) place(&table[i], p, i, (uint16_t)(i + 1 < p->count ? i + 1 : 0));
        d->a.descriptors[head] = (struct descriptor){ address, p->count * 16, INDIRECT, 0 };
        index = d->next[head];
    } else {
        for (uint32_t i = 0; i < p->count; i++) {
            last = index;
            index = d->next[index];
            place(&d->a.descriptors[last], p, i, (uint16_t)(i + 1 < p->count ? index : 0));
        }
    }
    d->free_head = index;
    d->tail[head] = last;
    d->taken[head] = (uint16_t)taken;
    d->free -= taken;
    d->token[head] = (int32_t)token;
    d->a.avail_ring[d->avail_next++ & (SIZE - 1)] = head;
    return true;
}

static inline bool driver_publish(struct driver *d)
{
    uint16_t old = d->avail_published, next = d->avail_next;
    if (next == old) return false;
    d->avail_published = next;
    STORE(d->a.avail_idx, next);
    FENCE();
    return need_event(LOAD(d->a.avail_event), next, old);
}

static inline bool driver_pop_used(struct driver *d)
{
    uint16_t at = d->last_used;
    if (at == d->used_seen) {
        uint16_t seen = LOAD(d->a.used_idx);
        if (seen == at) return false;
        if ((uint16_t)(seen - at) > SIZE) broken("used-ahead");
        d->used_seen = seen;
    }
    struct used_element element = d->a.used_ring[at & (SIZE - 1)];
    if (element.id >= SIZE) broken("used-range");
    if (d->token[element.id] < 0) broken("used-not-in-flight");
    d->used_token = (uint32_t)d->token[element.id];
    d->used_length = element.length;
    d->last_used = (uint16_t)(at + 1);
    d->token[element.id] = -1;
    d->next[d->tail[element.id]] = d->free_head;
    d->free_head = (uint16_t)element.id;
    d->free += d->taken[element.id];
    return true;
}

static bool driver_enable_interrupts(struct driver *d)
{
    STORE(d->a.used_event, d->last_used);
    FENCE();
    return d->last_used != d->used_seen || LOAD(d->a.used_idx) != d->last_used;
}

static void driver_disable_interrupts(struct driver *d) { (void)d; }

static void device_init(struct device *d) { d->a = find_areas(); }

static inline bool device_pop(struct device *d, struct chain *c)
{
    uint16_t at = d->last_avail;
    if (at == d->avail_seen) {
        uint16_t seen = LOAD(d->a.avail_idx);
        if (seen == at) return false;
        if ((uint16_t)(seen - at) > SIZE) broken("avail-ahead");
        d->avail_seen = seen;
    }
    uint16_t head = d->a.avail_ring[at & (SIZE - 1)];
    if (head >= SIZE) broken("head-range");
    if (d->taken[head]) broken("head-in-flight");
    chain_clear(c, head);
    const struct descriptor *table = d->a.descriptors;
    uint32_t entries = SIZE, visited = 0, next = head;
    for (;;) {
        if (++visited > entries) broken("loop");
        struct descriptor copy = table[next];
        if (copy.flags & ~(NEXT | WRITE | INDIRECT)) broken("unknown-flags");
        if (copy.flags & INDIRECT) {
            if (!plan.indirect || c->indirect || (copy.flags & NEXT)) broken("indirect");
            if (copy.length == 0 || copy.length % 16 || copy.length > MAX_CHAIN * 16) broken("indirect-length");
            if (!in_memory(copy.address, copy.length)) broken("outside-memory");
            c->indirect = true;
            table = (const struct descriptor *)(ram + copy.address);
            entries = copy.length / 16;
            visited = next = 0;
            continue;
        }
        if (copy.length) chain_add(c, copy.address, copy.length, copy.flags & WRITE, d->a.used_at, d->a.used_end);
        if (!(copy.flags & NEXT)) break;
        if (copy.next >= entries) broken("next-range");
        next = copy.next;
    }
    if (c->count == 0) broken("empty-chain");
    d->taken[head] = 1;
    d->last_avail = (uint16_t)(at + 1);
    return true;
}

static inline void device_push(struct device *d, uint32_t head, uint32_t written)
{
    if (head >= SIZE || !d->taken[head]) broken("push");
    d->taken[head] = 0;
    d->a.used_ring[d->used_next++ & (SIZE - 1)] = (struct used_element){ head, written };
}

static inline bool device_publish(struct device *d)
{
    uint16_t old = d->used_published, next = d->used_next;
    if (next == old) return false;
    d->used_published = next;
    STORE(d->a.used_idx, next);
    FENCE();
    return need_event(LOAD(d->a.used_event), next, old);
}

static bool device_enable_kicks(struct device *d)
{
    STORE(d->a.avail_event, d->last_avail);
    FENCE();
    return d->last_avail != d->avail_seen || LOAD(d->a.avail_idx) != d->last_avail;
}

static void device_disable_kicks(struct device *d) { (void)d; }
