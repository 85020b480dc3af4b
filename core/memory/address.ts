declare const guestPhysical: unique symbol;

/** A guest-physical address (also a DMA address: the model's IOMMU is identity). An integer ≤ 2^53 − 1. */
export type Gpa = number & { readonly [guestPhysical]: true };

export const PAGE_SIZE = 4096;

export const pageAlign = (bytes: number): number => Math.ceil(bytes / PAGE_SIZE) * PAGE_SIZE;
