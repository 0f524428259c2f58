// Shared with scripts/, which run before any dependency is installed: plain JavaScript, nothing imported but Node.
import { execFileSync } from 'node:child_process';

// Where packages put a server that is not on everybody's PATH.
const FOLDERS = [
  '',
  '/usr/sbin/',
  '/usr/libexec/',
  '/usr/bin/',
  '/opt/homebrew/opt/mariadb/bin/',
  '/usr/local/opt/mariadb/bin/',
];

/** The program's name or path, whichever can be run; null when it is nowhere. */
export function findProgram(name) {
  for (const folder of FOLDERS) {
    try {
      execFileSync(folder + name, ['--no-defaults', '--version'], { stdio: 'ignore' });
      return folder + name;
    } catch (error) {
      // mariadb-install-db answers --version with an error of its own: then it is there.
      if (error.code !== 'ENOENT' && error.code !== 'EACCES') return folder + name;
    }
  }
  return null;
}

export const MARIADB_REMEDY = `Install it:
  Debian, Ubuntu   apt-get install --no-install-recommends mariadb-server-core mariadb-client-core
  Fedora           dnf install mariadb-server
  macOS            brew install mariadb
or set MYSQL_URL to a running server (MySQL 8.4, or MariaDB 10.11 or newer).`;
