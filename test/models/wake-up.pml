/*
 * The wake-up protocol of a virtqueue: what is published, who is told of it, and who may sleep.
 *
 * Both sides run for ever over indices that wrap, so every state is reached from every position. Memory is sequentially
 * consistent, one access a step. spin looks for a state from which nobody goes on (a lost wake-up) and for failed asserts
 * (an entry lost, doubled or read before it was written). A driver with nothing in flight does not sleep here, so
 * that both asleep is always wrong.
 *
 * One of: -DFLAGS (split without EVENT_IDX), -DEVENT_IDX (split), -DPACKED (event structures with EVENT_IDX).
 * -DBROKEN_… breaks it in one place, see run.sh; each must be rejected.
 */

#define SIZE 2
#define WRAP 4      /* where indices wrap, as at 65536: at least twice the size */
#define BELL_WRAP 4 /* as at 2^32: more than the other side can ring between a sample and the sleep */
#define NOTHING 255

/* As core/ring/split/driver.ts, device.ts: indices and event fields of the two rings. */
byte avail_idx, used_idx;
byte avail_entry[SIZE], used_entry[SIZE];
/* What each side asked for: a flag, an event index, or both in one word. */
#ifdef FLAGS
bit kicks_off, interrupts_off;
#define WANTS_KICK(next, old) (kicks == 0)
#define LOAD_KICKS kicks = kicks_off
#define LOAD_INTERRUPTS interrupts = interrupts_off
#define WANTS_INTERRUPT(next, old) (interrupts == 0)
#define ENABLE_KICKS(at) kicks_off = 0
#define DISABLE_KICKS kicks_off = 1
#define ENABLE_INTERRUPTS(at) interrupts_off = 0
#define DISABLE_INTERRUPTS interrupts_off = 1
#else
byte kick_event, interrupt_event;
/* vring_need_event; DISABLE is an event that no index passes. */
#ifdef BROKEN_EVENT_WRAP
#define NEED(event, next, old) (event != NOTHING && event < next && event >= old)
#else
#define NEED(event, next, old) (event != NOTHING && ((next + 2 * WRAP - event - 1) % WRAP) < ((next + WRAP - old) % WRAP))
#endif
#define LOAD_KICKS kicks = kick_event
#define LOAD_INTERRUPTS interrupts = interrupt_event
#define WANTS_KICK(next, old) NEED(kicks, next, old)
#define WANTS_INTERRUPT(next, old) NEED(interrupts, next, old)
#define ENABLE_KICKS(at) kick_event = at
#define ENABLE_INTERRUPTS(at) interrupt_event = at
#ifdef PACKED
#define DISABLE_KICKS kick_event = NOTHING
#define DISABLE_INTERRUPTS interrupt_event = NOTHING
#else
#define DISABLE_KICKS skip
#define DISABLE_INTERRUPTS skip
#endif
#endif

/* core/ring/doorbell.ts; `waiting`: inside Atomics.wait. */
typedef Bell { byte sequence; bit sleeper; bit waiting };
Bell host, guest;

/* An atomic block holds one access to memory at most, and what a side does by itself. Scratch is 0 when it is dead. */

inline ring(bell) {
#ifdef BROKEN_BELL
  seen = bell.sleeper;
  bell.sequence = (bell.sequence + 1) % BELL_WRAP;
#else
  bell.sequence = (bell.sequence + 1) % BELL_WRAP;
  seen = bell.sleeper;
#endif
  atomic {
    if
    :: seen == 1 -> bell.waiting = 0
    :: else
    fi;
    seen = 0
  }
}

inline sleep(bell, sample) {
  bell.sleeper = 1;
#ifdef BROKEN_WAIT
  bell.waiting = 1;
#else
  atomic {
    if
    :: bell.sequence == sample -> bell.waiting = 1
    :: else
    fi;
    sample = 0
  };
#endif
  bell.waiting == 0;
  bell.sleeper = 0
}

active proctype driver() {
  byte next, published, old, last, index, kicks, sample;
  bit progressed, seen;
  do
  :: atomic { sample = guest.sequence; progressed = 0 };
     /* popUsed */
     index = used_idx;
     do
     :: atomic {
          last != index ->
          assert(used_entry[last % SIZE] == last);
          last = (last + 1) % WRAP;
          progressed = 1
        }
     :: atomic { last == index -> index = 0; break }
     od;
     /* submit: as many as fit or fewer, but never none with none in flight */
     do
     :: (next + WRAP - last) % WRAP < SIZE ->
#ifdef BROKEN_PUBLISH
        avail_idx = (next + 1) % WRAP;
#endif
        atomic {
          avail_entry[next % SIZE] = next;
          next = (next + 1) % WRAP;
          progressed = 1
        }
     :: next != last -> break
     od;
     /* publish */
     if
     :: next != published ->
#ifdef BROKEN_EVENT_ORDER
        LOAD_KICKS;
        atomic { old = published; published = next; avail_idx = next };
#else
        atomic { old = published; published = next; avail_idx = next };
        LOAD_KICKS;
#endif
        if
        :: atomic { WANTS_KICK(next, old) -> kicks = 0; old = 0 }; ring(host)
        :: atomic { else -> kicks = 0; old = 0 }
        fi
     :: else
     fi;
     if
     :: progressed -> sample = 0
     :: else ->
        ENABLE_INTERRUPTS(last);
#ifdef BROKEN_RECHECK
        index = last;
#else
        index = used_idx;
#endif
        if
        :: atomic { index == last -> index = 0 }; sleep(guest, sample)
        :: atomic { else -> index = 0; sample = 0 }
        fi;
        DISABLE_INTERRUPTS
     fi
  od
}

active proctype device() {
  byte last, used, old, index, interrupts, sample;
  bit progressed, seen;
  DISABLE_KICKS;
  do
  :: atomic { sample = host.sequence; progressed = 0 };
     /* pop, push */
     atomic { index = avail_idx; assert((index + WRAP - last) % WRAP <= SIZE) };
     do
     :: last != index ->
        assert(avail_entry[last % SIZE] == last);
        atomic {
          used_entry[last % SIZE] = last;
          last = (last + 1) % WRAP;
          progressed = 1
        }
     :: atomic { progressed || last == index -> index = 0; break }
     od;
     /* publish */
     if
     :: last != used ->
#ifdef BROKEN_INTERRUPT_ORDER
        LOAD_INTERRUPTS;
        atomic { old = used; used = last; used_idx = last };
#else
        atomic { old = used; used = last; used_idx = last };
        LOAD_INTERRUPTS;
#endif
        if
        :: atomic { WANTS_INTERRUPT(last, old) -> interrupts = 0; old = 0 }; ring(guest)
        :: atomic { else -> interrupts = 0; old = 0 }
        fi
     :: else
     fi;
     if
     :: progressed -> sample = 0
     :: else ->
        ENABLE_KICKS(last);
#ifdef BROKEN_KICK_RECHECK
        index = last;
#else
        index = avail_idx;
#endif
        if
        :: atomic { index == last -> index = 0 }; sleep(host, sample)
        :: atomic { else -> index = 0; sample = 0 }
        fi;
        DISABLE_KICKS
     fi
  od
}
