import { Libc } from '../../../workers/native/libc.ts';
import { type Mutant, mutantsOf } from '../mutant.ts';

const SESSION = ['unit/workers/vhost-user-session'];
const ATTACK = ['unit/workers/vhost-user-attack'];
const REQUESTS = ['unit/workers/vhost-user-requests'];
const RESTART = ['unit/workers/vhost-user-restart'];
const TRANSPORT = ['unit/workers/guest-transport'];
const LIFE = ['unit/workers/vhost-user-life'];
const NATIVE = ['unit/workers/native'];

const MESSAGES: readonly Mutant[] = [
  ...mutantsOf('vhost-user/message', 'core/protocol/vhost-user.ts', ['unit/protocol/vhost-user'], {
    'version-not-looked-at': [
      'if ((flags & VHOST_VERSION_MASK) !== VHOST_VERSION)\n    return `request',
      'if (false)\n    return `request',
    ],
    'reply-as-a-request': 'if ((flags & VHOST_REPLY) !== 0)',
    'unknown-request': ['if (known === undefined) return', 'if (known === undefined) return null;\n  if (false) return'],
    'size-too-small': ['size < known.least || ', ''],
    'size-too-large': [' || size > known.most', ''],
    'any-request-of-a-back-end': ['request !== VhostUserBackend.CONFIG_CHANGE || size !== 0', 'size !== 0'],
    'payload-of-a-config-change': ['VhostUserBackend.CONFIG_CHANGE || size !== 0', 'VhostUserBackend.CONFIG_CHANGE'],
    'flags-of-a-config-change': ['(flags & (VHOST_VERSION_MASK | VHOST_REPLY)) !== VHOST_VERSION', 'false'],
    'answer-not-marked': 'if ((flags & VHOST_REPLY) === 0)',
    'answer-too-long': 'if (size > MAX_PAYLOAD)',
    'table-of-too-many-regions': 'if (count > MAX_REGIONS)',
    'table-without-its-bytes': 'if (payload.byteLength < 8 + 32 * count)',
    'table-without-its-files': 'if (fds !== count)',
    'u64-past-2^53': ['Number.isSafeInteger(value) ? value : Number.POSITIVE_INFINITY', 'value'],
  }),
];

