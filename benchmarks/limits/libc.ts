import { type Measured, reasonOf, unavailable } from './available.ts';

/** The C library's functions that are called through koffi. */
export interface Libc {
  /** Bytes must not overlap; the views must be at least `bytes` long. */
  memcpy(to: Uint8Array, from: Uint8Array, bytes: number): void;
  /** True when memfd_create(2) makes a file that can be sealed. */
  hasMemfd(): boolean;
}

const MFD_CLOEXEC = 1;
const MFD_ALLOW_SEALING = 2;

/** Loads koffi, which is an optional dependency: without it nothing else is missing. */
export async function loadLibc(): Promise<Measured<Libc>> {
  try {
    const { default: koffi } = await import('koffi');
    // Node itself is linked with the C library, under whatever file name that has here.
    const library = koffi.load(null);
    const memcpy = library.func('void memcpy(void *to, void *from, size_t bytes)');
    return {
      value: {
        memcpy: (to, from, bytes) => void memcpy(to, from, bytes),
        hasMemfd: () => {
          try {
            const create = library.func('int memfd_create(const char *name, unsigned int flags)');
            const descriptor = Number(create('scanout-probe', MFD_CLOEXEC | MFD_ALLOW_SEALING));
            if (descriptor < 0) return false;
            library.func('int close(int fd)')(descriptor);
            return true;
          } catch {
            return false; // a C library older than the call, or another system
          }
        },
      },
    };
  } catch (error) {
    const missing = error instanceof Error && 'code' in error && error.code === 'ERR_MODULE_NOT_FOUND';
    return unavailable(missing ? 'koffi is not installed' : `koffi cannot be loaded: ${reasonOf(error)}`);
  }
}
