import { fileOf, placeOf } from './call-tree.ts';

/** A place that allocated, with all that was sampled there, bytes. */
export interface HeapSite {
  readonly name: string;
  readonly place: string;
  readonly bytes: number;
}

interface HeapNode {
  readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number };
  readonly selfSize: number;
  readonly children: readonly HeapNode[];
}

/** Of a .heapprofile (Chrome DevTools Protocol, HeapProfiler.SamplingHeapProfile) the places that allocated, the most first. */
export function heapSites(text: string | null): HeapSite[] {
  if (text === null) return [];
  const { head } = JSON.parse(text) as { head: HeapNode };
  const byPlace = new Map<string, HeapSite>();
  const visit = ({ callFrame, selfSize, children }: HeapNode): void => {
    if (selfSize > 0) {
      const name = callFrame.functionName === '' ? '(anonymous)' : callFrame.functionName;
      const place = placeOf({ file: fileOf(callFrame.url), line: callFrame.lineNumber + 1 });
      const before = byPlace.get(`${name} ${place}`)?.bytes ?? 0;
      byPlace.set(`${name} ${place}`, { name, place, bytes: before + selfSize });
    }
    for (const child of children) visit(child);
  };
  visit(head);
  return [...byPlace.values()].sort((a, b) => b.bytes - a.bytes);
}
