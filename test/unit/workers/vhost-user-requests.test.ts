import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Response } from '../../../core/protocol/constants.ts';
import { GpuConfig, message, VHOST_HEADER, VhostUser, VhostUserBackend } from '../../../core/protocol/vhost-user.ts';
import { Libc } from '../../../workers/native/libc.ts';
import { FdSocket } from '../../../workers/native/socket.ts';
import { TestGuest, TestHost } from '../../support/vhost-guest.ts';

const loaded = Libc.load();
const OK = Response.OK_NODATA;
/** More messages than a socket takes that nobody reads. */
const MANY = 1500;

describe.skipIf(typeof loaded === 'string')("a vhost-user host's own requests", () => {
  const libc = loaded as Libc;
  let host: TestHost;
  let guest: TestGuest;
  let frame: number;

  /** Gives the host a descriptor for its requests, which it has then. */
  const give = (fd: number): void => {
    guest.front.tell(VhostUser.SET_BACKEND_REQ_FD, new Uint8Array(0), [fd]);
    guest.front.features();
  };
  const pair = (): [ours: FdSocket, theirs: number] => {
    const [ours, theirs] = libc.socketpair();
    give(theirs);
    libc.close(theirs);
    return [new FdSocket(libc, ours, 65536), theirs];
  };
  const plug = (width: number): void => host.host.setDisplay(0, { width, height: 480 });
  /** Shows a frame: the host has then taken what came before the one before. */
  const show = (): boolean => guest.show(2, ++frame) && guest.show(2, ++frame);
  const eventsRead = (): number => guest.front.config(0, 16).getUint32(GpuConfig.eventsRead, true);

  beforeEach(async () => {
    host = await new TestHost().listening();
    guest = new TestGuest(libc, host).begin();
    frame = 0;
    expect([guest.createBlob(2), guest.setScanout(2)]).toEqual([OK, OK]);
  });
  afterEach(async () => {
    expect(show()).toBe(true);
    guest.close();
    expect(await host.ending()).toBe('hung up');
    await host.end();
  });

  test('a display that is changed is told, and the event stands until the driver clears it', () => {
    const [ours] = pair();
    expect(eventsRead()).toBe(0);
    plug(800);
    expect(guest.readable(ours.fd)).toBe(true);
    expect(eventsRead()).toBe(1);
    guest.front.setConfig(GpuConfig.eventsClear, Uint8Array.of(1, 0, 0, 0));
    expect([show(), eventsRead()]).toEqual([true, 0]);
    ours.close();
  });

  test('nothing is told where nobody listens', () => {
    plug(800);
    expect([show(), eventsRead()]).toEqual([true, 1]);
  });

  test('who never reads them makes nobody wait, and what was told last stands', () => {
    const [ours] = pair();
    for (let i = 0; i < MANY; i++) {
      plug(640 + (i % 2));
      if (!guest.show(2, ++frame)) throw new Error(`frame ${frame} is not shown`);
    }
    expect(show()).toBe(true);
    const bytes = new Uint8Array(VHOST_HEADER);
    let told = 0;
    while (ours.receive(bytes, 0, VHOST_HEADER, []) === VHOST_HEADER) {
      expect(bytes).toEqual(message(VhostUserBackend.CONFIG_CHANGE, 0, new Uint8Array(0)));
      told++;
    }
    expect(told).toBeGreaterThan(0);
    expect(told).toBeLessThan(MANY);
    // Who reads again is told again.
    plug(1024);
    expect([guest.readable(ours.fd), host.lines]).toEqual([true, []]);
    ours.close();
  });

  test('who closes that socket, or gives what is none, is told no more, which is said once', async () => {
    const [ours] = pair();
    ours.close();
    plug(800);
    await host.until(() => host.lines.length === 1);
    plug(801);
    expect([show(), host.lines]).toEqual([
      true,
      ['the front end is not told of changes any more: sendmsg: EPIPE (the other end does not read)'],
    ]);
    const event = libc.eventfd();
    give(event);
    libc.close(event);
    plug(802);
    await host.until(() => host.lines.length === 2);
    expect(host.lines[1]).toMatch(/^the front end is not told of changes any more: sendmsg: ENOTSOCK/);
    // Another one is as good as the first.
    const [again] = pair();
    plug(803);
    expect(guest.readable(again.fd)).toBe(true);
    again.close();
  });

  test('what is sent there is not looked at', () => {
    const [ours] = pair();
    ours.send(new Uint8Array(60000));
    plug(800);
    expect([guest.readable(ours.fd), show()]).toEqual([true, true]);
    ours.close();
  });

  test('a display that was changed while nobody was connected is that of the next session', async () => {
    guest.close();
    expect(await host.ending()).toBe('hung up');
    host.host.setDisplay(0, null);
    plug(1000);
    const next = new TestGuest(libc, host).begin();
    guest = next;
    const info = (w: Uint32Array, at: number): number => {
      w.set([0x100, 0, 0, 0, 0, 0], at);
      return 24;
    };
    expect([next.send(info), next.ram.u32[next.response / 4 + 8]]).toEqual([Response.OK_DISPLAY_INFO, 1000]);
    expect([next.createBlob(2), next.setScanout(2), show()]).toEqual([OK, OK, true]);
  });
});
