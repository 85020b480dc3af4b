/*
 * Reset: the driver asks for it at any time, with buffers in flight or after the device broke, waits until the device
 * says that it has seen the status, then reuses the ring's memory for the next life. As core/host/device.ts
 * (#pollRegisters, #changeStatus) and core/guest/driver.ts (#setStatus); the features' step is left out.
 *
 * spin looks for failed asserts: the device touches memory that the driver has taken back, or finds registers that a
 * late reset wiped; and for states from which nobody goes on.
 *
 * -DBROKEN_… breaks it in one place, see run.sh; each must be rejected.
 */

#define WRAP 8
#define DRIVER_OK 4
#define NEEDS_RESET 64

/* Registers. */
byte status, status_seen, device_status;
bit queue_ready;
/* The ring: one buffer at a time. */
bit available, used;
/* The driver has taken the ring's memory back. */
bit taken_back = 1;

typedef Bell { byte sequence; bit sleeper; bit waiting };
Bell host, guest;

inline ring(bell) {
  bell.sequence = (bell.sequence + 1) % WRAP;
  if
  :: bell.sleeper == 1 -> bell.waiting = 0
  :: else
  fi
}

inline sleep(bell, sample) {
  bell.sleeper = 1;
  atomic {
    if
    :: bell.sequence == sample -> bell.waiting = 1
    :: else
    fi
  };
  bell.waiting == 0;
  bell.sleeper = 0
}

/* #setStatus: writes it, kicks, waits until it was seen. */
inline set_status(value) {
  status = value;
  ring(host);
  do
  :: sample = guest.sequence;
     if
     :: status_seen == value -> break
     :: else -> sleep(guest, sample)
     fi
  od
}

active proctype driver() {
  byte sample, answer;
  do
  :: /* A life: the ring is laid out, the registers written. */
     assert(taken_back);
     available = 0;
     used = 0;
     queue_ready = 1;
     taken_back = 0;
     set_status(DRIVER_OK);
     answer = device_status;
     assert((answer & DRIVER_OK) != 0);
     /* Buffers go through, until the driver has had enough or the device is broken. */
     do
     :: available = 1;
        ring(host);
        do
        :: sample = guest.sequence;
           if
           :: used == 1 -> break
           :: else
           fi;
           answer = device_status;
           if
           :: (answer & NEEDS_RESET) != 0 -> goto reset
           :: else -> sleep(guest, sample)
           fi
        :: goto reset /* with the buffer in flight */
        od;
        available = 0;
        used = 0
     :: break
     od;
reset:
#ifdef BROKEN_NO_WAIT
     status = 0;
     ring(host);
#else
     set_status(0);
#endif
     taken_back = 1
  od
}

active proctype device() {
  byte seen_status, now, sample;
  bit open, broken, progressed, done;
  do
  :: sample = host.sequence;
     progressed = 0;
     /* #pollRegisters */
     now = status;
     if
     :: now != seen_status ->
        seen_status = now;
        progressed = 1;
#ifdef BROKEN_SEEN_FIRST
        status_seen = now;
#endif
        if
        :: now == 0 ->
#ifndef BROKEN_KEEPS_QUEUE
           open = 0;
#endif
           broken = 0;
           /* registers.reset() */
           queue_ready = 0;
           device_status = 0
        :: else ->
           assert(queue_ready);
           open = 1;
           done = 0;
           device_status = now
        fi;
#ifndef BROKEN_SEEN_FIRST
        status_seen = now;
#endif
#ifndef BROKEN_SILENT
        ring(guest)
#endif
     :: else
     fi;
     /* The queue. */
     if
     :: open && !broken ->
        assert(!taken_back);
        if
        :: available == 1 && used == 0 ->
           progressed = 1;
           if
           :: assert(!taken_back);
              used = 1;
              ring(guest)
           :: broken = 1;
              device_status = seen_status | NEEDS_RESET;
              ring(guest)
           fi
        :: else
        fi
     :: else
     fi;
     if
     :: progressed
     :: else -> sleep(host, sample)
     fi
  od
}
