// What has to be there before Tidemark's own code can run. Plain Node: it also runs on a clone without node_modules.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { clearInterval, setInterval } from 'node:timers';
import { fileURLToPath } from 'node:url';
import { findProgram, MARIADB_REMEDY } from '../../src/embedded/find-mariadb.mjs';

const root = fileURLToPath(new URL('../../', import.meta.url));

/** Node, the dependencies and, unless a MySQL server is given, MariaDB. Ends the process when something cannot be had. */
export function setUp({ needsMariaDb }) {
  process.chdir(root);
  checkNode();
  installDependencies();
  if (needsMariaDb) installMariaDb();
}

function checkNode() {
  const wanted = JSON.parse(readFileSync('package.json', 'utf8')).engines.node.replace('>=', '');
  const number = (version) => version.split('.').reduce((sum, part) => sum * 1000 + Number(part), 0);
  if (number(process.versions.node) >= number(`${wanted}.0`)) return;
  stop(
    `Tidemark needs Node.js ${wanted} or newer; this is ${process.versions.node}. See https://nodejs.org/en/download`,
  );
}

function installDependencies() {
  // npm writes this file last: without it, or with an older one, an installation is missing, unfinished or out of date.
  const marker = 'node_modules/.package-lock.json';
  if (existsSync(marker) && statSync(marker).mtimeMs >= statSync('package-lock.json').mtimeMs) return;
  if (existsSync(marker) && sameLock(marker)) return;
  console.log('Installing dependencies (npm ci) …');
  // NODE_ENV=production, as images set it, would leave out what the tests need.
  run(
    'npm',
    ['ci', '--include=dev', '--include=optional', '--no-audit', '--no-fund'],
    'Installing the dependencies failed.',
  );
}

/** A checkout can make the lock file newer without changing it: what counts is what is installed. */
function sameLock(marker) {
  const read = (file) => JSON.parse(readFileSync(file, 'utf8')).packages;
  const installed = read(marker);
  return Object.entries(read('package-lock.json')).every(
    ([name, entry]) => name === '' || entry.optional || installed[name]?.version === entry.version,
  );
}

function installMariaDb() {
  if (findProgram('mariadbd') && findProgram('mariadb-install-db')) return;
  const missing = 'MariaDB, which keeps the records, is not installed.';
  if (process.getuid?.() !== 0 || !existsSync('/etc/debian_version')) stop(`${missing} ${MARIADB_REMEDY}`);
  console.log(`${missing} Installing mariadb-server-core and mariadb-client-core …`);
  installPackages(['mariadb-server-core', 'mariadb-client-core'], `Installing it failed. ${MARIADB_REMEDY}`);
}

/** apt-get as root on Debian and its kin. The package lists are fetched only when the first attempt needs them. */
export function installPackages(packages, failure) {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const install = ['install', '-y', '--no-install-recommends', ...packages];
  if (spawnSync('apt-get', ['-qq', ...install], { stdio: ['ignore', 'ignore', 'ignore'], env }).status === 0)
    return;
  run('apt-get', ['-qq', 'update'], failure, env);
  run('apt-get', ['-qq', ...install], failure, env);
}

function run(command, args, failure, env = process.env) {
  const { status } = spawnSync(command, args, { stdio: ['ignore', 'inherit', 'inherit'], env });
  if (status !== 0) stop(failure);
}

function stop(message) {
  console.error(message);
  process.exit(1);
}

/**
 * Runs a program in our place: it gets our input, output and signals, and we end as it ends.
 * Resolves to its exit code (128 + the number of the signal that ended it, as shells do).
 */
export function replaceWith(command, args, signalNumbers) {
  return new Promise((resolve) => {
    const child = spawn(command, args, { stdio: 'inherit' });
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP']) process.on(signal, () => child.kill(signal));
    // npm passes signals to the shell between it and us, which may die of them without a word to us.
    if (process.env.npm_lifecycle_event) {
      const parent = process.ppid;
      const watch = setInterval(() => {
        if (process.ppid === parent) return;
        clearInterval(watch);
        child.kill('SIGTERM');
      }, 250).unref();
    }
    child.on('error', (error) => stop(`${command} could not be started: ${error.message}`));
    child.on('exit', (code, signal) => resolve(code ?? 128 + (signalNumbers[signal] ?? 0)));
  });
}

/** Prefix that lets the kernel stop the program when we are killed outright; empty where there is no tool for it. */
export function stopWithUs() {
  const wrapper = ['setpriv', '--pdeathsig', 'TERM', '--'];
  const works = spawnSync(wrapper[0], [...wrapper.slice(1), 'true'], { stdio: 'ignore' }).status === 0;
  return works ? wrapper : [];
}
