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
/** What a person reads whose address is not, or no longer, good: the same to all. */
const NO_ENTRY = readFileSync(new URL('./page/no-entry.html', import.meta.url));

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
/** Of these by one session: one browser's windows. */
export const MOST_OF_A_SESSION = 8;
const MOST_CONNECTIONS = 256;
/** How long a connection may take for a request's headers; for the whole of it; and say nothing while it is answered, ms. */
export const HEADERS_MS = 5000;
const REQUEST_MS = 10_000;
const IDLE_MS = 10_000;
/** Between two looks at these, ms. */
const CHECK_MS = 1000;
/** How long clients have to say goodbye, ms: when the stream ends, and when they are let go. */
const GOODBYE_MS = 300;
/** Apart, as the types of ws do not know it yet. */
const LET_GO = { closeTimeout: 2000 };
/** Parts that a client's message may come in. */
const MOST_FRAGMENTS = 8;
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
  /** Connections that have left HTTP, refused ones among them. */
  readonly #upgraded = new Set<Duplex>();
  /** Clients of each session that has some. */
  readonly #ofSession = new Map<string, number>();
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
    const server = createServer({
      maxHeaderSize: MOST_HEADER_BYTES,
      headersTimeout: HEADERS_MS,
      requestTimeout: REQUEST_MS,
      connectionsCheckingInterval: CHECK_MS,
    });
    server.maxConnections = MOST_CONNECTIONS;
    server.setTimeout(IDLE_MS);
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen({ host: address, port }, () => resolve());
    });
    const sockets = new ws.WebSocketServer({
      noServer: true,
      perMessageDeflate: false,
      maxPayload: MOST_CLIENT_BYTES,
      maxFragments: MOST_FRAGMENTS,
      ...LET_GO,
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
    if (cookie !== null && isRead && file !== undefined) {
      response.writeHead(200, { ...HEADERS, ...cookie, 'Content-Type': file.type, 'Content-Length': file.bytes.length });
      response.end(request.method === 'HEAD' ? undefined : file.bytes);
      return;
    }
    const status = cookie === null ? 403 : isRead ? 404 : 405;
    // Whoever opened an old address by hand is told what to do; other sites' pages, and all that is no page, nothing.
    const isPerson = status === 403 && request.method === 'GET' && url?.pathname === '/' && this.admission.isOwn(request.headers, false);
    const body = isPerson ? NO_ENTRY : Buffer.alloc(0);
    const type = isPerson ? { 'Content-Type': 'text/html; charset=utf-8' } : {};
    response.writeHead(status, { ...HEADERS, ...type, 'Content-Length': body.length, Connection: 'close' });
    response.end(body);
  }

  /** @returns the header that gives a new session its cookie, none to one that has it; null: the request is not let in */
  #letIn({ headers, method }: IncomingMessage, { pathname, searchParams }: URL): { 'Set-Cookie'?: string } | null {
    if (!this.admission.isOwn(headers, false)) return null;
    if (this.admission.sessionOf(headers) !== null) return {};
    const token = searchParams.get('token');
    const cookie = token === null || pathname !== '/' || method !== 'GET' ? null : this.admission.admit(token);
    return cookie === null ? null : { 'Set-Cookie': cookie };
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.on('error', () => socket.destroy());
    this.#upgraded.add(socket);
    socket.once('close', () => this.#upgraded.delete(socket));
    const isOwn = urlOf(request)?.pathname === SOCKET_PATH && this.admission.isOwn(request.headers, true);
    const session = isOwn ? this.admission.sessionOf(request.headers) : null;
    if (session === null) {
      refuse(socket, '403 Forbidden');
      return;
    }
    const others = this.#ofSession.get(session) ?? 0;
    if (this.#hub.clients >= MOST_CLIENTS || others >= MOST_OF_A_SESSION) {
      refuse(socket, '503 Service Unavailable');
      return;
    }
    this.#sockets.handleUpgrade(request, socket, head, (client) => {
      this.#ofSession.set(session, others + 1);
      client.once('close', () => this.#leave(session));
      this.#hub.join(client);
    });
  }

  #leave(session: string): void {
    const left = (this.#ofSession.get(session) ?? 0) - 1;
    if (left > 0) this.#ofSession.set(session, left);
    else this.#ofSession.delete(session);
  }
}

/** Does not wait for the other end to close: who is refused could keep the connection for ever. */
function refuse(socket: Duplex, status: string): void {
  socket.once('finish', () => socket.destroy());
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
