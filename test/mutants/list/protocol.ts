import { mutantsOf } from '../mutant.ts';

const REQUEST = ['unit/protocol/request'];
const RESPONSE = ['unit/protocol/response'];
const BOTH = [...REQUEST, ...RESPONSE];
const EDID = ['unit/protocol/edid'];

export const PROTOCOL = [
  ...mutantsOf('protocol/codec', 'core/protocol/codec.ts', BOTH, {
    'fixed-part-short': 'if (bytes.length < plan.bytes)',
    'fixed-part-short-by-one': ['bytes.length < plan.bytes', 'bytes.length < plan.bytes - 1'],
    'entries-missing': 'if (missing > 0)',
    'entries-missing-off-by-one': ['missing > 0', 'missing > 1'],
    'entries-counted-from-the-start': ['(bytes.length - plan.bytes)', 'bytes.length'],
    'header-without-room': 'if (view.byteLength < Size.header)',
    'ring-idx-past-u8': "if (u32(fields.ringIdx, 'ringIdx') > 0xff)",
    'header-padding-past-u24': 'if (headerPad > 0xffffff)',
    'u32-not-a-number': ["typeof value !== 'number' || ", '', 'Number.isInteger is false of what is no number: the check is for the types'],
    'u32-not-an-integer': ['!Number.isInteger(value) || ', ''],
    'u32-negative': [' || value < 0', ''],
    'u32-too-large': [' || value > 0xffffffff', ''],
    'u32-off-by-one': ['value > 0xffffffff', 'value > 0x100000000'],
    'trailing-bytes-lost': 'if (bytes.length > end)',
  }),
  ...mutantsOf('protocol/request', 'core/protocol/request.ts', REQUEST, {
    'shorter-than-a-header': 'if (bytes.length < Size.header)',
    'shorter-by-one': ['bytes.length < Size.header', 'bytes.length < Size.header - 1'],
    'unknown-type': 'if (known === undefined)',
    'unknown-name': 'if (plan === undefined)',
  }),
  ...mutantsOf('protocol/response', 'core/protocol/response.ts', RESPONSE, {
    'shorter-than-a-header': 'if (bytes.length < Size.header)',
    'unknown-type': 'if (name === undefined)',
    'display-info-short': 'if (bytes.length < Size.respDisplayInfo)',
    'edid-short': 'if (bytes.length < Size.respEdid)',
    'edid-longer-than-its-room': 'if (size > EDID_MAX_BYTES)',
    'edid-off-by-one': ['size > EDID_MAX_BYTES', 'size > EDID_MAX_BYTES + 1'],
    'uuid-short': 'if (bytes.length < Size.respResourceUuid)',
    'display-info-heads': 'if (count !== MAX_SCANOUTS)',
    'array-of-another-length': 'if (data.length !== bytes)',
    'edid-length-unchecked': "exactly('edid', response.edid, EDID_MAX_BYTES);",
    'uuid-length-unchecked': "exactly('uuid', response.uuid, UUID_BYTES);",
  }),
  ...mutantsOf('protocol/write-response', 'core/protocol/write-response.ts', RESPONSE, {
    'edid-past-its-room': ['edid.length < EDID_MAX_BYTES ? edid.length : EDID_MAX_BYTES', 'edid.length'],
    'edid-rest-not-zeroed': [' && i + b < size', '', 'past the end of an EDID its bytes are undefined, which is 0 in a word'],
    'edid-read-past-its-room': ['Math.min(w[at + EdidResponse.size] ?? 0, EDID_MAX_BYTES)', 'w[at + EdidResponse.size] ?? 0'],
    'ring-idx-past-u8': ['ringIdx & 0xff', 'ringIdx'],
  }),
  ...mutantsOf('protocol/display-info', 'core/protocol/display-info.ts', RESPONSE, {
    'heads-past-the-last': ['i < heads.length ? heads[i] : undefined', 'heads[i % heads.length]'],
    'words-past-the-end': ['w[one + DisplayOne.width] ?? 0', 'w[one + DisplayOne.width]'],
  }),
  ...mutantsOf('protocol/edid', 'core/protocol/edid.ts', EDID, {
    'refresh-rate-range': 'if (!(refreshHz >= 1 && refreshHz <= 1000))',
    'serial-not-an-integer': ['!Number.isInteger(serial) || ', ''],
    'serial-negative': [' || serial < 0', ''],
    'serial-too-large': [' || serial > 0xffffffff', ''],
    'pixel-clock-past-displayid': 'if (timing.clock10kHz > 0x1000000)',
    'side-not-an-integer': ['!Number.isInteger(pixels) || ', ''],
    'side-of-0': ['pixels < 1 || ', ''],
    'side-too-large': [' || pixels > MAX_SIDE', ''],
    'large-mode-in-the-base-block': ['width > 4095 || height > 4095 || ', ''],
    'fast-mode-in-the-base-block': [' || timing.clock10kHz > 0xffff', ''],
    'parse-shorter-than-a-block': 'if (bytes.length < EDID_BLOCK_BYTES)',
    'parse-another-magic': 'if (bytes[i] !== MAGIC[i])',
    'parse-blocks-missing': 'if (bytes.length < blocks * EDID_BLOCK_BYTES)',
    'parse-wrong-checksum': 'if (checksum(bytes, at, at + 127) !== bytes[at + 127])',
    'parse-another-extension': 'if (bytes[at] !== EXTENSION_DISPLAYID) continue;',
    'parse-timing-of-no-clock': 'if (clock10kHz === 0)',
    'parse-timing-of-no-size': 'if (width === 0 || height === 0)',
    'parse-block-past-the-section': 'if (blockEnd > end) return null;',
    'parse-section-past-its-block': [
      'Math.min(at + FIRST_DATA_BLOCK + b[at + SECTION + 1], at + 126)',
      'at + FIRST_DATA_BLOCK + b[at + SECTION + 1]',
    ],
    'parse-timing-past-its-block': ['t + TYPE_I_BYTES <= blockEnd', 't < blockEnd'],
    'parse-timing-not-preferred': 'if ((b[t + 3] & 0x80) === 0) continue;',
    'parse-another-data-block': 'if (b[block] !== BLOCK_TYPE_I) continue;',
    'name-past-13-characters': ['for (let i = 0; i < 13; i++)', 'for (let i = 0; i < 14; i++)'],
    'name-not-printable': ['(code < 0x20 || code > 0x7e)', 'false'],
  }),
];
