/**
 * Scope one: a condition over all profiles of an account, or over some chunks of them. Each criterion's scan gives its
 * set as one bitmap per chunk of 65,536 profile numbers; the condition is algebra over those bitmaps.
 */
import { groupBy } from '../runtime/group-by.ts';
import { criteriaOf, criterionKey } from '../segments/normalise.ts';
import { consentAttribute } from '../segments/paths.ts';
import { MIX_KEY, sampleLimit, sampleSeed } from '../segments/sample.ts';
import { isLeaf } from '../segments/tree.ts';
import type { Criterion, NormalCondition, SampleCriterion } from '../segments/ast.ts';
import { compileTrait, notWrittenOut } from './compile.ts';
import { BY_PROFILE, isFar, isMonthly, scanEvents } from './event-scans.ts';
import { selectByDistance } from './near.ts';
import { CHUNK_BITS } from '../storage/topics.ts';
import { BY_CHUNK, LOW, selectBitmaps, selectWords, UNION } from './chunk-bitmaps.ts';
import { compileConsent } from './consents.ts';
import { createParameters, type Parameters } from './parameters.ts';
import { selectByPairs } from './pairs.ts';
import { compileSequence } from './sequences.ts';
import { selectByTrend } from './trends.ts';
import { looksAtEvents } from './uses.ts';

export interface Scope {
  account: number;
  /** The instant of evaluation, epoch milliseconds. */
  at: number;
  /** The account's, as the IANA names it. */
  timeZone: string;
  /** Metric ids by name; a name without one has never had an event. */
  metrics: ReadonlyMap<string, number>;
  /** Only these chunks; null: all of them. */
  chunks: readonly number[] | null;
}

export interface ChunkQuery {
  /** A SELECT of `chunk` (UInt16) and `members` (bitmap of the low 16 bits), one row per chunk at most. */
  sql: string;
  parameters: Parameters;
}

/** One that scans; `settings` are those of the whole statement that it becomes part of. */
export interface ChunkScan extends ChunkQuery {
  settings: ScanSettings;
}

export type ScanSettings = Record<'max_streams_for_union_step', number>;

/** Everyone who is there: criterion 0 of each query. */
export const EVERYBODY = 0;
/** Who is not there any more, where it is not of interest who is. */
const GONE = 0;

/** The members of a normalised condition, chunk by chunk. Several that share their parameters fit into one statement. */
export function selectMembers(
  condition: NormalCondition,
  scope: Scope,
  parameters: Parameters = createParameters(),
): ChunkScan {
  const criteria = criteriaOf(condition);
  const { set, isRest } = smallestSet(criteria)(condition);
  // Of a large account, making the set of everybody takes as long as many a criterion; few are gone.
  const those = isRest ? scanEverybody(EVERYBODY, scope, parameters) : scanGone(GONE, scope, parameters);
  const members = `bitmapAndnot(${isRest ? `${setOf(EVERYBODY)}, ${set}` : `${set}, ${setOf(GONE)}`})`;
  const numbered = criteria.map((criterion, i): Numbered => [i + 1, criterion]);
  const sql = `
    SELECT chunk, ${members} AS members
    FROM (${collectSets(bitmapsOf([those, ...scansOf(numbered, scope, parameters)]))})`;
  return { sql, parameters, settings: scanSettings(criteria, scope) };
}

/** How to scan for these criteria: one after the other, lest what each adds up is pushed out of the caches by the others. */
export function scanSettings(criteria: readonly (Criterion | null)[], scope: Scope): ScanSettings {
  // The scans of different values, and of one month and others, are a union of their own, of which as many threads as
  // there are shall add up.
  const isUnion =
    criteria.some((one) => one?.kind === 'event' && one.measure.kind === 'distinct') ||
    monthlyAmong(criteria, scope) !== null;
  return { max_streams_for_union_step: isUnion ? 0 : 1 };
}

/** The only criterion that looks at events, if it is read month by month: with others it would keep them waiting. */
function monthlyAmong(criteria: readonly (Criterion | null)[], scope: Scope): Criterion | null {
  const [only = null, ...others] = criteria.filter((one) => one !== null && looksAtEvents(one));
  return others.length === 0 && only?.kind === 'event' && isMonthly(only, scope) ? only : null;
}

