/** Run by itself with a small heap: a host that fills it, then the same session in good health. Prints both outcomes as JSON. */
import { monotonicNowNs } from '../../core/measure/clock.ts';
import { SessionRunner } from '../../workers/session.ts';
import { SHORT, scriptedPlan } from './scripted-plan.ts';

const runner = new SessionRunner(new URL('./scripted-side.ts', import.meta.url).href);
const begun = monotonicNowNs();
const sick = await runner.run(scriptedPlan({ host: { act: 'out of memory' } }), SHORT, 20_000);
const ms = (monotonicNowNs() - begun) / 1e6;
const sound = await runner.run(scriptedPlan({}), SHORT, 20_000);
await runner.close();
console.log(JSON.stringify({ sick, ms, sound: sound.kind }));
