declare const guestPhysical: unique symbol;
declare const regionOffset: unique symbol;

/** A guest-physical address (also a DMA address: the model's IOMMU is identity). An integer ≤ 2^53 − 1. */
export type Gpa = number & { readonly [guestPhysical]: true };
/** A byte offset inside one memory region. */
export type RegionOffset = number & { readonly [regionOffset]: true };

export const gpa = (value: number): Gpa => value as Gpa;
export const offsetInRegion = (value: number): RegionOffset => value as RegionOffset;

export const PAGE_SIZE = 4096;
export const PAGE_SHIFT = 12;

export const pageAlign = (bytes: number): number => Math.ceil(bytes / PAGE_SIZE) * PAGE_SIZE;
