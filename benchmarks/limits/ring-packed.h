/* A packed virtqueue with EVENT_IDX (virtio 1.3 section 2.8). A batch becomes visible by its first descriptor's flags, stored last. */

/* The last word holds id (low half) and flags (high half), so that they change together. */
struct descriptor { uint64_t address; uint32_t length; uint32_t id_flags; };

enum { AVAIL = 1 << 7, USED = 1 << 15, EVENT_DISABLE = 1 << 16, EVENT_DESC = 2 << 16, EVENT_FLAGS = 3 << 16 };

struct areas {
    struct descriptor *ring;
    _Atomic uint32_t *driver_event, *device_event;
    uint32_t event_at;
};

/* A place in the ring with its lap; slots filled and not yet published, and the word to store for the first of them. */
struct position { uint32_t at; bool wrap; };
struct unpublished { uint32_t slots, first, word; };

struct driver {
    struct areas a;
    struct pending pending;
    uint32_t free, used_token, used_length;
    struct position avail, used;
    struct unpublished unpublished;
    uint32_t free_id;
    int32_t token[SIZE];
    uint16_t taken[SIZE], next_id[SIZE];
};

struct device {
    struct areas a;
    struct position avail, used;
    struct unpublished unpublished;
    /* By id: ring slots that its chain takes, 0: not in flight. */
    uint16_t taken[SIZE];
};

static struct areas find_areas(void)
{
    uint32_t event = align_128(QUEUE_AT + 16 * SIZE);
    return (struct areas){
        .ring = (struct descriptor *)(ram + QUEUE_AT),
        .driver_event = (_Atomic uint32_t *)(ram + event),
        .device_event = (_Atomic uint32_t *)(ram + event + 128),
        .event_at = event + 128,
    };
}

static inline void advance(struct position *p, uint32_t slots)
{
    p->at += slots;
    if (p->at >= SIZE) {
        p->at -= SIZE;
        p->wrap = !p->wrap;
    }
}

static inline _Atomic uint32_t *word_of(struct areas *a, uint32_t at) { return (_Atomic uint32_t *)&a->ring[at].id_flags; }
static inline uint32_t available_flags(bool wrap) { return wrap ? AVAIL : USED; }
static inline uint32_t used_flags(bool wrap) { return wrap ? AVAIL | USED : 0; }
static inline bool is_available(uint32_t word, bool wrap) { return ((word >> 16) & (AVAIL | USED)) == available_flags(wrap); }
static inline bool is_used(uint32_t word, bool wrap) { return ((word >> 16) & (AVAIL | USED)) == used_flags(wrap); }

static inline bool wants_event(uint32_t event, struct position next, uint32_t added)
{
    uint32_t flags = event & EVENT_FLAGS;
    if (flags == EVENT_DISABLE) return false;
    if (flags != EVENT_DESC) return true;
    int32_t at = (int32_t)(event & 0x7fff);
    if (((event >> 15) & 1) != next.wrap) at -= SIZE;
    return (uint16_t)((int32_t)next.at - at - 1) < added;
}

/* Sets a slot's word: at once, or when published if it is the first since. */
static inline void set_word(struct areas *a, struct unpublished *u, uint32_t at, uint32_t word, uint32_t slots)
{
    if (u->slots == 0) {
        u->first = at;
        u->word = word;
    } else {
        atomic_store_explicit(word_of(a, at), word, memory_order_relaxed);
    }
    u->slots += slots;
}

static inline bool publish(struct areas *a, struct unpublished *u, struct position next, _Atomic uint32_t *event)
{
    uint32_t added = u->slots;
    if (added == 0) return false;
    u->slots = 0;
    STORE(word_of(a, u->first), u->word);
    FENCE();
    return wants_event(LOAD(event), next, added);
}

static void driver_init(struct driver *d)
{
    d->a = find_areas();
    d->free = SIZE;
    d->avail.wrap = d->used.wrap = true;
    for (int i = 0; i < SIZE; i++) {
        d->token[i] = -1;
        d->next_id[i] = (uint16_t)(i + 1);
    }
}

static inline uint32_t buffer_flags(const struct pending *p, uint32_t i)
{
    return (i < p->readable_count ? 0 : WRITE) | (i + 1 < p->count ? NEXT : 0);
}

static inline bool driver_submit(struct driver *d, uint32_t token)
{
    struct pending *p = &d->pending;
    uint32_t taken = plan.indirect ? 1 : p->count;
    if (taken > d->free) return false;
    uint32_t id = d->free_id;
    d->free_id = d->next_id[id];
    struct position at = d->avail, head = at;
    uint32_t head_word;
    if (plan.indirect) {
        uint64_t address = TABLES_AT + (uint64_t)id * TABLE_DESCRIPTORS * 16;
        struct descriptor *table = (struct descriptor *)(ram + address);
        for (uint32_t i = 0; i < p->count; i++) {
            table[i] = (struct descriptor){ p->buffer[i].address, p->buffer[i].length, (i < p->readable_count ? 0 : WRITE) << 16 };
        }
        d->a.ring[at.at].address = address;
        d->a.ring[at.at].length = p->count * 16;
        head_word = id | (INDIRECT | available_flags(at.wrap)) << 16;
        advance(&at, 1);
    } else {
        head_word = id | (buffer_flags(p, 0) | available_flags(at.wrap)) << 16;
        for (uint32_t i = 0; i < p->count; i++) {
            struct descriptor *slot = &d->a.ring[at.at];
            slot->address = p->buffer[i].address;
            slot->length = p->buffer[i].length;
            uint32_t word = id | (buffer_flags(p, i) | available_flags(at.wrap)) << 16;
            if (i > 0) atomic_store_explicit(word_of(&d->a, at.at), word, memory_order_relaxed);
            advance(&at, 1);
        }
    }
    set_word(&d->a, &d->unpublished, head.at, head_word, taken);
    d->avail = at;
    d->taken[id] = (uint16_t)taken;
    d->free -= taken;
    d->token[id] = (int32_t)token;
    return true;
}

