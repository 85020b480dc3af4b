import { expect, test } from 'vitest';
import { encoderWish, encoderWords, hardwareFor, hardwareRecord, withEncoders } from '../../../benchmarks/encode/choice.ts';
import { predictedFps } from '../../../benchmarks/encode/gains.ts';
import { onHost } from '../../../benchmarks/realguest/recorded.ts';
import { scenario, scenarioOfId } from '../../../benchmarks/scenarios.ts';
import { unusualSettings } from '../../../benchmarks/unusual-settings.ts';
import { deviceNodes } from '../../../workers/encode/hardware-nodes.ts';
import { encodeMetrics } from '../../support/encode-metrics.ts';
import { buildScenario } from '../../support/run-document.ts';

const withoutGpu = deviceNodes('vaapi').length === 0 && deviceNodes('nvenc').length === 0;

test('a scenario that hardware encodes has another id than by software, and its settings name it: they are not compared', () => {
  const base = { path: 'vfio', rateHz: 60, sink: 'encode', maxRefreshHz: null } as const;
  expect(scenario(base).id).toBe('vfio-1080p-60hz-encode-refreshmax');
  expect(unusualSettings(scenario(base).options)).not.toHaveProperty('encoder');
  for (const encoder of ['vaapi', 'nvenc'] as const) {
    const one = scenario({ ...base, encoder });
    expect(one.id).toBe(`vfio-1080p-60hz-encode-refreshmax-${encoder}`);
    expect(scenarioOfId(one.id)).toEqual(one);
    expect(unusualSettings(one.options)).toMatchObject({ encoder });
    expect(onHost({ ...one, id: 'linux' }, { sink: 'encode', encoder }).id).toBe(`linux-encode-${encoder}`);
  }
  expect(onHost({ ...scenario(base), id: 'linux' }, { sink: 'encode', encoder: 'software' }).id).toBe('linux-encode');
});

test('what the CPU times allow is no bound of hardware', () => {
  const one = buildScenario({ path: 'vfio' });
  one.results.encode = encodeMetrics();
  expect(predictedFps(one, 2)).not.toBeNull();
  one.settings = { encoder: 'vaapi' };
  expect(predictedFps(one, 2)).toBeNull();
});

test('--encoder is one of four words, and for a sink that encodes', async () => {
  expect([encoderWish(undefined), encoderWish('auto')]).toEqual([undefined, 'auto']);
  expect(() => encoderWish('qsv')).toThrow('--encoder takes auto, software, vaapi, nvenc, not "qsv"');
  const latch = [scenario({ path: 'vfio' })];
  expect(await withEncoders(latch, undefined)).toEqual(latch);
  await expect(withEncoders(latch, 'software')).rejects.toThrow('--encoder is for --sink encode');
});

test.skipIf(!withoutGpu)('without a GPU software encodes, which the run says; hardware that was asked for is an error', async () => {
  const one = scenario({ path: 'vfio', width: 320, height: 240, sink: 'encode' });
  expect(await withEncoders([one], undefined)).toEqual([one]);
  const notUsed = ['VAAPI: no /dev/dri/renderD*', 'NVENC: no /dev/nvidia*'];
  expect(hardwareRecord(one.options)).toEqual({ devices: [], notUsed });
  expect(encoderWords(await hardwareFor('auto', one.options))).toBe(`encoder: software (${notUsed.join('; ')})`);
  await expect(withEncoders([one], 'vaapi')).rejects.toThrow(
    '--encoder vaapi: VAAPI: no /dev/dri/renderD*. Leave --encoder out, and software encodes',
  );
});
