/** Numbered migration files, shared by both databases. */
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';

export interface MigrationFile {
  name: string;
  statements: string[];
}

/** The `.sql` files of a folder in the order of their numbers. */
export async function readMigrations(folder: string): Promise<MigrationFile[]> {
  const names = (await readdir(folder)).filter((name) => name.endsWith('.sql')).sort();
  return Promise.all(
    names.map(async (name) => ({ name, statements: split(await readFile(path.join(folder, name), 'utf8')) })),
  );
}

/** Statements end with a semicolon at the end of a line; whole-line comments are dropped. */
function split(sql: string): string[] {
  return sql
    .replace(/^\s*--.*$/gm, '')
    .split(/;[ \t]*(?:\n|$)/)
    .map((statement) => statement.trim())
    .filter((statement) => statement.length > 0);
}
