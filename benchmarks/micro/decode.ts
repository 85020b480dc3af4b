/** Decoding each command of the protocol. */
import { Command, type CommandName } from '../../core/protocol/constants.ts';
import { decodeRequest, requestBytes } from '../../core/protocol/request.ts';
import type { MicroBenchmark } from './benchmark.ts';

/** Word of `nr_entries`, for the commands that have memory entries. */
const ENTRIES_WORD: Partial<Record<CommandName, number>> = { RESOURCE_ATTACH_BACKING: 7, RESOURCE_CREATE_BLOB: 9 };
const ENTRY_BYTES = 16;

export const DECODE_BENCHMARKS: readonly MicroBenchmark[] = (Object.keys(Command) as CommandName[]).map((name) => ({
  name: `decode/${name}`,
  unit: 'ns/call',
  limit: null,
  threads: 1,
  setUp: () => {
    const bytes = requestOf(name);
    return {
      run: (count) => {
        for (let i = 0; i < count; i++) {
          const request = decodeRequest(bytes);
          if ('error' in request) throw new Error(request.error);
        }
      },
    };
  },
}));

/** The shortest request of that name, with one memory entry where it has any. */
function requestOf(name: CommandName): Uint8Array {
  const entriesWord = ENTRIES_WORD[name];
  const bytes = new Uint8Array(requestBytes(name) + (entriesWord === undefined ? 0 : ENTRY_BYTES));
  const view = new DataView(bytes.buffer);
  view.setUint32(0, Command[name], true);
  if (entriesWord !== undefined) view.setUint32(4 * entriesWord, 1, true);
  return bytes;
}
