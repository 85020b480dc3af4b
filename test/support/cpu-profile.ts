import type { CpuProfile, CpuProfileNode, ProfileOrigin } from '../../benchmarks/profile/cpu-profile.ts';

/** A function, as `name file:line`, and what it calls. */
export interface Tree {
  readonly [place: string]: Tree;
}

/** A profile of that tree, sampled once a millisecond: `samples` names the functions on top, by name. */
export function buildProfile(tree: Tree, samples: readonly string[], scanout?: ProfileOrigin): CpuProfile {
  const nodes: CpuProfileNode[] = [];
  const byName = new Map<string, number>();
  const add = (place: string, below: Tree): number => {
    const [, functionName = '', at = ''] = /^(\(.*\)|\S+)(?: (.*))?$/.exec(place) ?? [];
    const [, url = '', line = '0'] = /^(.*?)(?::(\d+))?$/.exec(at) ?? [];
    const id = nodes.length + 1;
    byName.set(functionName, id);
    const children: number[] = [];
    nodes.push({ id, callFrame: { functionName, url, lineNumber: Number(line) - 1 }, children });
    for (const [child, rest] of Object.entries(below)) children.push(add(child, rest));
    return id;
  };
  add('(root)', tree);
  return {
    nodes,
    startTime: 0,
    endTime: samples.length * 1000,
    samples: samples.map((name) => byName.get(name) ?? 0),
    timeDeltas: samples.map((_, i) => (i === 0 ? 0 : 1000)),
    ...(scanout === undefined ? {} : { scanout }),
  };
}

/** Each name so often, in turns: no two samples of one function follow each other where there are others. */
export function inTurns(counts: Readonly<Record<string, number>>): string[] {
  const left = Object.entries(counts).map(([name, count]) => ({ name, count }));
  const samples: string[] = [];
  while (left.some(({ count }) => count > 0)) {
    for (const one of left) {
      if (one.count === 0) continue;
      one.count--;
      samples.push(one.name);
    }
  }
  return samples;
}
