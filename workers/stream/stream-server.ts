import { readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo, isIPv6 } from 'node:net';
import { hostname, networkInterfaces } from 'node:os';
import type { Duplex } from 'node:stream';
import type { WebSocketServer } from 'ws';
import { Admission } from './admission.ts';
import type { StreamHub } from './hub.ts';
import { MOST_CLIENT_BYTES } from './wire.ts';
import { loadWs } from './ws-library.ts';

/** What is served where: a file, and its type. */
export type ServedFiles = Readonly<Record<string, readonly [file: URL, type: string]>>;

/** All that is served, from page/, but for what another page has in its place. */
const FILES: Readonly<Record<string, readonly [file: string, type: string]>> = {
  '/': ['index.html', 'text/html; charset=utf-8'],
  '/stream.css': ['stream.css', 'text/css; charset=utf-8'],
  '/connection.js': ['connection.js', 'text/javascript; charset=utf-8'],
  '/main.js': ['main.js', 'text/javascript; charset=utf-8'],
  '/head-view.js': ['head-view.js', 'text/javascript; charset=utf-8'],
  '/server-clock.js': ['server-clock.js', 'text/javascript; charset=utf-8'],
  '/block-code.js': ['block-code.js', 'text/javascript; charset=utf-8'],
  '/icon.svg': ['icon.svg', 'image/svg+xml'],
  '/wire.js': ['wire.js', 'text/javascript; charset=utf-8'],
};
export const SOCKET_PATH = '/stream';

const HEADERS = {
  'Content-Security-Policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'X-Content-Type-Options': 'nosniff',
  'Referrer-Policy': 'no-referrer',
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Cache-Control': 'no-store',
};
const MOST_CLIENTS = 64;
const MOST_CONNECTIONS = 256;
/** How long clients have to say goodbye, ms. */
const GOODBYE_MS = 300;
/** A page sends so much in its requests' headers, bytes; more is refused. */
const MOST_HEADER_BYTES = 8192;

export const isLoopback = (address: string): boolean =>
  address === '::1' || address === 'localhost' || /^127(?:\.\d{1,3}){3}$/.test(address);

/** Serves the page and the WebSocket to whom the admission lets in; to all others 403 and nothing else. */
export class StreamServer {
  readonly admission: Admission;
  readonly #server: Server;
  readonly #sockets: WebSocketServer;
  readonly #hub: StreamHub;
  readonly #address: string;
  readonly #port: number;
  readonly #upgraded = new Set<Duplex>();
  readonly #files = new Map<string, { readonly bytes: Buffer; readonly type: string }>();

  private constructor(server: Server, sockets: WebSocketServer, hub: StreamHub, address: string, page: ServedFiles) {
    this.#server = server;
    this.#sockets = sockets;
    this.#hub = hub;
    this.#address = address;
    this.#port = (server.address() as AddressInfo).port;
    this.admission = new Admission(hostsOf(address, this.#port), this.#port);
    for (const [path, [file, type]] of Object.entries(FILES))
      this.#files.set(path, { bytes: readFileSync(new URL(`./page/${file}`, import.meta.url)), type });
    for (const [path, [file, type]] of Object.entries(page)) this.#files.set(path, { bytes: readFileSync(file), type });
    server.on('request', (request, response) => this.#serve(request, response));
    server.on('upgrade', (request, socket, head) => this.#upgrade(request, socket, head));
  }

  /** @param port 0: any that is free @param page in the place of the stream's own @throws Error what hinders it, and what to do */
  static async open(address: string, port: number, hub: StreamHub, page: ServedFiles = {}): Promise<StreamServer> {
    const ws = loadWs();
    if (typeof ws === 'string') throw new Error(ws);
    const server = createServer({ maxHeaderSize: MOST_HEADER_BYTES });
    server.maxConnections = MOST_CONNECTIONS;
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen({ host: address, port }, () => resolve());
    });
    const sockets = new ws.WebSocketServer({
      noServer: true,
      perMessageDeflate: false,
      maxPayload: MOST_CLIENT_BYTES,
      clientTracking: false,
    });
    return new StreamServer(server, sockets, hub, address, page);
  }

  /** Where a browser begins. Good for one. */
  get url(): string {
    return `http://${inUrl(this.#address)}:${this.#port}/?token=${this.admission.token}`;
  }

  get port(): number {
    return this.#port;
  }

  /** Ends every connection; those who watch are told by the hub before. */
  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeAllConnections();
    // Who is stopped answers no goodbye.
    const timer = setTimeout(() => this.#upgraded.forEach((socket) => void socket.destroy()), GOODBYE_MS);
    await closed;
    clearTimeout(timer);
  }

  #serve(request: IncomingMessage, response: ServerResponse): void {
    const url = urlOf(request);
    const cookie = url === null ? null : this.#letIn(request, url);
    const file = this.#files.get(url?.pathname ?? '');
    const isRead = request.method === 'GET' || request.method === 'HEAD';
    if (cookie === null || !isRead || file === undefined) {
      const status = cookie === null ? 403 : isRead ? 404 : 405;
      response.writeHead(status, { ...HEADERS, 'Content-Length': 0, Connection: 'close' });
      response.end();
      return;
    }
    response.writeHead(200, { ...HEADERS, ...cookie, 'Content-Type': file.type, 'Content-Length': file.bytes.length });
    response.end(request.method === 'HEAD' ? undefined : file.bytes);
  }

  /** @returns the header that gives a new session its cookie, none to one that has it; null: the request is not let in */
  #letIn({ headers, method }: IncomingMessage, { pathname, searchParams }: URL): { 'Set-Cookie'?: string } | null {
    if (!this.admission.isOwn(headers, false)) return null;
    if (this.admission.hasSession(headers)) return {};
    const token = searchParams.get('token');
    const cookie = token === null || pathname !== '/' || method !== 'GET' ? null : this.admission.admit(token);
    return cookie === null ? null : { 'Set-Cookie': cookie };
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.on('error', () => socket.destroy());
    const { admission } = this;
    const isAllowed =
      urlOf(request)?.pathname === SOCKET_PATH && admission.isOwn(request.headers, true) && admission.hasSession(request.headers);
    if (!isAllowed || this.#hub.clients >= MOST_CLIENTS) {
      refuse(socket, isAllowed ? '503 Service Unavailable' : '403 Forbidden');
      return;
    }
    this.#upgraded.add(socket);
    socket.once('close', () => this.#upgraded.delete(socket));
    this.#sockets.handleUpgrade(request, socket, head, (client) => this.#hub.join(client));
  }
}

function refuse(socket: Duplex, status: string): void {
  socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
}

function urlOf({ url }: IncomingMessage): URL | null {
  return url?.startsWith('/') === true ? URL.parse(`http://stream${url}`) : null;
}

const inUrl = (address: string): string => (isIPv6(address) ? `[${address}]` : address);

/** What browsers that mean this server say in Host; with the address of all interfaces, any of them. */
function hostsOf(address: string, port: number): string[] {
  const isAny = address === '0.0.0.0' || address === '::';
  const own = isAny ? Object.values(networkInterfaces()).flatMap((all) => (all ?? []).map((one) => one.address)) : [address];
  const names = [...own, ...(isAny ? [hostname()] : []), ...(isAny || isLoopback(address) ? ['localhost', '127.0.0.1', '::1'] : [])];
  return names.flatMap((name) => [`${inUrl(name).toLowerCase()}:${port}`, ...(port === 80 ? [inUrl(name).toLowerCase()] : [])]);
}
