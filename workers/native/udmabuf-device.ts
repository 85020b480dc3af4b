/** The kernel's /dev/udmabuf, looked at without using it. */
import { accessSync, constants, existsSync, readFileSync } from 'node:fs';

export const UDMABUF_DEVICE = '/dev/udmabuf';

/** A device file: 'absent', or there but not for this user. */
export type DeviceAccess = 'usable' | 'no permission' | 'absent';

export function udmabufAccess(path: string = UDMABUF_DEVICE): DeviceAccess {
  if (!existsSync(path)) return 'absent';
  try {
    accessSync(path, constants.R_OK | constants.W_OK);
    return 'usable';
  } catch {
    return 'no permission';
  }
}

/** The driver's limits (module parameters), null where it is not loaded. */
export function udmabufLimits(): { listLimit: number | null; sizeLimitMb: number | null } {
  return { listLimit: parameter('list_limit'), sizeLimitMb: parameter('size_limit_mb') };
}

function parameter(name: string): number | null {
  try {
    const value = Number(readFileSync(`/sys/module/udmabuf/parameters/${name}`, 'utf8').trim());
    return Number.isFinite(value) ? value : null;
  } catch {
    return null;
  }
}
