import { parseArgs } from 'node:util';
import { doctor } from '../doctor.ts';
import { type Command, UsageError } from './command.ts';

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
    let values: { json?: boolean; help?: boolean };
    try {
      values = parseArgs({ args: argv, options: { json: { type: 'boolean' }, help: { type: 'boolean', short: 'h' } } }).values;
    } catch (error) {
      throw new UsageError(`${(error as Error).message.split('. ')[0]}; see scanout doctor --help`);
    }
    io.stdout(values.help === true ? HELP : await doctor(values.json === true));
    return 0;
  },
};
