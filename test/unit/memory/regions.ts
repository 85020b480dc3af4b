import { createSharedMemory, MemoryRegion } from '../../../core/memory/region.ts';

/** A RAM region for a test. */
export function testRegion(id: number, gpa: number, size: number, memory = createSharedMemory(size)): MemoryRegion {
  return new MemoryRegion({ id, name: `region${id}`, kind: 'ram', gpa, size, device: null, bar: null, memory });
}