/** A SELECT of `chunk`, `criterion` (EVERYBODY, or the place among the criteria from 1 on) and `members`. */
export function scanAll(criteria: readonly Criterion[], scope: Scope, parameters: Parameters): string {
  return scanEach([null, ...criteria], scope, parameters);
}

/** A SELECT of `chunk`, `criterion` (the place among these, from 0 on; null is everybody) and `members`. */
export function scanEach(
  criteria: readonly (Criterion | null)[],
  scope: Scope,
  parameters: Parameters,
): string {
  const numbered = criteria.flatMap((criterion, i): Numbered[] =>
    criterion === null ? [] : [[i, criterion]],
  );
  const everybody = criteria.flatMap((criterion, i) =>
    criterion === null ? [scanEverybody(i, scope, parameters)] : [],
  );
  return bitmapsOf([...everybody, ...scansOf(numbered, scope, parameters)]);
}

/** A SELECT of `chunk`, `criterion`, and `members` or the `words` that they are made of. */
interface SetScan {
  of: 'members' | 'words';
  sql: string;
}

/** One SELECT of `chunk`, `criterion` and `members` of all of them. */
function bitmapsOf(scans: readonly SetScan[]): string {
  const those = (of: SetScan['of']) => scans.flatMap((scan) => (scan.of === of ? [scan.sql] : []));
  const words = those('words');
  return [...those('members'), ...(words.length > 0 ? [selectBitmaps(words)] : [])].join(UNION);
}

type Numbered = [number: number, criterion: Criterion];
/** Of one criterion. */
type OneScope = Scope & { isMonthly: boolean };

/** One for each criterion, and one for all those that look at the same attribute of profiles. */
function scansOf(criteria: readonly Numbered[], scope: Scope, parameters: Parameters): SetScan[] {
  const byAttribute = groupBy(criteria, ([number, criterion]) => attributeOf(criterion) ?? number);
  const own = [...byAttribute.values()].filter(({ length }) => length === 1);
  const collect = own.length <= MOST_OF_WORDS ? ofWords : ofMembers;
  const monthly = monthlyAmong(
    criteria.map(([, criterion]) => criterion),
    scope,
  );
  return [...byAttribute].flatMap(([attribute, those]): SetScan[] =>
    typeof attribute === 'string' && those.length > 1
      ? [{ of: 'members', sql: scanAttribute(attribute, those, scope, parameters) }]
      : those.map(([number, criterion]) => {
          const rows = scanFor(criterion, { ...scope, isMonthly: criterion === monthly }, parameters);
          return collect(number, rows);
        }),
  );
}

/**
 * Words of more criteria, which may all be there at once, could take more memory than there is: 8 kB a chunk and thread
 * each, however few the members; of so many and 60 million profiles 240 MB a thread.
 */
const MOST_OF_WORDS = 32;

function ofWords(criterion: number, profiles: string): SetScan {
  return { of: 'words', sql: selectWords(criterion, profiles) };
}

function ofMembers(criterion: number, profiles: string): SetScan {
  const sql = `SELECT chunk, ${criterion} AS criterion, groupBitmapState(${LOW}) AS members
      FROM (${profiles})
      GROUP BY ${BY_CHUNK}`;
  return { of: 'members', sql };
}

function scanAttribute(
  attribute: string,
  criteria: readonly Numbered[],
  scope: Scope,
  parameters: Parameters,
): string {
  const sets = criteria.map(
    ([number, criterion]) =>
      `groupBitmapStateIf(${LOW}, ${compileAttribute(criterion, scope, parameters)}) AS of_${number}`,
  );
  return `SELECT chunk, criterion, members
      FROM (
        SELECT chunk, ${sets.join(', ')}
        ${traitsOf(attribute, scope, parameters)}
        GROUP BY ${BY_CHUNK}
      )
      ARRAY JOIN
        [${criteria.map(([number]) => number).join(', ')}] AS criterion,
        [${criteria.map(([number]) => `of_${number}`).join(', ')}] AS members`;
}

/**
 * A condition over these criteria as an expression over bitmaps, which may hold some who are gone: of those who satisfy
 * it or, with `isRest`, of those who do not. Everybody is not needed for it.
 */
