// The part of the WebAssembly JavaScript interface that is used here. TypeScript declares it only together with
// the whole browser (lib "dom"), whose globals a Node program must not see.
declare namespace WebAssembly {
  interface MemoryDescriptor {
    initial: number;
    maximum?: number;
    shared?: boolean;
  }

  class Memory {
    constructor(descriptor: MemoryDescriptor);
    readonly buffer: ArrayBuffer | SharedArrayBuffer;
    grow(delta: number): number;
  }

  class Module {
    constructor(bytes: Uint8Array<ArrayBuffer>);
  }

  class Instance {
    constructor(module: Module, imports?: Record<string, Record<string, unknown>>);
    readonly exports: Record<string, unknown>;
  }

  class RuntimeError extends Error {}

  function validate(bytes: Uint8Array<ArrayBuffer>): boolean;
}
