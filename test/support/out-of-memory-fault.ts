/** Run by itself with a small heap: a machine whose host is given the fault `host-out-of-memory`. Prints what came of it as JSON. */
import { SessionRunner } from '../../workers/session.ts';
import { brokenInvariants, runFaults } from './fault-run.ts';

const sessions = new SessionRunner();
const run = await runFaults(sessions, 'vfio', 'host-out-of-memory@8');
await sessions.close();
console.log(JSON.stringify({ ...run.figures, broken: brokenInvariants(run), frames: run.guest.totalFrames[0] }));
