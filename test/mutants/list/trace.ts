import { mutantsOf } from '../mutant.ts';

const TRACE = ['unit/trace/trace'];
const SINK = ['unit/sink/timer', 'unit/sink/limits', 'unit/sink/pixels'];

/** What is read from a file and played, and what takes frames. */
export const TRACE_MUTANTS = [
  ...mutantsOf('trace/read', 'core/trace/read.ts', TRACE, {
    empty: 'if (lines.length === 0)',
    'blank-line': "if (text.trim() === '')",
    'not-an-object': ['if (!isObject(value)) throw', 'if (false) throw'],
    'no-header': "if (fields['trace'] !== 'virtio-gpu-commands')",
    'unknown-version': "if (fields['version'] !== 1)",
    'config-not-an-object': 'if (!isObject(config))',
    'config-value-not-a-string': "if (typeof value !== 'string')",
    'features-not-a-number': "if (typeof text !== 'string' || !/^0x[0-9a-f]{1,16}$/.test(text))",
    'regions-not-an-array': 'if (!Array.isArray(list))',
    'region-not-an-object': 'if (!isObject(region))',
    'region-address-not-exact': 'if (!Number.isSafeInteger(gpa))',
    'region-of-unknown-kind': "if (kind !== 'ram' && kind !== 'device')",
    'regions-overlap': 'if (regions.some((other) => gpa < other.gpa + other.size && other.gpa < gpa + size))',
    'request-not-base64': 'if (request === null)',
    'lengths-of-another-sum': 'if (sum !== request.length)',
    'list-not-an-array': 'if (!Array.isArray(value))',
    'number-not-an-integer': ['!Number.isSafeInteger(value) || ', ''],
    'number-too-small': ['value < least || ', ''],
    'number-too-large': [' || value > most', ''],
    'unknown-key': 'if (!known.includes(key))',
  }),
  ...mutantsOf('trace/base64', 'core/trace/base64.ts', TRACE, {
    'length-not-of-fours': 'if (text.length % 4 !== 0)',
    'character-of-no-value': 'if (value === INVALID)',
  }),
  ...mutantsOf('machine/workload-driver', 'core/machine/workload-driver.ts', ['unit/machine/workload-player'], {
    'error-taken-for-an-answer': 'if (type < Response.OK_NODATA || type >= Response.ERR_UNSPEC)',
    'answer-without-its-fence': 'if (this.#fenced[chain] !== 0 && !this.#signals(chain))',
    'fence-of-another': [' && rings.u32[answer + Header.fenceLo] === rings.u32[request + Header.fenceLo]', ''],
  }),
  ...mutantsOf('sink/timer', 'core/sink/timer.ts', SINK, {
    'heads-none': ['!(timing.heads > 0) || ', ''],
    'period-negative': ['!(timing.periodNs >= 0) || ', ''],
    'scanout-time-negative': ['!(timing.scanoutNs >= 0) || ', ''],
    'phase-not-finite': [' || !Number.isFinite(timing.phaseNs)', ''],
    'scanout-unknown': 'if (!(scanout >= 0 && scanout < this.#heads))',
    'frames-past-their-room': 'if (this.#count === this.#state.length) this.#grow();',
    'releases-without-bound': ['released < RELEASES_PER_POLL && ', ''],
  }),
  ...mutantsOf('sink/display', 'core/sink/display.ts', SINK, {
    'image-past-its-buffer': [' || image.offset + (image.height - 1) * image.stride + rowBytes > segments.length', ''],
    'textures-past-the-bound': 'if (this.#textureBytes - (present?.bytes ?? 0) + bytes > this.#maxTextureBytes)',
    'no-memory': 'if (region === null)',
  }),
];
