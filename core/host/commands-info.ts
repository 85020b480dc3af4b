import { ConfigEvent, Feature, MAX_SCANOUTS, Response } from '../protocol/constants.ts';
import { buildEdid } from '../protocol/edid.ts';
import { DisplayInfo, DisplayOne, GetEdid, Resource as ResourceWords, Size } from '../protocol/layout.ts';
import { writeEdid, writeResourceUuid } from '../protocol/write-response.ts';
import type { Context, Display } from './context.ts';

/** GET_DISPLAY_INFO: the heads side by side; one without a display is not enabled. */
export function getDisplayInfo(context: Context): number {
  const w = context.response;
  let x = 0;
  for (let i = 0; i < MAX_SCANOUTS; i++) {
    const display = i < context.displays.length ? context.displays[i] : null;
    const at = DisplayInfo.heads + i * DisplayInfo.stride;
    w[at + DisplayOne.x] = display === null ? 0 : x;
    w[at + DisplayOne.y] = 0;
    w[at + DisplayOne.width] = display === null ? 0 : display.width;
    w[at + DisplayOne.height] = display === null ? 0 : display.height;
    w[at + DisplayOne.enabled] = display === null ? 0 : 1;
    w[at + DisplayOne.flags] = 0;
    if (display !== null) x += display.width;
  }
  context.responseBytes = Size.respDisplayInfo;
  return Response.OK_DISPLAY_INFO;
}

/** GET_EDID (hostile-guest 63); UNSPEC where no display is connected. */
export function getEdid(context: Context): number {
  if (!context.has(Feature.EDID)) return Response.ERR_UNSPEC;
  const head = context.body[GetEdid.scanout];
  if (head >= context.displays.length) return Response.ERR_INVALID_PARAMETER;
  const display = context.displays[head];
  if (display === null) return Response.ERR_UNSPEC;
  let edid = context.edids[head];
  if (edid === null) {
    edid = buildEdid({ width: display.width, height: display.height, refreshHz: display.refreshHz, serial: head + 1 });
    context.edids[head] = edid;
  }
  context.responseBytes = writeEdid(context.response, 0, edid);
  return Response.OK_EDID;
}

/** RESOURCE_ASSIGN_UUID: version 4 in form; made of the session and the resource, so the same one each time. */
export function assignUuid(context: Context): number {
  if (!context.has(Feature.RESOURCE_UUID)) return Response.ERR_UNSPEC;
  const id = context.body[ResourceWords.resource];
  if (context.resources.find(id) === null) return Response.ERR_INVALID_RESOURCE_ID;
  // Bytes 6 and 8 hold the version and the variant (RFC 9562 § 5.4).
  const session = context.options.registers.generation;
  context.responseBytes = writeResourceUuid(context.response, 0, session, 0x40000000, 0x00000080, id);
  return Response.OK_RESOURCE_UUID;
}

/** Connects a display to a head, or disconnects it; the guest is told by a config interrupt (virtio-gpu §4). */
export function changeDisplay(context: Context, head: number, display: Display | null): void {
  if (!(head >= 0 && head < context.displays.length)) throw new RangeError(`head ${head} of ${context.displays.length}`);
  context.displays[head] = display === null ? null : { ...display };
  context.edids[head] = null;
  context.options.registers.raiseEvents(ConfigEvent.DISPLAY);
}