function smallestSet(
  criteria: readonly Criterion[],
): (condition: NormalCondition) => { set: string; isRest: boolean } {
  const numbers = numbersOf(criteria);
  const nobody = 'bitmapBuild(emptyArrayUInt32())';
  const union = (sets: string[]) => (sets.length > 0 ? balanced('bitmapOr', sets) : nobody);
  const without = (sets: string[], others: string[]) => {
    const all = balanced('bitmapAnd', sets);
    return others.length > 0 ? `bitmapAndnot(${all}, ${union(others)})` : all;
  };
  const algebra = (node: NormalCondition): { set: string; isRest: boolean } => {
    if (isLeaf(node)) return { set: setOf(numbers.get(criterionKey(node)) ?? EVERYBODY), isRest: false };
    if (node.kind === 'not') {
      const { set, isRest } = algebra(node.child);
      return { set, isRest: !isRest };
    }
    const parts = node.children.map(algebra);
    const those = parts.flatMap(({ set, isRest }) => (isRest ? [] : [set]));
    const rests = parts.flatMap(({ set, isRest }) => (isRest ? [set] : []));
    if (node.kind === 'all') {
      return those.length > 0
        ? { set: without(those, rests), isRest: false }
        : { set: union(rests), isRest: true };
    }
    return rests.length > 0
      ? { set: without(rests, those), isRest: true }
      : { set: union(those), isRest: false };
  };
  return algebra;
}

const numbersOf = (criteria: readonly Criterion[]) =>
  new Map(criteria.map((criterion, i) => [criterionKey(criterion), i + 1]));

/** Conditions over these criteria as expressions over bitmaps, of which `nameOf` says what they are called. */
export function setAlgebra(
  criteria: readonly Criterion[],
  nameOf: (criterion: number) => string,
): (condition: NormalCondition) => string {
  const numbers = numbersOf(criteria);
  const algebra = (node: NormalCondition): string => {
    if (isLeaf(node)) return nameOf(numbers.get(criterionKey(node)) ?? EVERYBODY);
    switch (node.kind) {
      case 'all':
        return balanced('bitmapAnd', node.children.map(algebra));
      case 'any':
        return balanced('bitmapOr', node.children.map(algebra));
      case 'not':
        return `bitmapAndnot(${nameOf(EVERYBODY)}, ${algebra(node.child)})`;
    }
  };
  return algebra;
}

/** As a tree of little depth: ClickHouse refuses expressions that are nested a thousand times. */
export function balanced(operation: string, sets: string[]): string {
  const middle = sets.length >> 1;
  if (middle === 0) return sets[0] ?? setOf(EVERYBODY);
  return `${operation}(${balanced(operation, sets.slice(0, middle))}, ${balanced(operation, sets.slice(middle))})`;
}

/**
 * The rows of `scanAll`, a row per chunk. Arrays, and not an aggregate for each criterion: ClickHouse looks at all scans
 * again for each aggregate over them, which takes seconds for hundreds.
 */
export function collectSets(scans: string): string {
  return `SELECT chunk, groupArray(criterion) AS criteria, groupArray(members) AS sets
      FROM (${scans})
      GROUP BY chunk`;
}

/** The set of a criterion over the rows of `collectSets`; without a row it is empty. */
export function setOf(criterion: number): string {
  return `sets[indexOf(criteria, ${criterion})]`;
}

/** The only attribute of profiles that the criterion looks at; null: it looks at other things. */
function attributeOf(criterion: Criterion): string | null {
  if (criterion.kind === 'property') return criterion.path;
  return criterion.kind === 'consent' ? consentAttribute(criterion.channel) : null;
}

function traitsOf(attribute: string, scope: Scope, parameters: Parameters): string {
  return `FROM traits FINAL
      WHERE ${place(scope, parameters)} AND attribute = ${parameters.add('String', attribute)}`;
}

/** Of a criterion that has one: whether a row of it satisfies the criterion. */
function compileAttribute(criterion: Criterion, scope: Scope, parameters: Parameters): string {
  if (criterion.kind === 'property') return compileTrait(criterion, scope, parameters);
  if (criterion.kind === 'consent') return compileConsent(criterion, scope, parameters);
  throw notWrittenOut(criterion);
}

