/** Writes schema.graphql from the code; with --check, only says whether it is up to date. Needs no database. */
import { readFileSync, writeFileSync } from 'node:fs';
import { printSchema } from 'graphql';
import { schema } from '../src/schema/index.ts';

const FILE = new URL('../schema.graphql', import.meta.url);
const printed = `# Printed from the code by "npm run schema:print". Do not edit.\n\n${printSchema(schema)}\n`;

if (!process.argv.includes('--check')) {
  writeFileSync(FILE, printed);
} else if (read() !== printed) {
  console.error(
    'schema.graphql is not what the code says. Run "npm run schema:print" and commit the result.',
  );
  process.exitCode = 1;
}

function read(): string | null {
  try {
    return readFileSync(FILE, 'utf8');
  } catch {
    return null;
  }
}
