/** `npm run bench -- NAME`: measures what Tidemark promises. docs/benchmarks.md says what exactly. */
import { constants } from 'node:os';
import { parseArgs } from 'node:util';
import { isThere, retailFile, runImport } from './import.ts';
import { runLanguage } from './language/language.ts';
import { runLatency } from './latency/latency.ts';
import { report, type Outcome } from './lib/report.ts';
import { cleanUp } from './lib/service.ts';
import { runClock } from './scale/clock.ts';
import { runCounts } from './scale/counts.ts';
import { runCreate } from './scale/create.ts';
import { runEvaluate } from './scale/evaluate.ts';
import { FULL, runLag } from './scale/lag.ts';
import { runPeer } from './scale/peer.ts';
import { runStart } from './start.ts';
import { runUnits } from './units/units.ts';

const HELP = `Usage: npm run bench -- NAME [options]

Starts a private Tidemark with an empty data folder, measures, prints a table and
writes bench/results/NAME.json.

start     from npm start to ready: with an empty data folder, and again with its data
  --runs N       pairs of starts (3)
latency   from an accepted event to the change on a subscription, under load
  --seconds N    how long to measure, after 5 s of warm-up (30)
  --rate N       events a second (500)
import    the Online Retail file, until its segments are evaluated
                 The file: ONLINE_RETAIL_FILE, or ../shared/datasets/online-retail.csv.gz
language  each kind of condition over all profiles, beside a bare scan of its columns
  --repeats N    counts of each condition, of which the median is shown (5)
  --only TEXT    no conditions but those whose names contain it, and no draft; can be
                 given several times
create    from segmentCreate to LIVE, beside the bare scan
                 60000000 profiles, 600000000 events; --repeats: 3
counts    sizes, overlaps and drafts, as a front end asks for them
                 10000000 profiles, 100000000 events; --repeats: 60
peer      the tasks on which the closest open-source system was measured
                 1000000 profiles, 10000000 events; --repeats: 5
evaluate  500 criteria for changed profiles, by the evaluator's own code
                 10000000 profiles, 100000000 events; --repeats: 5
clock     windowed segments, whose edges bring somebody each second, and a midnight
                 10000000 profiles, 100000000 events
  --segments N   segments (10000)
  --seconds N    how long to measure before midnight (30)
lag       5,000 segments in 500 accounts: from an event's acceptance to its change
  --seconds N    how long to measure, after 5 s of warm-up (30)
  --rate N       events a second (2000)
units     what one of everything costs, for npm run simulate
  --seconds N    of each phase that lasts a while (15); --events: of the bulk (100000)

For language to evaluate
  --profiles N   profiles (language: 1000000)
  --events N     their events (language: 10000000)

For latency and import
  --url URL      measure the Tidemark that runs there instead (TIDEMARK_URL)
  --key KEY      its API key, scopes INGEST and MANAGE (TIDEMARK_API_KEY)

Exit code: 0 when it was measured, whether or not the bars were reached; 1 when it
failed or the answers were wrong (a change missing, too much, or at a wrong instant).`;

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      runs: { type: 'string', default: '3' },
      seconds: { type: 'string' },
      rate: { type: 'string' },
      profiles: { type: 'string' },
      events: { type: 'string' },
      repeats: { type: 'string' },
      only: { type: 'string', multiple: true },
      segments: { type: 'string' },
      url: { type: 'string' },
      key: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    console.log(HELP);
    return 0;
  }
  const [name, ...more] = positionals;
  if (name === undefined || more.length > 0) throw new Error(`Name one benchmark.\n\n${HELP}`);
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => void cleanUp().finally(() => process.exit(128 + constants.signals[signal])));
  }
  const given = targetOf(values.url ?? process.env.TIDEMARK_URL, values.key ?? process.env.TIDEMARK_API_KEY);
  let outcome: Outcome;
  switch (name) {
    case 'start':
      outcome = await runStart({ runs: wholeNumber('--runs', values.runs, 1, 100) });
      break;
    case 'latency':
      outcome = await runLatency({
        given,
        seconds: wholeNumber('--seconds', values.seconds ?? '30', 1, 3_600),
        rate: wholeNumber('--rate', values.rate ?? '500', 100, 10_000),
      });
      break;
    case 'import': {
      const file = retailFile(process.env);
      if (!isThere(file)) {
        console.error(
          `SKIPPED: ${file} is not there. Set ONLINE_RETAIL_FILE to the Online Retail file (CSV, gzip).`,
        );
        return 0;
      }
      outcome = await runImport({ file, given });
      break;
    }
    case 'language':
      outcome = await runLanguage({ ...sizeOf(values, 1_000_000, 5), only: values.only ?? null });
      break;
    case 'create':
      outcome = await runCreate(sizeOf(values, 60_000_000, 3));
      break;
    case 'counts':
      outcome = await runCounts(sizeOf(values, 10_000_000, 60));
      break;
    case 'peer':
      outcome = await runPeer(sizeOf(values, 1_000_000, 5));
      break;
    case 'evaluate':
      outcome = await runEvaluate(sizeOf(values, 10_000_000, 5));
      break;
    case 'clock': {
      const { profiles, events } = sizeOf(values, 10_000_000, 1);
      outcome = await runClock({
        profiles,
        events,
        segments: wholeNumber('--segments', values.segments ?? '10000', 100, 100_000),
        seconds: wholeNumber('--seconds', values.seconds ?? '30', 5, 600),
      });
      break;
    }
    case 'lag':
      outcome = await runLag({
        ...FULL,
        seconds: wholeNumber('--seconds', values.seconds ?? '30', 1, 3_600),
        rate: wholeNumber('--rate', values.rate ?? '2000', 100, 10_000),
      });
      break;
    case 'units':
      outcome = await runUnits({
        seconds: wholeNumber('--seconds', values.seconds ?? '15', 1, 600),
        events: wholeNumber('--events', values.events ?? '100000', 1_000, 10_000_000),
      });
      break;
    default:
      throw new Error(`There is no benchmark "${name}".\n\n${HELP}`);
  }
  return report(outcome);
}

/** Null: none was named. The URL may be that of the endpoint. */
function targetOf(url: string | undefined, apiKey: string | undefined) {
  if (!url) return null;
  if (!apiKey) throw new Error('Give the API key of that Tidemark: --key or TIDEMARK_API_KEY.');
  return { url: new URL(url).origin, apiKey };
}

/** Unless told otherwise, ten events a profile. */
function sizeOf(
  given: { profiles?: string; events?: string; repeats?: string },
  profiles: number,
  runs: number,
) {
  return {
    profiles: wholeNumber('--profiles', given.profiles ?? String(profiles), 1_000, 100_000_000),
    events: wholeNumber('--events', given.events ?? String(profiles * 10), 1_000, 2_000_000_000),
    runs: wholeNumber('--repeats', given.repeats ?? String(runs), 1, 1_000),
  };
}

function wholeNumber(name: string, text: string, from: number, to: number): number {
  const number = Number(text);
  if (Number.isInteger(number) && number >= from && number <= to) return number;
  throw new Error(`${name} must be a whole number from ${from} to ${to}, not "${text}".`);
}

try {
  process.exitCode = await main();
} catch (error) {
  console.error(error instanceof Error ? error.message : String(error));
  process.exitCode = 1;
}
