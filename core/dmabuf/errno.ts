/** The kernel's error numbers that this model returns, or the kernel itself where it is asked, by name. */
export type Errno =
  | 'EAGAIN'
  | 'EBADF'
  | 'EBADFD'
  | 'EBUSY'
  | 'EINVAL'
  | 'EMFILE'
  | 'ENFILE'
  | 'ENODEV'
  | 'ENOMEM'
  | 'ENOSPC'
  | 'EOPNOTSUPP'
  | 'EOVERFLOW'
  | 'ETIMEDOUT';

/** What a system call of the model answers; `why` names the rule that was broken, for logs and reports. */
export type Result<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly errno: Errno; readonly why: string };

export type Failure = Extract<Result<never>, { ok: false }>;

/** Success without a value: one object for all, so that success never allocates. */
export const OK: Result<void> = Object.freeze({ ok: true, value: undefined });

export const fail = (errno: Errno, why: string): Failure => ({ ok: false, errno, why });
