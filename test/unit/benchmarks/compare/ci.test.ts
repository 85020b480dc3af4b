import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { gateCommand } from '../../../../benchmarks/commands/gate.ts';
import { runCommand } from '../../../../benchmarks/commands/run.ts';
import { matrix, parseResolution } from '../../../../benchmarks/scenarios.ts';
import { appliesTo, parseGate, readGate } from '../../../../reports/gate/config.ts';

const root = join(import.meta.dirname, '../../../..');
const read = (path: string): string => readFileSync(join(root, path), 'utf8');

describe('the gate of this repository and the recipes', () => {
  it.each(['.github/workflows/performance.yml', 'docs/ci.md'])('%s: every flag is one that the commands have', (path) => {
    const joined = read(path).replaceAll(/\n\s+(?=--|>)/g, ' ');
    const commands = [...joined.matchAll(/npx scanout gate (.*)/g)].map(([, words]) => words);
    expect(commands.length).toBeGreaterThan(0);
    for (const command of commands) {
      const [own, run = ''] = command.split(' -- ');
      for (const [flag] of own.matchAll(/--[a-z-]+/g)) expect(gateCommand.help, `${flag} of ${command}`).toContain(flag);
      for (const [flag] of run.matchAll(/--[a-z-]+/g)) expect(runCommand.help, `${flag} of ${command}`).toContain(`  ${flag} `);
    }
  });

  it('the workflow compares the merge with its first parent, both of which it has, and what a fork proposes may only read', () => {
    const workflow = read('.github/workflows/performance.yml');
    expect(workflow).toMatch(/fetch-depth: 2\n/);
    expect(workflow).toMatch(/BASE: HEAD\^1\n/);
    expect(workflow).toMatch(/\npermissions:\n {2}contents: read\n\n/);
    expect(workflow).not.toMatch(/^ *pull_request_target|secrets\./m);
  });

  it('its thresholds are sound, and each is for a scenario that the workflow measures', () => {
    const ids = matrix({ paths: ['vfio', 'udmabuf', 'copy'], resolutions: [parseResolution('4k')], rates: [null] }).map(({ id }) => id);
    for (const threshold of readGate(join(root, '.github/gate.json'))) expect(ids.some((id) => appliesTo(threshold, id))).toBe(true);
  });

  it('the thresholds that the recipe shows can be read', () => {
    const [, json = ''] = /```json\n([\s\S]*?)```/.exec(read('docs/ci.md')) ?? [];
    expect(parseGate(json, 'docs/ci.md').length).toBe(4);
  });
});
