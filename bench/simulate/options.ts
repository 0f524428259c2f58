/** What was typed, checked: every mistake is named with what would be right. */
import { parseArgs, type ParseArgsConfig } from 'node:util';
import { COSTS, costsOf, type Costs } from './costs.ts';
import { PRESETS, type Scenario } from './workload.ts';

export const HELP = `Usage: npm run simulate -- [PRESET] [options]

What Tidemark needs for a volume, from what one of everything costs (--costs), what
breaks first, and a simulated day of the evaluators. Nothing is started or measured.
docs/scaling.md says what to make of it.

PRESET                 ${Object.keys(PRESETS).join(', ')} (laptop)
  --profiles N           people, in all accounts
  --accounts N           accounts, the largest by far larger than the others
  --events-per-second N  mean over a day
  --traits-per-second N  changed profiles; mean over a day
  --segments N           in all accounts
  --peak N               the busiest second over the mean
  --partitions N         of profile-changes (the code has 8)
  --evaluators N         processes that share them; without it, as many as are needed
  --shards N             of ClickHouse; without it, as many as are needed
  --cost NAME=VALUE      another unit cost, in the unit that --costs shows; may be repeated
  --seed N               of all that is left to chance (1)
  --json                 everything as JSON
  --costs                the unit costs: each with its source and how wrong it may be
  --help`;

/** Mistakes of whoever typed it; the message is for them. */
export class BadOption extends Error {}

export interface Options {
  name: string;
  scenario: Scenario;
  costs: Costs;
  seed: number;
  show: 'table' | 'json' | 'costs' | 'help';
}

const text = { type: 'string' } as const;
const CONFIG = {
  allowPositionals: true,
  options: {
    profiles: text,
    accounts: text,
    'events-per-second': text,
    'traits-per-second': text,
    segments: text,
    peak: text,
    partitions: text,
    evaluators: text,
    shards: text,
    seed: text,
    cost: { type: 'string', multiple: true },
    json: { type: 'boolean' },
    costs: { type: 'boolean' },
    help: { type: 'boolean' },
  },
} as const satisfies ParseArgsConfig;

/** Throws BadOption. */
export function readOptions(args: readonly string[]): Options {
  const { values, positionals } = parse(args);
  const [name = 'laptop', ...more] = positionals;
  const preset = Object.hasOwn(PRESETS, name) ? PRESETS[name] : undefined;
  if (!preset || more.length > 0) {
    throw new BadOption(
      `Name one preset of ${Object.keys(PRESETS).join(', ')}, not "${positionals.join(' ')}".`,
    );
  }
  const { workload, deployment } = preset;
  const whole = (option: keyof typeof values, otherwise: number, most: number, least = 1) =>
    numberIn(`--${option}`, values[option], least, most, true) ?? otherwise;
  const rate = (option: keyof typeof values, otherwise: number) =>
    numberIn(`--${option}`, values[option], 0, 1e7, false) ?? otherwise;
  const profiles = whole('profiles', workload.profiles, 1e11);
  const accounts = whole('accounts', Math.min(workload.accounts, profiles), 1e6);
  if (accounts > profiles) throw new BadOption('--accounts: each has at least one of the --profiles.');
  const partitions = whole('partitions', deployment.partitions, 4_096);
  const evaluators = numberIn('--evaluators', values.evaluators, 1, 4_096, true);
  if (evaluators !== null && evaluators > partitions) {
    throw new BadOption(
      `--evaluators: ${partitions} partitions are shared by at most ${partitions} processes; more need more --partitions.`,
    );
  }
  return {
    name,
    scenario: {
      workload: {
        ...workload,
        profiles,
        accounts,
        eventsPerSecond: rate('events-per-second', workload.eventsPerSecond),
        traitsPerSecond: rate('traits-per-second', workload.traitsPerSecond),
        segments: whole('segments', workload.segments, 1e9, 0),
        peakFactor: numberIn('--peak', values.peak, 1, 100, false) ?? workload.peakFactor,
      },
      deployment: {
        ...deployment,
        partitions,
        evaluators:
          evaluators ?? (deployment.evaluators === null ? null : Math.min(partitions, deployment.evaluators)),
        shards: numberIn('--shards', values.shards, 1, 10_000, true) ?? deployment.shards,
      },
    },
    costs: costsFrom(values.cost ?? []),
    seed: whole('seed', 1, 2 ** 32 - 1, 0),
    show: values.help ? 'help' : values.costs ? 'costs' : values.json ? 'json' : 'table',
  };
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({ ...CONFIG, args: [...args] });
  } catch (error) {
    throw new BadOption(error instanceof Error ? error.message : String(error), { cause: error });
  }
}

/** Null when it was not given. */
function numberIn(
  name: string,
  given: string | boolean | string[] | undefined,
  least: number,
  most: number,
  whole: boolean,
): number | null {
  if (given === undefined) return null;
  const number = given === '' ? Number.NaN : Number(given);
  if (number >= least && number <= most && (!whole || Number.isInteger(number))) return number;
  const kind = whole ? 'a whole number' : 'a number';
  throw new BadOption(
    `${name} must be ${kind} from ${least} to ${most.toLocaleString('en-US')}, not "${String(given)}".`,
  );
}

function costsFrom(given: readonly string[]): Costs {
  const costs = costsOf();
  for (const one of given) {
    const [name = '', value = '', ...more] = one.split('=');
    if (!Object.hasOwn(COSTS, name) || value === '' || more.length > 0) {
      throw new BadOption(`--cost takes NAME=VALUE with a name that --costs shows, not "${one}".`);
    }
    costs[name as keyof Costs] = numberIn(`--cost ${name}`, value, 0, 1e12, false) ?? 0;
  }
  return costs;
}
