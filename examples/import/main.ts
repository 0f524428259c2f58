/** `npm run import`: brings a CSV or NDJSON file into Tidemark through its public API. */
import { access, constants } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { ClientError, createClient } from '../client.ts';
import { printDryRun } from './dry-run.ts';
import { runImport, type Outcome } from './import.ts';
import { loadMapping, MappingError } from './mapping.ts';
import { count } from './progress.ts';

const HELP = `Usage: npm run import -- --mapping NAME|FILE.json [options] INPUT

Imports a CSV or NDJSON file, plain or gzip, into a running Tidemark.
INPUT is a path, or - for standard input.

Options
  --mapping NAME|FILE.json  what becomes which event or profile field: a shipped
                            mapping (online-retail, events) or a file of yours;
                            docs/import.md explains the format
  --rejects FILE            where rows go that could not be imported, one JSON
                            object a line: line, reason, row
                            (default: INPUT.rejects.ndjson)
  --state FILE              where progress is kept (default: INPUT.import-state.json;
                            standard input has none unless you name one)
  --restart                 forget the progress of an interrupted import
  --live                    events are news, not history: the membership changes
                            they bring carry the cause EVENT instead of BACKFILL
  --dry-run                 print the first items and the counts, send nothing
  --help

Environment
  TIDEMARK_URL      the server (default: http://127.0.0.1:4000/graphql)
  TIDEMARK_API_KEY  a key with the scope INGEST

Interrupted? Run the same command again. It reads the input from its beginning,
skips what the server has acknowledged (the state file says how far) and sends
the rest. Nothing counts twice: every event has an id made from the mapping and
its row, and the server takes each id once. If the input has changed before the
place it had reached, the import says so instead of guessing.

Exit code: 0 when every row was imported or left out by a rule of the mapping;
1 when rows were rejected, or the import stopped.`;

async function main(): Promise<number> {
  const { values, positionals } = readArguments();
  if (values.help) {
    console.log(HELP);
    return 0;
  }
  const [input, ...more] = positionals;
  if (input === undefined || more.length > 0)
    throw new UsageError('Name one input: a file, or - for standard input.');
  if (!values.mapping) throw new UsageError('Name a mapping: --mapping NAME or --mapping FILE.json.');
  const mapping = await loadMapping(values.mapping);
  const backfill = !values.live;
  if (values['dry-run']) return printDryRun(input, mapping, backfill);

  const apiKey = process.env.TIDEMARK_API_KEY ?? '';
  if (apiKey === '') {
    throw new UsageError('Set TIDEMARK_API_KEY to an API key with the scope INGEST.');
  }
  const stop = new AbortController();
  // The first signal ends the import in order, a second one at once. One Ctrl-C may arrive several times: from the
  // terminal, from npm and from tsx.
  let signalled = Infinity;
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      if (performance.now() > signalled + 1_000) process.exit(1);
      signalled = Math.min(signalled, performance.now());
      stop.abort();
    });
  }

  let note: (text: string) => void = () => {};
  const client = createClient({
    url: process.env.TIDEMARK_URL || 'http://127.0.0.1:4000/graphql',
    apiKey,
    signal: stop.signal,
    onRetry: (reason, delay) => note(`${reason}: trying again in ${(delay / 1000).toFixed(1)} s`),
  });
  const name = input === '-' ? 'stdin' : basename(input);
  const folder = await writableFolder(input);
  const outcome = await runImport({
    input,
    mapping,
    client,
    backfill,
    restart: values.restart,
    statePath: values.state ?? (input === '-' ? null : join(folder, `${name}.import-state.json`)),
    rejectsPath: values.rejects ?? join(folder, `${name}.rejects.ndjson`),
    signal: stop.signal,
    onNote: (listener) => (note = listener),
  });
  printOutcome(outcome);
  return outcome.rejects > 0 || !outcome.evaluated ? 1 : 0;
}

class UsageError extends Error {}

function readArguments() {
  try {
    return parseArgs({
      allowPositionals: true,
      options: {
        mapping: { type: 'string' },
        rejects: { type: 'string' },
        state: { type: 'string' },
        restart: { type: 'boolean', default: false },
        live: { type: 'boolean', default: false },
        'dry-run': { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    });
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

/** Beside the input, or, where that folder is read-only, here. */
async function writableFolder(input: string): Promise<string> {
  if (input === '-') return '.';
  const folder = dirname(input);
  return access(folder, constants.W_OK).then(
    () => folder,
    () => '.',
  );
}

function printOutcome(outcome: Outcome): void {
  const { counts } = outcome;
  const rows: [string, string][] = [['rows read', count(counts.rows)]];
  for (const [reason, n] of counts.skipped) rows.push([`not imported: ${reason}`, count(n)]);
  for (const [label, n] of counts.items) rows.push([label === 'profile' ? 'profiles' : label, count(n)]);
  if (outcome.resumedItems > 0) rows.push(['of these, sent by an earlier run', count(outcome.resumedItems)]);
  rows.push(['accepted by the server (ids it knew already included)', count(outcome.accepted)]);
  rows.push([
    'rejected',
    outcome.rejects === 0 ? '0' : `${count(outcome.rejects)} (see ${outcome.rejectsPath})`,
  ]);
  rows.push(['seconds to accepted', outcome.sendSeconds.toFixed(1)]);
  rows.push([
    'items per second',
    count(Math.round(outcome.sentItems / Math.max(outcome.sendSeconds, 0.001))),
  ]);
  rows.push([
    'seconds to evaluated',
    outcome.evaluated ? outcome.totalSeconds.toFixed(1) : 'not reached in time',
  ]);
  const width = Math.max(...rows.map(([label]) => label.length));
  for (const [label, text] of rows) console.log(`${label.padEnd(width)}  ${text}`);
  if (!outcome.evaluated) {
    console.error(
      'Everything is accepted and will be evaluated; the server has just not come to its end yet.',
    );
  }
}

function remedy(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  if (error instanceof UsageError) return `${message}\nSee: npm run import -- --help`;
  if (!(error instanceof ClientError)) return message;
  switch (error.kind) {
    case 'unauthorized':
      return `${message}\nSet TIDEMARK_API_KEY to a key of this server with the scope INGEST.`;
    case 'unavailable':
      return `${message}\nThe progress is kept. Is the server running, and TIDEMARK_URL right? Then run the same command again.`;
    case 'stopped':
      return 'Interrupted. The progress is kept: run the same command again to go on.';
    case 'refused':
      return message;
  }
}

try {
  process.exitCode = await main();
} catch (error) {
  console.error(error instanceof MappingError ? error.message : remedy(error));
  process.exitCode = 1;
}