/** Their tests need koffi. */
const WORKERS: readonly Mutant[] = [
  ...mutantsOf('vhost-user/back-end', 'workers/vhost-user/back-end.ts', SESSION, {
    'rings-left-stopped-by-a-new-table': [
      'for (const index of moved) this.#pause(index);',
      'for (const index of moved) this.#stop(index);',
    ],
    'rings-not-looked-for-in-a-new-table': ['for (const index of moved) this.#start(index);', ''],
    'cursor-queue-left-stopped-by-a-new-driver': [
      'for (const index of running) this.#pause(index);',
      'for (const index of running) this.#stop(index);',
    ],
    'new-driver-finds-what-was-made': [
      '    this.#device.reset();\n    this.#device.acceptFeatures();',
      '    this.#device.acceptFeatures();',
    ],
    'new-driver-without-features': ['this.#device.reset();\n    this.#device.acceptFeatures();', 'this.#device.reset();'],
    'broken-ring-not-signalled': ['this.#signalError(index);\n      this.#stop(index);', 'this.#stop(index);'],
    'ring-that-cannot-be-opened-not-signalled': ['this.#signalError(index);\n      return;', 'return;'],
    'pause-forgets-where-it-stood': ['queue.base = this.#device.stopQueue(index);', 'this.#device.stopQueue(index);'],
  }),
  ...mutantsOf('vhost-user/back-end', 'workers/vhost-user/back-end.ts', ATTACK, {
    'any-descriptor-as-an-event': 'if (fault !== null)',
    'descriptors-of-an-unknown-queue-kept': [
      'for (const fd of fds) this.#hooks.close(fd);\n      throw new PeerError(`there is no queue',
      'throw new PeerError(`there is no queue',
    ],
    'descriptors-left-open': "for (const key of ['kick', 'call', 'err'] as const) this.#setFd(queue, key, -1);",
    'requests-socket-left-open': ['this.#requests?.close();\n    this.#requests = null;', ''],
  }),
  ...mutantsOf('vhost-user/guest-memory', 'workers/vhost-user/guest-memory.ts', ATTACK, {
    'region-kept-twice': 'left.delete(mapped);',
    'files-left-open': 'for (const fd of fds) this.#close(fd);',
  }),
  ...mutantsOf('vhost-user/back-end', 'workers/vhost-user/back-end.ts', RESTART, {
    'kept-position-not-taken': 'if (kept !== null) queue.base = kept;',
    'front-end-that-has-an-answer-unseen': 'queue.given = queue.base;',
    'no-interrupt-for-one-that-goes-on':
      'if (queue.base !== (this.#isPacked ? PACKED_BEGIN : 0) && queue.call >= 0) this.#hooks.signal(queue.call);',
  }),
  ...mutantsOf('vhost-user/back-end', 'workers/vhost-user/back-end.ts', ['unit/workers/back-end'], {
    'configuration-with-any-flags': 'if (flags > 1)',
  }),
  ...mutantsOf('vhost-user/kept-rings', 'workers/vhost-user/kept-rings.ts', RESTART, {
    'chain-that-was-seen-comes-again': [' && used === (base & 0xffff)', ''],
    'chain-that-comes-again-not-known': ['inUse !== null && ', 'false && '],
  }),
  ...mutantsOf('vhost-user/kept-state', 'workers/vhost-user/kept-state.ts', ['unit/workers/kept-state'], {
    'kept-before-it-is-answered': [
      'this.#taken.set(chain.head, request);',
      'this.#taken.set(chain.head, request);\n    this.answered(chain.head, 0);',
    ],
    'last-line-of-a-chain-that-comes-again': ['if (last.position === again) this.#rewrite();\n    else this', 'this'],
    'last-line-forgotten': ['else this.#note(last.request);', ''],
    'last-line-without-its-place': [', this.#last.position)', ')'],
  }),
  ...mutantsOf('vhost-user/own-requests', 'workers/vhost-user/own-requests.ts', REQUESTS, {
    'full-socket-taken-for-a-closed-one': "if (error.code === 'EAGAIN') return;",
    'closed-socket-said-each-time': 'this.#gone = true;',
  }),
  ...mutantsOf('vhost-user/host-session', 'workers/vhost-user/host-session.ts', REQUESTS, {
    'display-not-looked-at': 'if (this.#remote.poll()) progressed = true;',
  }),
  ...mutantsOf('vhost-user/guest-transport', 'workers/vhost-user/guest-transport.ts', TRANSPORT, {
    'change-unseen-while-there-is-work': 'if (++this.#turns % TURNS_PER_LOOK === 0 && this.#polls.wait(0) > 0) this.#look();',
    'change-without-a-driver': ['came > 0 && this.#running', 'came > 0'],
    'closed-requests-listened-to': 'this.#polls.set(REQUESTS, -1);',
    'generation-not-counted': 'registers.bumpConfigGeneration();',
  }),
  ...mutantsOf('vhost-user/connection', 'workers/vhost-user/connection.ts', ATTACK, {
    'descriptors-of-a-part-left-open': [
      'this.#socket.closeAll(this.#fds);\n    this.#fds = [];\n    this.#socket.close();',
      'this.#socket.close();',
    ],
    'descriptors-that-nobody-wants-left-open': ['this.#socket.closeAll(fds);\n      throw', 'throw'],
    'gone-before-the-answer-is-an-error': ['GONE.has(error.code) ? HUNG_UP : error.message', 'error.message'],
  }),
  ...mutantsOf('vhost-user/native', 'workers/native/mapping.ts', NATIVE, {
    'file-that-can-shrink': ['if (!unsealed && (this.#libc.seals(fd) & Seal.SHRINK) === 0) {', 'if (false) {'],
    'past-the-end': 'if (offset + bytes > size)',
    'part-of-a-page': ['bytes % PAGE_SIZE !== 0 ||\n      ', ''],
    'file-stays-mapped': 'this.#libc.mapZeros(this.#address(memory), bytes);',
    'a-memory-for-each-size': ['Math.max(LEAST_BYTES, 2 ** Math.ceil(Math.log2(bytes)))', 'bytes'],
  }),
  ...mutantsOf('vhost-user/native', 'workers/native/socket.ts', NATIVE, {
    'descriptors-cut-off-left-open': ['this.closeAll(fds.splice(before));', ''],
    'descriptors-cut-off-not-seen': ['(this.#view.getInt32(48, true) & MSG_CTRUNC) !== 0 || fds.length > MOST_FDS', 'false'],
  }),
  ...mutantsOf('vhost-user/native', 'workers/native/event-fd.ts', NATIVE, {
    'no-eventfd': "if (what !== 'anon_inode:[eventfd]')",
  }),
  ...mutantsOf('vhost-user/host-worker', 'workers/vhost-user/host-worker.ts', LIFE, {
    'live-host-replaced': 'if (holder !== null)',
    'left-socket-taken-for-a-live-one': ["if (error instanceof NativeError && error.code === 'ECONNREFUSED') return null;", ''],
    'looked-for-by-connecting': ['libc.socket(SOCK_DGRAM)', 'libc.socket()'],
  }),
];

export const VHOST_USER: readonly Mutant[] = [...MESSAGES, ...(typeof Libc.load() === 'string' ? [] : WORKERS)];
