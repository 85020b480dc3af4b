/** The C library, called through koffi: an optional dependency, and Linux only. Without it everything but native memory and sockets works. */
import { createRequire } from 'node:module';

/** A system call that failed. */
export class NativeError extends Error {
  /** As in errno(3), such as EINVAL. */
  readonly code: string;
  constructor(call: string, code: string, what = '') {
    super(`${call}: ${code}${what === '' ? '' : ` (${what})`}`);
    this.name = 'NativeError';
    this.code = code;
  }
}

export const PROT_READ_WRITE = 3;
export const MAP_SHARED = 1;
const MAP_PRIVATE = 2;
export const MAP_FIXED = 0x10;
const MAP_ANONYMOUS = 0x20;
const MAP_NORESERVE = 0x4000;
export const Seal = { SHRINK: 2, GROW: 4, WRITE: 8, FUTURE_WRITE: 16 } as const;

const MREMAP_MAYMOVE = 1;
const MREMAP_FIXED = 2;
const MFD_CLOEXEC = 1;
const MFD_ALLOW_SEALING = 2;
const EFD_CLOEXEC = 0x80000;
const EFD_NONBLOCK = 0x800;
const F_DUPFD_CLOEXEC = 1030;
const F_GETFL = 3;
const F_SETFL = 4;
const O_NONBLOCK = 0x800;
const LOCK_EX = 2;
const LOCK_NB = 4;
const F_ADD_SEALS = 1033;
const F_GET_SEALS = 1034;

type Native = (...parameters: unknown[]) => unknown;

/** The functions in use. Each throws NativeError where C's answers −1, unless said otherwise. */
export class Libc {
  readonly #errno: () => string;
  readonly #address: (pointer: unknown) => bigint;
  readonly #calls: Record<string, Native>;

  private constructor(errno: () => string, address: (pointer: unknown) => bigint, calls: Record<string, Native>) {
    this.#errno = errno;
    this.#address = address;
    this.#calls = calls;
  }

  /** Of this thread: made once, for each binding of a function stays. */
  static #loaded: Libc | string | null = null;

  /** @returns the library, or why it cannot be had and what to do */
  static load(): Libc | string {
    Libc.#loaded ??= Libc.#bind();
    return Libc.#loaded;
  }

  static #bind(): Libc | string {
    if (process.platform !== 'linux') return `native memory and vhost-user need Linux; this is ${process.platform}`;
    try {
      const koffi = createRequire(import.meta.url)('koffi') as typeof import('koffi');
      const library = koffi.load(null);
      // EWOULDBLOCK is another name of EAGAIN.
      const named = Object.entries(koffi.os.errno).filter(([name]) => name !== 'EWOULDBLOCK');
      const names = new Map(named.map(([name, value]) => [value, name]));
      const calls = Object.fromEntries(
        PROTOTYPES.map((prototype) => [/(\w+)\(/.exec(prototype)?.[1] ?? '', library.func(prototype) as Native]),
      );
      try {
        calls['malloc_trim'] = library.func('int malloc_trim(size_t pad)') as Native;
        calls['mallinfo2'] = library.func('mallinfo2', koffi.struct(MALLINFO2), []) as Native;
      } catch {
        // Not glibc, or one before 2.33.
      }
      return new Libc(
        () => names.get(koffi.errno()) ?? `errno ${koffi.errno()}`,
        (pointer) => koffi.address(pointer),
        calls,
      );
    } catch (error) {
      const missing = error instanceof Error && 'code' in error && error.code === 'MODULE_NOT_FOUND';
      if (missing) return 'koffi is not installed: npm install koffi';
      return `koffi cannot be loaded: ${error instanceof Error ? error.message : String(error)}`;
    }
  }

  /** Where memory lies that never moves: a SharedArrayBuffer's, or an ArrayBuffer's of its own. @param bytes at least one long */
  addressOf(bytes: Uint8Array): bigint {
    // The C library gives the pointer back that it is given.
    return this.#address(this.#calls['memchr']?.(bytes, bytes[0], 1));
  }

