/** A clinic tool in a process of its own, which can be ended with all that it started. Argument: a ClinicPlan as JSON. */
import { createRequire } from 'node:module';
import { endWithParent } from '../end-with-parent.ts';
import { writeJavaScript } from './strip-types.ts';

export interface ClinicPlan {
  /** Path of clinic's package.json. */
  readonly clinic: string;
  /** Name of the tool's package. */
  readonly tool: string;
  readonly dest: string;
  readonly name: string;
  /** The Node that runs the profiled program. */
  readonly node: string;
  readonly target: string;
  readonly args: readonly string[];
  /** Where the program goes as JavaScript, for a Node that strips no types; null: it runs as it is. */
  readonly strip: { readonly root: string; readonly into: string } | null;
}

interface Tool {
  collect(argv: readonly string[], done: (error: Error | null, path: string) => void): void;
  visualize(path: string, html: string, done: (error: Error | null) => void): void;
}

endWithParent();
const plan = JSON.parse(process.argv[2] ?? '{}') as ClinicPlan;
const { node, target, args, strip } = plan;
const program = strip === null ? target : writeJavaScript(target, strip.root, strip.into);
const Tool = createRequire(plan.clinic)(plan.tool) as new (settings: object) => Tool;
const tool = new Tool({ dest: plan.dest, name: plan.name });
tool.collect([node, program, ...args], (failed, path) => {
  if (failed !== null && failed !== undefined) throw failed;
  const html = `${path}.html`;
  tool.visualize(path, html, (error) => {
    if (error !== null && error !== undefined) throw error;
    process.stdout.write(`\n${JSON.stringify({ html })}\n`);
  });
});
