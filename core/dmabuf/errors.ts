/**
 * A caller broke a rule of the dma-buf contract: a bug of ours (the kernel would warn or crash), never the
 * guest's or the user's mistake. Those get an errno.
 */
export class ContractError extends Error {
  override name = 'ContractError';
}

/** The reservation lock was held where it must not be, or not held where it must be (virtio-gpu §2, lock rules). */
export class LockError extends ContractError {
  override name = 'LockError';
}

/** Something was used after its last reference was dropped, or an attachment after its detach. */
export class UseAfterFreeError extends ContractError {
  override name = 'UseAfterFreeError';
}
