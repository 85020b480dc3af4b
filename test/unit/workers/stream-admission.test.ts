import { expect, test } from 'vitest';
import { Admission } from '../../../workers/stream/admission.ts';

const HOST = '127.0.0.1:8080';
const admissionOf = () => new Admission([HOST, '[::1]:8080'], 8080);

test('a token is good once, the session that it opens for long; another port has another cookie', () => {
  const admission = admissionOf();
  const told: string[] = [];
  admission.onToken = (token) => told.push(token);
  const { token } = admission;
  expect(admission.admit('')).toBe(null);
  expect(admission.admit(`${token}x`)).toBe(null);
  expect(told).toEqual([]);
  const text = admission.admit(token) ?? '';
  expect(text).toMatch(/^scanout-8080=[\w-]{32}; HttpOnly; SameSite=Strict; Path=\/$/);
  expect(admission.admit(token)).toBe(null);
  expect(told).toEqual([admission.token]);
  expect(admission.token).not.toBe(token);
  const [cookie] = text.split(';');
  const session = admission.sessionOf({ cookie }) ?? '';
  expect(session).not.toBe('');
  expect(session).not.toContain(cookie.split('=')[1]);
  for (let i = 0; i < 3; i++) expect(admission.sessionOf({ cookie: `a=b; ${cookie}; c=d` })).toBe(session);
  expect(admission.sessionOf({ cookie: cookie.replace('8080', '8081') })).toBe(null);
  for (const other of [undefined, '', 'scanout-8080', 'scanout-8080=', `${cookie}x`, cookie.slice(0, -1)])
    expect(admission.sessionOf(other === undefined ? {} : { cookie: other }), other).toBe(null);
});

test('each token and session is another one', () => {
  const admission = admissionOf();
  const seen = new Set<string>();
  for (let i = 0; i < 20; i++) seen.add(admission.token).add(admission.admit(admission.token) ?? '');
  expect(seen.size).toBe(40);
});

test('of many sessions the oldest goes', () => {
  const admission = admissionOf();
  const cookies = Array.from({ length: 257 }, () => (admission.admit(admission.token) ?? '').split(';')[0]);
  expect(cookies.map((cookie) => admission.sessionOf({ cookie }) !== null)).toEqual(cookies.map((_, i) => i > 0));
});

test.each([
  ['its own page', { host: HOST, origin: `http://${HOST}` }, true, true],
  ['its own address in IPv6', { host: '[::1]:8080', origin: 'http://[::1]:8080' }, true, true],
  ['the address typed', { host: HOST }, true, false],
  ['no Host', {}, false, false],
  ['a name that points here (DNS rebinding)', { host: 'evil.example:8080', origin: 'http://evil.example:8080' }, false, false],
  ['another port of this computer', { host: HOST, origin: 'http://127.0.0.1:8081' }, false, false],
  ['another site', { host: HOST, origin: 'http://evil.example' }, false, false],
  ['a sandboxed page', { host: HOST, origin: 'null' }, false, false],
  ['https, which is not served', { host: HOST, origin: `https://${HOST}` }, false, false],
])('a request of %s', (_, headers, page, socket) => {
  const admission = admissionOf();
  expect([admission.isOwn(headers, false), admission.isOwn(headers, true)]).toEqual([page, socket]);
});
