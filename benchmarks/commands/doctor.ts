import { doctor } from '../doctor.ts';
import { type Command, EXIT_INTERRUPTED } from './command.ts';
import { HELP_FLAG, parseFlags } from './flags.ts';

const HELP = `Usage: scanout doctor [--json]

Says what this machine can do, and what follows from it for a run.

  --json   prints the findings as JSON
  --help   prints this

Examples:
  scanout doctor
  scanout doctor --json
`;

export const doctorCommand: Command = {
  name: 'doctor',
  summary: 'say what this machine can do',
  help: HELP,
  async run(argv, io) {
    const { values } = parseFlags({ args: argv, options: { json: { type: 'boolean', default: false }, help: HELP_FLAG } });
    if (values.help) {
      io.stdout(HELP);
      return 0;
    }
    const text = await doctor(values.json);
    if (io.signal.aborted) return EXIT_INTERRUPTED;
    io.stdout(text);
    return 0;
  },
};
