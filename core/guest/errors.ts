/** The host did not answer as the protocol says it must: the driver cannot go on. */
export class DriverError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'DriverError';
  }
}

/**
 * The device that this driver set up is gone: another host has taken its place, or the driver gives it up. Everything
 * that was negotiated and sent belongs to the past; whoever runs the driver resets the device and makes a new one.
 */
export class DeviceLost extends DriverError {
  override name = 'DeviceLost';
}

/** A buffer could not be had: there is no memory for it, or the host refused it. Nothing is kept of it, and the driver goes on. */
export class AllocationError extends DriverError {
  override name = 'AllocationError';
}
