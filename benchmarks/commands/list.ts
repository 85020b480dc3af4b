import { FAULTS } from '../../core/machine/faults.ts';
import { COPIES, PATHS, type Path } from '../../core/machine/options.ts';
import { SUITES } from '../suites.ts';
import type { Command } from './command.ts';
import { HELP_FLAG, parseFlags } from './flags.ts';

const HELP = `Usage: scanout list [--json]

Lists the suites with the question each answers, the paths compared, and the
faults that a run can inject.

  --json   prints {suites: [{name, summary, question, scenarios: [id]}],
           paths: [{name}], faults: [{name, summary, outcome}]}
  --help   prints this

Examples:
  scanout list
  scanout list --json
`;

const PATH_WORDS: Readonly<Record<Path, string>> = {
  vfio: "imported from the GPU's own memory (its BAR)",
  udmabuf: 'imported from guest RAM',
  'readback-blob': 'read back into a dumb buffer, which is imported',
  copy: 'drawn into a dumb buffer, transferred to the host',
  'readback-copy': 'read back, then transferred to the host',
};

export const listCommand: Command = {
  name: 'list',
  summary: 'list suites, paths and faults, each with a line of what it is',
  help: HELP,
  async run(argv, io) {
    const { values } = parseFlags({ args: argv, options: { json: { type: 'boolean', default: false }, help: HELP_FLAG } });
    if (values.help) {
      io.stdout(HELP);
      return 0;
    }
    if (values.json) {
      const suites = SUITES.map(({ name, summary, study, scenarios }) => ({
        name,
        summary,
        question: study?.question ?? null,
        scenarios: scenarios().map(({ id }) => id),
      }));
      const paths = PATHS.map((path) => ({ name: path, copies: COPIES[path], summary: PATH_WORDS[path] }));
      const faults = FAULTS.map(({ name, summary, outcome }) => ({ name, summary, outcome }));
      io.stdout(`${JSON.stringify({ suites, paths, faults }, null, 2)}\n`);
      return 0;
    }
    const lines = ['Suites (scanout run --suite NAME):'];
    for (const { name, summary } of SUITES) lines.push(...wrapped(`  ${name.padEnd(13)}`, summary));
    lines.push('', 'Paths, with the copies of each pixel before the sink:');
    for (const path of PATHS) lines.push(`  ${path.padEnd(14)} ${COPIES[path]}  ${PATH_WORDS[path]}`);
    lines.push('', 'Faults (scanout run --fault NAME[@FRAME]), each with what must come of it:');
    for (const { name, summary, outcome } of FAULTS) lines.push(`  ${name}`, ...wrapped('     ', `${summary}: ${outcome}`));
    io.stdout(`${lines.join('\n')}\n`);
    return 0;
  },
};

function wrapped(head: string, text: string): string[] {
  const lines: string[] = [];
  let line = head;
  // A number stays with its unit.
  for (const word of text.split(/ (?!(?:s|min)\b)/)) {
    if (line.length + 1 + word.length > 80) {
      lines.push(line);
      line = ' '.repeat(head.length);
    }
    line += ` ${word}`;
  }
  return [...lines, line];
}