static inline bool driver_publish(struct driver *d) { return publish(&d->a, &d->unpublished, d->avail, d->a.device_event); }

static inline bool driver_pop_used(struct driver *d)
{
    uint32_t word = LOAD(word_of(&d->a, d->used.at));
    if (d->free == SIZE || !is_used(word, d->used.wrap)) return false;
    uint32_t id = word & 0xffff;
    if (id >= SIZE) broken("used-range");
    if (d->token[id] < 0) broken("used-not-in-flight");
    d->used_token = (uint32_t)d->token[id];
    d->used_length = d->a.ring[d->used.at].length;
    advance(&d->used, d->taken[id]);
    d->token[id] = -1;
    d->free += d->taken[id];
    d->next_id[id] = (uint16_t)d->free_id;
    d->free_id = id;
    return true;
}

static bool driver_enable_interrupts(struct driver *d)
{
    STORE(d->a.driver_event, EVENT_DESC | (uint32_t)d->used.wrap << 15 | d->used.at);
    FENCE();
    return d->free != SIZE && is_used(LOAD(word_of(&d->a, d->used.at)), d->used.wrap);
}

static void driver_disable_interrupts(struct driver *d) { STORE(d->a.driver_event, EVENT_DISABLE); }

static void device_init(struct device *d)
{
    d->a = find_areas();
    d->avail.wrap = d->used.wrap = true;
}

static inline bool device_pop(struct device *d, struct chain *c)
{
    struct position at = d->avail;
    uint32_t word = LOAD(word_of(&d->a, at.at));
    if (!is_available(word, at.wrap)) return false;
    uint64_t own = d->a.event_at;
    chain_clear(c, 0);
    uint32_t slots = 0;
    for (;;) {
        struct descriptor copy = d->a.ring[at.at];
        copy.id_flags = word;
        if (slots > 0) copy.id_flags = atomic_load_explicit(word_of(&d->a, at.at), memory_order_relaxed);
        uint32_t flags = copy.id_flags >> 16;
        if (++slots > SIZE) broken("loop");
        if (!is_available(copy.id_flags, at.wrap)) broken("not-available");
        if (flags & ~(uint32_t)(NEXT | WRITE | INDIRECT | AVAIL | USED)) broken("unknown-flags");
        c->head = copy.id_flags & 0xffff;
        advance(&at, 1);
        if (flags & INDIRECT) {
            if (!plan.indirect || slots > 1 || (flags & NEXT)) broken("indirect");
            if (copy.length == 0 || copy.length % 16 || copy.length > MAX_CHAIN * 16) broken("indirect-length");
            if (!in_memory(copy.address, copy.length)) broken("outside-memory");
            c->indirect = true;
            const struct descriptor *table = (const struct descriptor *)(ram + copy.address);
            for (uint32_t i = 0; i < copy.length / 16; i++) {
                struct descriptor entry = table[i];
                uint32_t entry_flags = entry.id_flags >> 16;
                if (entry_flags & ~(uint32_t)(WRITE | AVAIL | USED)) broken("unknown-flags");
                if (entry.length) chain_add(c, entry.address, entry.length, entry_flags & WRITE, own, own + 4);
            }
            break;
        }
        if (copy.length) chain_add(c, copy.address, copy.length, flags & WRITE, own, own + 4);
        if (!(flags & NEXT)) break;
    }
    if (c->count == 0) broken("empty-chain");
    if (c->head >= SIZE) broken("id-range");
    if (d->taken[c->head]) broken("id-in-flight");
    d->taken[c->head] = (uint16_t)slots;
    d->avail = at;
    return true;
}

static inline void device_push(struct device *d, uint32_t id, uint32_t written)
{
    if (id >= SIZE || d->taken[id] == 0) broken("push");
    d->a.ring[d->used.at].length = written;
    set_word(&d->a, &d->unpublished, d->used.at, id | used_flags(d->used.wrap) << 16, d->taken[id]);
    advance(&d->used, d->taken[id]);
    d->taken[id] = 0;
}

static inline bool device_publish(struct device *d) { return publish(&d->a, &d->unpublished, d->used, d->a.driver_event); }

static bool device_enable_kicks(struct device *d)
{
    STORE(d->a.device_event, EVENT_DESC | (uint32_t)d->avail.wrap << 15 | d->avail.at);
    FENCE();
    return is_available(LOAD(word_of(&d->a, d->avail.at)), d->avail.wrap);
}

static void device_disable_kicks(struct device *d) { STORE(d->a.device_event, EVENT_DISABLE); }
