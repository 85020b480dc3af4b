/**
 * Runs Node on the arguments, in this process's group, and ends as it does: sooner, and all of the group with it, when the
 * process that started this one is gone. Start it `detached`, with a pipe for its standard input.
 */
import { spawn } from 'node:child_process';
import { endWithParent } from '../../benchmarks/end-with-parent.ts';

endWithParent();
const child = spawn(process.execPath, process.argv.slice(2), { stdio: 'ignore' });
child.on('error', () => process.exit(1));
child.on('exit', (code) => process.exit(code ?? 1));
