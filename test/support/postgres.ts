import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';

const DEBIAN = '/usr/lib/postgresql';

/** A PostgreSQL server of the test's own: on a socket in a temporary folder, no port, gone with `stop`. */
export interface PostgresServer {
  /** As DATABASE_URL, of a new and empty database. */
  database(name: string): string;
  stop(): Promise<void>;
}

/** @param password that it asks for; '': none @throws Error there is no PostgreSQL here, or it does not start */
export async function startPostgres(password = ''): Promise<PostgresServer> {
  const bin = binaries();
  const user = serverUser();
  const folder = mkdtempSync(join(tmpdir(), 'scanout-postgres-'));
  if (user !== null) chownSync(folder, user.uid, user.gid);
  const as = { ...(user ?? {}), cwd: folder, env: { PATH: process.env['PATH'], LC_ALL: 'C' } };
  try {
    const data = join(folder, 'data');
    const secret = join(folder, 'password');
    writeFileSync(secret, `${password}\n`);
    if (user !== null) chownSync(secret, user.uid, user.gid);
    const guard = password === '' ? ['-A', 'trust'] : ['-A', 'scram-sha-256', '--pwfile', secret];
    const first = ['-D', data, '-U', 'scanout', ...guard, '-E', 'UTF8', '--locale=C', '--no-sync', '--no-instructions'];
    execFileSync(join(bin, 'initdb'), first, { ...as, stdio: ['ignore', 'ignore', 'pipe'] });
    const settings = ['-c', 'listen_addresses=', '-c', 'fsync=off', '-c', 'max_connections=20', '-c', 'shared_buffers=16MB'];
    // The time limit ends the server of a test that was killed; it passes signals on.
    const server = spawn('timeout', ['-s', 'INT', '600', join(bin, 'postgres'), '-D', data, '-k', folder, ...settings], {
      ...as,
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    await ready(server);
    return {
      database(name) {
        const env = { ...as.env, PGPASSWORD: password };
        execFileSync(join(bin, 'createdb'), ['-h', folder, '-U', 'scanout', name], { ...as, env, stdio: ['ignore', 'ignore', 'pipe'] });
        return `postgres:///${name}?host=${encodeURIComponent(folder)}&user=scanout${password === '' ? '' : `&password=${password}`}`;
      },
      async stop() {
        const ended = once(server, 'exit');
        // Fast shutdown (PostgreSQL's manual, 18.5): it ends the connections that there are.
        if (server.exitCode === null && server.kill('SIGINT')) await ended;
        rmSync(folder, { recursive: true, force: true });
      },
    };
  } catch (error) {
    rmSync(folder, { recursive: true, force: true });
    throw error;
  }
}

/** Folder of initdb and postgres: Debian keeps them out of PATH. */
function binaries(): string {
  const versions = existsSync(DEBIAN) ? readdirSync(DEBIAN).sort((a, b) => Number(b) - Number(a)) : [];
  const folders = [...versions.map((version) => join(DEBIAN, version, 'bin')), ...(process.env['PATH'] ?? '').split(delimiter)];
  const found = folders.find((folder) => existsSync(join(folder, 'initdb')) && existsSync(join(folder, 'postgres')));
  if (found !== undefined) return found;
  throw new Error(
    'PostgreSQL is missing: these tests start a server of their own. Install it: apt-get update && apt-get install -y postgresql',
  );
}

/** PostgreSQL refuses to run as root. Null: this is not root. */
function serverUser(): { uid: number; gid: number } | null {
  if (process.getuid?.() !== 0) return null;
  const users = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((line) => line.split(':'));
  const found = users.find(([name]) => name === 'postgres') ?? users.find(([name]) => name === 'nobody');
  if (found === undefined) throw new Error('neither a user postgres nor nobody, and PostgreSQL does not run as root');
  return { uid: Number(found[2]), gid: Number(found[3]) };
}

async function ready(server: ChildProcess): Promise<void> {
  let said = '';
  await new Promise<void>((resolve, reject) => {
    server.stderr?.setEncoding('utf8').on('data', (text: string) => {
      said = (said + text).slice(-10_000);
      if (said.includes('ready to accept connections')) resolve();
    });
    server.once('exit', () => reject(new Error(`PostgreSQL did not start: ${said}`)));
  });
}