/** A SELECT of `profile`, of those who satisfy the criterion; repetitions do no harm. */
function scanFor(criterion: Criterion, scope: OneScope, parameters: Parameters): string {
  const attribute = attributeOf(criterion);
  if (attribute !== null) {
    return `SELECT profile
      ${traitsOf(attribute, scope, parameters)} AND ${compileAttribute(criterion, scope, parameters)}`;
  }
  if (criterion.kind === 'near') return selectByDistance(criterion, place(scope, parameters), parameters);
  if (criterion.kind === 'sample') {
    return `SELECT profile
      FROM profiles
      WHERE ${place(scope, parameters)} AND ${compileSample(criterion, parameters)}`;
  }
  if (criterion.kind === 'trend')
    return selectByTrend(criterion, scope, place(scope, parameters), parameters);
  const metricOf = (name: string) => scope.metrics.get(name) ?? 0;
  if (criterion.kind === 'sequence') {
    const sequence = compileSequence(criterion, metricOf, scope, parameters);
    const order = isFar(criterion, scope) ? ` AND ${BY_PROFILE}` : '';
    const matching = `FROM events WHERE ${place(scope, parameters)} AND ${sequence.match}${order}`;
    const byPairs = selectByPairs(criterion, metricOf, scope.at, parameters, matching);
    if (byPairs !== null) return byPairs;
    const rows = `${matching} GROUP BY profile`;
    if (sequence.ofExtremes) return `SELECT profile ${rows} HAVING ${sequence.ofExtremes('true')}`;
    return `SELECT profile
      FROM (SELECT profile, groupArray(${sequence.moment}) AS collected ${rows} HAVING ${sequence.isPossible})
      WHERE ${sequence.truthOf('collected')}`;
  }
  if (criterion.kind !== 'event') throw notWrittenOut(criterion);
  return scanEvents(criterion, metricOf(criterion.metric), scope, place(scope, parameters), parameters);
}

/** `isInSample` of the language. The limit can be 2^64, which takes one more bit than the numbers have. */
function compileSample({ percent, salt }: SampleCriterion, parameters: Parameters): string {
  const key = parameters.add('UInt64', (sampleSeed(salt) ^ MIX_KEY).toString());
  const limit = parameters.add('UInt128', sampleLimit(percent).toString());
  return `intHash64(bitXor(toUInt64(profile), ${key})) < ${limit}`;
}

/** Whoever is gone stays gone: so there is no need to look for the newest row of each. */
function scanEverybody(number: number, scope: Scope, parameters: Parameters): SetScan {
  const sql = `SELECT chunk, ${number} AS criterion,
        bitmapAndnot(groupBitmapState(low), groupBitmapStateIf(low, NOT alive)) AS members
      FROM (
        SELECT profile, alive, ${LOW} AS low
        FROM profiles
        WHERE ${place(scope, parameters)}
      )
      GROUP BY ${BY_CHUNK}`;
  return { of: 'members', sql };
}

/** Hardly anything of a column that is nearly always the same has to be read for it. They are few. */
function scanGone(number: number, scope: Scope, parameters: Parameters): SetScan {
  return ofMembers(number, `SELECT profile FROM profiles WHERE ${place(scope, parameters)} AND NOT alive`);
}

/** So many ranges of profiles are compared in less time than a chunk is looked up for each row. */
const FEW_RANGES = 4;

function place(scope: Scope, parameters: Parameters): string {
  const account = `account = ${parameters.add('UInt32', scope.account)}`;
  if (scope.chunks === null) return account;
  const ranges = rangesOf(scope.chunks);
  // By division: ClickHouse knows that it is monotonic, and skips what lies in other chunks, unlike with a shift.
  if (ranges.length === 0 || ranges.length > FEW_RANGES)
    return `${account} AND intDiv(profile, ${2 ** CHUNK_BITS}) IN ${parameters.add('Array(UInt32)', scope.chunks)}`;
  const bound = (chunk: number) => parameters.add('UInt64', chunk * 2 ** CHUNK_BITS);
  const within = ranges.map(({ from, to }) => `profile >= ${bound(from)} AND profile < ${bound(to)}`);
  return `${account} AND (${within.join(' OR ')})`;
}

/** Of chunks that follow each other: from the first to behind the last. */
function rangesOf(chunks: readonly number[]): { from: number; to: number }[] {
  const ranges: { from: number; to: number }[] = [];
  for (const chunk of [...chunks].sort((a, b) => a - b)) {
    const last = ranges.at(-1);
    if (last && chunk <= last.to) last.to = Math.max(last.to, chunk + 1);
    else ranges.push({ from: chunk, to: chunk + 1 });
  }
  return ranges;
}
