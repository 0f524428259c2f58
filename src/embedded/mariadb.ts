import { execFile, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { createConnection } from 'mysql2/promise';
import { OperatorError } from '../runtime/failure.ts';
import type { Logger } from '../runtime/logger.ts';
import type { EmbeddedEngine } from './clickhouse.ts';
import { findProgram, MARIADB_REMEDY } from './find-mariadb.mjs';
import { claimFolder, inUse, type EngineFolder } from './folder.ts';
import { EngineExit, supervise } from './supervise.ts';

const run = promisify(execFile);

/** A Unix socket's path has 104 bytes on macOS and 108 on Linux, the final zero included. */
const MAX_SOCKET_PATH = 100;
const MAX_LOG_BYTES = 10 * 1024 * 1024;

/**
 * A private MariaDB, its files in `dataDir/mariadb`, reachable only through a Unix socket in a folder of this user.
 * `url` is `mysql://root@localhost/tidemark?socketPath=%2F…%2Fmysql.sock`: user and database as usual; where
 * `socketPath` (percent-encoded) is given, connect to that socket and ignore the host.
 */
export async function startEmbeddedMariaDb(options: {
  dataDir: string;
  logger: Logger;
}): Promise<EmbeddedEngine> {
  const program = need('mariadbd');
  const folder = await claimFolder(options.dataDir, 'mariadb');
  const files = {
    data: path.join(folder.path, 'data'),
    log: path.join(folder.path, 'mariadb.log'),
    socket: socketPath(folder),
  };
  try {
    folder.save({ socket: files.socket });
    if (!existsSync(files.data)) await install(files.data);
    const command = await mortal([program, ...serverArguments(files)]);
    const [file = '', ...args] = command;
    const engine = await supervise({
      name: 'mariadb',
      logger: options.logger,
      spawn() {
        if (existsSync(files.log) && statSync(files.log).size > MAX_LOG_BYTES)
          renameSync(files.log, `${files.log}.1`);
        // A group of its own: Ctrl-C in the terminal must not end it before the service has stopped.
        return spawn(file, args, { stdio: ['ignore', 'pipe', 'pipe'], detached: true });
      },
      ping: () => createDatabase(files.socket),
      onSpawn: (pid) => folder.childStarted(pid),
    });
    return {
      url: `mysql://root@localhost/tidemark?socketPath=${encodeURIComponent(files.socket)}`,
      async stop() {
        await engine.stop();
        if (!files.socket.startsWith(folder.path))
          rmSync(path.dirname(files.socket), { recursive: true, force: true });
        folder.release();
      },
    };
  } catch (error) {
    folder.release();
    throw explain(error, options.dataDir, files.log);
  }
}

function need(name: string): string {
  const program = findProgram(name);
  if (program === null) {
    throw new OperatorError(
      `The program ${name}, which keeps Tidemark's records, was not found. ${MARIADB_REMEDY}`,
    );
  }
  return program;
}

/** Beside the data where the path is short enough, otherwise in a private folder of the system's temporary one. */
function socketPath(folder: EngineFolder): string {
  const beside = path.join(folder.path, 'mysql.sock');
  if (Buffer.byteLength(beside) <= MAX_SOCKET_PATH) return beside;
  const last = folder.settings['socket'];
  if (last !== undefined && isOurs(path.dirname(last))) return last;
  return path.join(mkdtempSync(path.join(tmpdir(), 'tidemark-')), 'mysql.sock');
}

function isOurs(folder: string): boolean {
  const stat = statSync(folder, { throwIfNoEntry: false });
  return (
    stat !== undefined && stat.isDirectory() && stat.uid === process.getuid?.() && (stat.mode & 0o077) === 0
  );
}

/** System tables for an empty server: made beside, then moved, so that an interrupted attempt leaves nothing half. */
async function install(data: string): Promise<void> {
  const unfinished = `${data}.new`;
  rmSync(unfinished, { recursive: true, force: true });
  const args = [
    '--no-defaults',
    // Relative: the program is a shell script that trips over spaces in a path.
    `--datadir=./${path.basename(unfinished)}`,
    '--auth-root-authentication-method=normal',
    '--skip-test-db',
    '--skip-name-resolve',
    '--innodb-log-file-size=64M',
    // Not the machine's: each server that starts deletes what looks like temporary tables there, of others too.
    '--tmpdir=.',
    ...asUser(),
  ];
  const program = need('mariadb-install-db');
  try {
    await run(program, args, { cwd: path.dirname(data) });
  } catch (error) {
    const said = String((error as { stderr?: string }).stderr ?? error).trim();
    throw new OperatorError(`MariaDB could not set up its data folder ${unfinished}:\n${said}`);
  }
  renameSync(unfinished, data);
}

/** MariaDB refuses to run as root unless told so. */
function asUser(): string[] {
  return process.getuid?.() === 0 ? ['--user=root'] : [];
}

function serverArguments(files: { data: string; log: string; socket: string }): string[] {
  return [
    '--no-defaults',
    ...asUser(),
    `--datadir=${files.data}`,
    '--tmpdir=.',
    `--socket=${files.socket}`,
    `--pid-file=${files.socket}.pid`,
    `--log-error=${files.log}`,
    '--skip-networking',
    '--skip-name-resolve',
    '--local-infile=OFF',
    '--character-set-server=utf8mb4',
    // Binary and without padding: keys that differ in case, accent or trailing space are different keys.
    '--collation-server=utf8mb4_nopad_bin',
    '--default-time-zone=+00:00',
    '--transaction-isolation=READ-COMMITTED',
    '--max-allowed-packet=64M',
    '--max-connections=200',
    '--innodb-buffer-pool-size=256M',
    '--innodb-log-file-size=64M',
    '--innodb-flush-log-at-trx-commit=1',
  ];
}

/** Lets the kernel end the server together with us, where there is a tool for it (Linux). */
async function mortal(command: string[]): Promise<string[]> {
  const wrapper = ['--pdeathsig', 'KILL', '--'];
  const works = await run('setpriv', [...wrapper, 'true']).catch(() => null);
  return works === null ? command : ['setpriv', ...wrapper, ...command];
}

/** Also the sign of life. */
async function createDatabase(socket: string): Promise<void> {
  const connection = await createConnection({ socketPath: socket, user: 'root', connectTimeout: 5_000 });
  try {
    await connection.query('CREATE DATABASE IF NOT EXISTS tidemark');
  } finally {
    connection.destroy();
  }
}

function explain(error: unknown, dataDir: string, log: string): unknown {
  if (!(error instanceof EngineExit)) return error;
  const said = `${error.output}\n${existsSync(log) ? readFileSync(log, 'utf8').slice(-4_000) : ''}`;
  if (/Unable to lock|Can't lock aria|control file.*locked/i.test(said)) return inUse(dataDir);
  const errors = said.split('\n').filter((line) => line.includes('[ERROR]'));
  return new OperatorError(
    `The embedded MariaDB did not start: ${error.message}.\n${errors.slice(-5).join('\n')}\nIts log: ${log}`,
  );
}