  /** Maps `bytes` at `address` (MAP_FIXED): what was mapped there is gone. */
  mmapFixed(address: bigint, bytes: number, flags: number, fd: number, offset: number): void {
    this.#check('mmap', this.#call('mmap', address, bytes, PROT_READ_WRITE, flags | MAP_FIXED, fd, offset));
  }

  /** Puts private zero pages in the place of whatever is mapped at `address`: who still reads reads zeros, never a hole. */
  mapZeros(address: bigint, bytes: number): void {
    this.mmapFixed(address, bytes, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  }

  /** Maps the pages of a shared mapping once more, at `to`, where whatever was mapped is gone. */
  mapAgain(from: bigint, bytes: number, to: bigint): void {
    // An old size of 0: the old mapping stays (mremap(2)).
    this.#check('mremap', this.#call('mremap', from, 0, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, to));
  }

  /** A file in memory, sealed so that nobody can shrink or grow it: an access past a file's end kills the process. */
  memfd(name: string, bytes: number): number {
    const fd = this.#check('memfd_create', this.#call('memfd_create', name, MFD_CLOEXEC | MFD_ALLOW_SEALING));
    this.#check('ftruncate', this.#call('ftruncate', fd, bytes));
    this.seal(fd, Seal.SHRINK | Seal.GROW);
    return fd;
  }

  /** Adds seals to a file in memory. */
  seal(fd: number, seals: number): void {
    this.#check('fcntl', this.#call('fcntl', fd, F_ADD_SEALS, 'int', seals));
  }

  /** Takes a file for this process until `fd` is closed. @returns whether nobody else has it; true where a file system has no such locks */
  lock(fd: number): boolean {
    return this.#call('flock', fd, LOCK_EX | LOCK_NB) === 0 || this.#errno() !== 'EAGAIN';
  }

  /** A file's seals; 0 for one that has none. */
  seals(fd: number): number {
    const seals = this.#call('fcntl', fd, F_GET_SEALS, 'int', 0);
    return seals < 0 ? 0 : seals;
  }

  /** Another descriptor of the same file. */
  duplicate(fd: number): number {
    return this.#check('fcntl', this.#call('fcntl', fd, F_DUPFD_CLOEXEC, 'int', 0));
  }

  /** ioctl(2). @returns what it answers, or an errno name */
  ioctl(fd: number, request: number, argument: Uint8Array): number | string {
    const answer = this.#call('ioctl', fd, request, 'void *', argument);
    return answer < 0 ? this.#errno() : answer;
  }

  /** A counter to wait for with poll(2). */
  eventfd(): number {
    return this.#check('eventfd', this.#call('eventfd', 0, EFD_CLOEXEC | EFD_NONBLOCK));
  }

  /** Not Node's: its workers warn of descriptors that they have not opened. */
  close(fd: number): void {
    this.#call('close', fd);
  }

  /** write(2). @returns bytes, or −1: whether the other end is there is its own matter */
  write(fd: number, bytes: Uint8Array): number {
    return this.#call('write', fd, bytes, bytes.length);
  }

  /** read(2). @returns bytes, or −1 when there are none */
  read(fd: number, bytes: Uint8Array): number {
    return this.#call('read', fd, bytes, bytes.length);
  }

  /** ppoll(2) of `count` struct pollfd. @param timeout a struct timespec @returns how many are ready; 0 also when interrupted */
  ppoll(fds: Uint8Array, count: number, timeout: Uint8Array): number {
    const ready = this.#call('ppoll', fds, count, timeout, null);
    if (ready >= 0) return ready;
    if (this.#errno() === 'EINTR') return 0;
    throw new NativeError('ppoll', this.#errno());
  }

  /** Sets O_NONBLOCK: nobody waits any more who reads or writes what the descriptor names. */
  nonBlocking(fd: number): void {
    const flags = this.#check('fcntl', this.#call('fcntl', fd, F_GETFL, 'int', 0));
    this.#check('fcntl', this.#call('fcntl', fd, F_SETFL, 'int', flags | O_NONBLOCK));
  }

  /** socket(2) of AF_UNIX, SOCK_STREAM unless given, whose connect answers EAGAIN where others wait already. */
  socket(type: number = SOCK_STREAM): number {
    return this.#check('socket', this.#call('socket', AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  }

  bind(fd: number, address: Uint8Array): void {
    this.#check('bind', this.#call('bind', fd, address, address.length));
  }

  connect(fd: number, address: Uint8Array): void {
    this.#check('connect', this.#call('connect', fd, address, address.length));
  }

  listen(fd: number): void {
    this.#check('listen', this.#call('listen', fd, 1));
  }

  /** @returns the connection, or −1 when there is none any more */
  accept(fd: number): number {
    const connection = this.#call('accept4', fd, null, null, SOCK_CLOEXEC);
    return connection < 0 && ['EAGAIN', 'EINTR', 'ECONNABORTED'].includes(this.#errno()) ? -1 : this.#check('accept4', connection);
  }

  /** Two connected sockets. */
  socketpair(): [number, number] {
    const pair = new Int32Array(2);
    this.#check('socketpair', this.#call('socketpair', AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
    return [pair[0], pair[1]];
  }

  /** recvmsg(2). @returns bytes, or an errno name */
  recvmsg(fd: number, header: Uint8Array, flags: number): number | string {
    const got = this.#call('recvmsg', fd, header, flags);
    return got < 0 ? this.#errno() : got;
  }

  /** sendmsg(2). @returns bytes, or an errno name */
  sendmsg(fd: number, header: Uint8Array, flags: number): number | string {
    const sent = this.#call('sendmsg', fd, header, flags);
    return sent < 0 ? this.#errno() : sent;
  }

  /** Reads a clock. @param time a struct timespec: seconds and nanoseconds, 64 bits each */
  clockGettime(clock: number, time: BigInt64Array): void {
    this.#check('clock_gettime', this.#call('clock_gettime', clock, time));
  }

  /** Gives memory that was freed back to the system (malloc_trim(3)). @returns false: this C library has no such call */
  trim(): boolean {
    if (this.#calls['malloc_trim'] === undefined) return false;
    this.#call('malloc_trim', 0);
    return true;
  }

  /** Bytes that the whole process has from malloc(3) and has not freed (mallinfo2(3)). @returns null: this C library does not say */
  allocated(): number | null {
    const info = this.#calls['mallinfo2']?.() as Record<keyof typeof MALLINFO2, number> | undefined;
    return info === undefined ? null : info.uordblks + info.hblkhd;
  }

  /** The CPUs that the calling thread may use, a bit each; those it starts from here on may use the same. */
  affinity(): Uint8Array {
    const mask = new Uint8Array(CPU_SET_BYTES);
    this.#check('sched_getaffinity', this.#call('sched_getaffinity', 0, CPU_SET_BYTES, mask));
    return mask;
  }

  /** @param mask as `affinity` gives it */
  setAffinity(mask: Uint8Array): void {
    this.#check('sched_setaffinity', this.#call('sched_setaffinity', 0, CPU_SET_BYTES, mask));
  }

  /** SO_SNDBUF: bytes on their way, as far as the system lets anybody. */
  sendBuffer(fd: number, bytes: number): void {
    this.#call('setsockopt', fd, SOL_SOCKET, SO_SNDBUF, new Int32Array([bytes]), 4);
  }

  /** SO_PEERCRED: the process that connected the socket, or that listened where it was connected. @returns its id; 0: the system does not say */
  peerProcess(fd: number): number {
    const credentials = new Int32Array(3);
    const bytes = new Int32Array([credentials.byteLength]);
    return this.#call('getsockopt', fd, SOL_SOCKET, SO_PEERCRED, credentials, bytes) < 0 ? 0 : credentials[0];
  }

  /** send(2), which neither waits nor ends this process where nobody is at the other end. @returns bytes, or an errno name */
  send(fd: number, bytes: Uint8Array): number | string {
    const sent = this.#call('send', fd, bytes, bytes.length, MSG_DONTWAIT | MSG_NOSIGNAL);
    return sent < 0 ? this.#errno() : sent;
  }

  /** recv(2), which does not wait, whatever others have made of the socket. @returns bytes; 0: nobody is at the other end; −1: nothing is there */
  recv(fd: number, bytes: Uint8Array): number {
    return this.#call('recv', fd, bytes, bytes.length, MSG_DONTWAIT);
  }

  #call(name: string, ...parameters: unknown[]): number {
    return Number(this.#calls[name]?.(...parameters));
  }

  #check(name: string, result: number): number {
    if (result === -1) throw new NativeError(name, this.#errno());
    return result;
  }
}

export const MSG_DONTWAIT = 0x40;
export const MSG_NOSIGNAL = 0x4000;
/** struct mallinfo2. In use: uordblks, and hblkhd, which are mappings of their own. */
const MALLINFO2 = {
  arena: 'size_t',
  ordblks: 'size_t',
  smblks: 'size_t',
  hblks: 'size_t',
  hblkhd: 'size_t',
  usmblks: 'size_t',
  fsmblks: 'size_t',
  uordblks: 'size_t',
  fordblks: 'size_t',
  keepcost: 'size_t',
} as const;
/** Of a cpu_set_t of 1024 CPUs. */
const CPU_SET_BYTES = 128;
const SOL_SOCKET = 1;
const SO_SNDBUF = 7;
const SO_PEERCRED = 17;
const AF_UNIX = 1;
const SOCK_STREAM = 1;
export const SOCK_DGRAM = 2;
const SOCK_CLOEXEC = 0x80000;
const SOCK_NONBLOCK = 0x800;

/** Addresses that are chosen by us, and errors, are numbers here: mmap's answer is never used as a pointer. */
const PROTOTYPES = [
  'void *memchr(const void *bytes, int value, size_t count)',
  'int64_t mmap(uint64_t address, size_t bytes, int prot, int flags, int fd, int64_t offset)',
  'int64_t mremap(uint64_t from, size_t old_bytes, size_t bytes, int flags, uint64_t to)',
  'int memfd_create(const char *name, unsigned int flags)',
  'int ftruncate(int fd, int64_t bytes)',
  'int fcntl(int fd, int command, ...)',
  'int flock(int fd, int operation)',
  'int ioctl(int fd, unsigned long request, ...)',
  'int eventfd(unsigned int value, int flags)',
  'int close(int fd)',
  'intptr_t write(int fd, const void *bytes, size_t count)',
  'intptr_t read(int fd, void *bytes, size_t count)',
  'int ppoll(void *fds, unsigned long count, const void *timeout, const void *mask)',
  'int socket(int domain, int type, int protocol)',
  'int bind(int fd, const void *address, unsigned int bytes)',
  'int connect(int fd, const void *address, unsigned int bytes)',
  'int listen(int fd, int backlog)',
  'int accept4(int fd, void *address, void *bytes, int flags)',
  'int socketpair(int domain, int type, int protocol, void *pair)',
  'intptr_t recvmsg(int fd, void *header, int flags)',
  'int setsockopt(int fd, int level, int option, const void *value, unsigned int bytes)',
  'int getsockopt(int fd, int level, int option, void *value, void *bytes)',
  'int clock_gettime(int clock, void *time)',
  'int sched_getaffinity(int pid, size_t bytes, void *mask)',
  'int sched_setaffinity(int pid, size_t bytes, const void *mask)',
  'intptr_t recv(int fd, void *bytes, size_t count, int flags)',
  'intptr_t send(int fd, const void *bytes, size_t count, int flags)',
  'intptr_t sendmsg(int fd, const void *header, int flags)',
] as const;
