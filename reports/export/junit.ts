import { invalidates, shownChecks } from '../checks.ts';
import { plain } from '../format.ts';
import type { Check, RunDocument, Scenario, SettingValue } from '../run-document.ts';

/**
 * The run's checks as JUnit XML, after Jenkins' junit-10.xsd (jenkinsci/xunit-plugin). A check that makes the run invalid
 * is a `failure`, another inconclusive one and a scenario without results are `skipped`: JUnit knows no fourth state.
 */
export function exportJunit(run: RunDocument): string {
  const checks = shownChecks(run);
  const named = new Set(checks.map((check) => check.name));
  const missing = run.skipped.filter(({ id }) => !named.has(`${id} runs`));
  const failures = checks.filter(invalidates).length;
  const skipped = checks.filter((check) => check.status === 'inconclusive' && !invalidates(check)).length + missing.length;
  const tests = checks.length + missing.length;
  const seconds = Math.max(0, (Date.parse(run.finishedAt) - Date.parse(run.startedAt)) / 1000);
  const counts = `tests="${tests}" failures="${failures}" errors="0"`;
  const time = `time="${seconds.toFixed(3)}"`;
  return `<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="scanout" ${counts} ${time}>
  <testsuite name="${xml(`scanout ${run.suite}`)}" ${counts} skipped="${skipped}" ${time} timestamp="${xml(run.startedAt)}">
    <properties>
${propertiesOf(run)
  .map(([name, value]) => `      <property name="${name}" value="${xml(value)}"/>\n`)
  .join('')}    </properties>
${checks.map(testCase).join('')}${missing.map(({ id, reason }) => notRun(`${id} runs`, reason)).join('')}  </testsuite>
</testsuites>
`;
}

function testCase(check: Check): string {
  const open = `    <testcase classname="scanout.checks" name="${xml(check.name)}"`;
  if (check.status === 'pass') return `${open}>\n      <system-out>${xml(check.detail)}</system-out>\n    </testcase>\n`;
  const outcome = invalidates(check) ? 'failure' : 'skipped';
  return `${open}>\n      <${outcome} type="${check.status}" message="${xml(check.detail)}"/>\n    </testcase>\n`;
}

function notRun(name: string, reason: string): string {
  return `    <testcase classname="scanout.checks" name="${xml(name)}">\n      <skipped type="not-run" message="${xml(reason)}"/>\n    </testcase>\n`;
}

function propertiesOf(run: RunDocument): [string, string][] {
  const { cpu, cores, kernel, node, v8 } = run.environment;
  return [
    ['scanout', run.scanoutVersion],
    ['command', run.command],
    ['seed', String(run.seed)],
    ['partial', run.partial ? (run.partialReason ?? 'yes') : 'no'],
    ['cpu', `${cpu}, ${cores} cores`],
    ['kernel', kernel],
    ['node', `${node}, V8 ${v8}`],
    ...valuesOf(run, 'encoder', ({ encoder }) => encoder?.name),
    ...valuesOf(run, 'browser', ({ settings }) => settings?.['browser']),
  ];
}

/** What scenarios were measured with, each once; empty where none names any. */
function valuesOf(run: RunDocument, name: string, of: (scenario: Scenario) => SettingValue | undefined): [string, string][] {
  const values = new Set(run.scenarios.flatMap((scenario) => of(scenario) ?? []));
  return values.size === 0 ? [] : [[name, [...values].join('; ')]];
}

/** For text and for attribute values in quotes. Of what `plain` leaves XML 1.0 lacks U+FFFE and U+FFFF. */
function xml(text: string): string {
  return plain(text)
    .replaceAll(/[\ufffe\uffff]/g, '\ufffd')
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll("'", '&apos;');
}
