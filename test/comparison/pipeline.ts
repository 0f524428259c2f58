/**
 * The whole way through, at random: after every few steps of a script, for every living segment,
 * reference over the model = audience = stored members = the membership log, replayed = what a subscription delivered.
 */
import assert from 'node:assert/strict';
import { and, eq } from 'drizzle-orm';
import { countAudience, listAudience } from '../../src/evaluation/audience.ts';
import { countNodes, type NodeCount } from '../../src/evaluation/breakdown.ts';
import { createSegment, deleteSegment, updateSegment } from '../../src/evaluation/definitions.ts';
import { listMembers, segmentsOfProfile } from '../../src/evaluation/memberships.ts';
import { acceptConsents, acceptEvents, acceptProfiles, type Accepted } from '../../src/ingest/accept.ts';
import { KINDS } from '../../src/ingest/identify.ts';
import { waitForReceipt } from '../../src/ingest/receipts.ts';
import { groupBy } from '../../src/runtime/group-by.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { encodeId } from '../../src/runtime/global-ids.ts';
import type { Condition, ProfileFacts } from '../../src/segments/ast.ts';
import { criteriaOf, evaluate, parseCondition, referencesIn } from '../../src/segments/index.ts';
import { query } from '../../src/storage/clickhouse/connect.ts';
import { countMembers } from '../../src/storage/clickhouse/member-counts.ts';
import { identifiers } from '../../src/storage/mysql/schema.ts';
import { evaluatorPartition } from '../../src/storage/topics.ts';
import { readLogPage, type MembershipChange } from '../../src/streaming/feed.ts';
import { cover, type Coverage } from './coverage.ts';
import { certainKinds } from './generate-certain.ts';
import { ZONES } from './dates.ts';
import type { Json } from './generate.ts';
import { createModel, factsAbout, type Model, type ModelProfile } from './model.ts';
import { seededRandom, type Random } from './random.ts';
import { nextAdvance, nextStep, type Step } from './script.ts';
import { subscribe } from './subscriber.ts';
import type { World } from './world.ts';

export interface ScriptResult {
  steps: number;
  /** (segment, profile, instant) that were compared. */
  cases: number;
  /** Entries and exits that were replayed, and how many of them time alone had caused. */
  changes: number;
  timeChanges: number;
  /** How many a change of consent had caused. */
  consentChanges: number;
  /** How many time alone had caused in segments that ask how a prediction has changed. */
  trendChanges: number;
  /** How many a change in another segment had caused, of which an event, and time alone. */
  segmentChanges: number;
  segmentEvents: number;
  segmentTimes: number;
}

interface LiveSegment {
  segment: number;
  id: string;
  condition: Condition;
  /** Those that it refers to, all of them made before it. */
  references: number[];
  /** The replayed members, and since when; null: since the population. Null as long as no population was seen. */
  members: Map<number, number | null> | null;
}

const BORDER = 65_536;
/** Accounts whose scripts run at the same time, and their partition. */
const TOGETHER_ACCOUNTS = 5;
const TOGETHER = 3;
const ALL = 10_000;

/** Runs the script of a seed in an account of its own. Throws with the seed and the steps that led there. */
export async function runScript(
  world: World,
  seed: number,
  steps: number,
  coverage: Coverage,
): Promise<ScriptResult> {
  const script = await openScript(world, seed, coverage);
  const takeTogether = async (count: number, choose: typeof nextStep) => {
    const from = world.clock.now();
    const taken = await script.take(count, choose);
    await world.settle();
    await script.compare(taken, from);
  };
  return script.whole(async () => {
    while (script.tally.steps < steps) {
      // A few things at once, the later ones while the earlier are still being evaluated; then time alone.
      await takeTogether(script.random.pick([1, 1, 2, 3, 4]), nextStep);
      for (let pause = script.random.pick([0, 1, 2, 3]); pause > 0; pause--)
        await takeTogether(1, nextAdvance);
    }
  });
}

/**
 * The scripts of several seeds at the same time, in accounts that share an evaluator partition: what happens in them is
 * evaluated together. Each round something happens everywhere at once, and then time passes.
 */
export async function runTogether(
  world: World,
  seeds: readonly number[],
  rounds: number,
  coverage: Coverage,
): Promise<ScriptResult[]> {
  const scripts: Script[] = [];
  for (const seed of seeds) scripts.push(await openScript(world, seed, coverage, { partition: TOGETHER }));
  const compare = async (taken: readonly (readonly Step[])[], from: number) => {
    await world.settle();
    for (const [i, script] of scripts.entries()) await script.compare(taken[i] ?? [], from);
  };
  const run = scripts.reduceRight(
    (inner, script) => () => script.whole(inner).then(() => undefined),
    async () => {
      for (let round = 0; round < rounds; round++) {
        const from = world.clock.now();
        const leader = scripts[round % scripts.length];
        assert(leader);
        const count = leader.random.pick([1, 2, 3]);
        await compare(await Promise.all(scripts.map((script) => script.take(count, nextOfAccount))), from);
        const before = world.clock.now();
        const passed = await leader.take(1, nextAdvance);
        await compare(
          scripts.map(() => passed),
          before,
        );
      }
    },
  );
  await run();
  return scripts.map(({ tally }) => tally);
}

/** Of the accounts that run together under one seed. */
export function accountSeeds(seed: number): number[] {
  return Array.from({ length: TOGETHER_ACCOUNTS }, (_, i) => seed * TOGETHER_ACCOUNTS + i);
}

/** Nothing that happens to all accounts. */
function nextOfAccount(situation: Parameters<typeof nextStep>[0]): Step {
  for (;;) {
    const step = nextStep(situation);
    if (step.kind !== 'advance' && step.kind !== 'restart') return step;
  }
}

interface Script {
  random: Random;
  tally: ScriptResult;
  /** Takes steps, without waiting for their evaluation. */
  take(count: number, choose: typeof nextStep): Promise<Step[]>;
  /** Everything has been evaluated. `from` is the time before the steps. */
  compare(taken: readonly Step[], from: number): Promise<void>;
  /** Does the work, looks at the whole log, and leaves nothing behind. Throws with the seed and the last steps. */
  whole(work: () => Promise<void>): Promise<ScriptResult>;
}

async function openScript(
  world: World,
  seed: number,
  coverage: Coverage,
  { partition }: { partition?: number } = {},
): Promise<Script> {
  const random = seededRandom(seed);
  // Every third account crosses the border between two chunks: two evaluator partitions, several ingest partitions.
  const spread = seed % 3 === 2;
  const nextProfile = spread ? BORDER - 6 : 0;
  const timeZone = ZONES[seed % ZONES.length] ?? 'UTC';
  let account = await world.newAccount(nextProfile, timeZone);
  while (partition !== undefined && evaluatorPartition(account, nextProfile) !== partition) {
    account = await world.newAccount(nextProfile, timeZone);
  }
  const model = createModel();
  const segments = new Map<number, LiveSegment>();
  const certain = certainKinds(random, [world.clock.now()], seed);
  const log: MembershipChange[] = [];
  const subscriber = subscribe(world, account);
  const kept = { ...world, criterionSets: world.keptSets[seed % 2 === 0 ? 0 : 1] };
  const tally: ScriptResult = {
    steps: 0,
    cases: 0,
    changes: 0,
    timeChanges: 0,
    consentChanges: 0,
    trendChanges: 0,
    segmentChanges: 0,
    segmentEvents: 0,
    segmentTimes: 0,
  };
  const trace: string[] = [];
  let position: string | null = null;

  async function take(step: Step): Promise<void> {
    trace.push(JSON.stringify({ now: world.clock.now(), ...step }));
    switch (step.kind) {
      case 'events':
        await stored(await acceptEvents(world, account, step.inputs), step.inputs.length);
        return model.events(step.inputs, world.clock.now());
      case 'profiles':
        await stored(await acceptProfiles(world, account, step.inputs), step.inputs.length);
        return model.profiles(step.inputs, world.clock.now());
      case 'consents':
        await stored(await acceptConsents(world, account, step.inputs), step.inputs.length);
        return model.consents(step.inputs, world.clock.now());
      case 'create': {
        const made = await createSegment(world, account, { name: 'random', condition: step.condition });
        assert('segment' in made, JSON.stringify(made));
        const { segment } = made;
        const id = encodeId('Segment', account, segment);
        segments.set(segment, { segment, id, ...defined(step.condition), members: null });
        return;
      }
      case 'edit': {
        const changed = await updateSegment(world, account, step.segment, { condition: step.condition });
        assert('segment' in changed, JSON.stringify(changed));
        const segment = segments.get(step.segment);
        assert(segment);
        Object.assign(segment, defined(step.condition));
        if ([...segments.values()].some(({ references }) => references.includes(segment.segment))) {
          coverage.set('segment.edited', (coverage.get('segment.edited') ?? 0) + 1);
        }
        return;
      }
      case 'delete':
        assert('deleted' in (await deleteSegment(world, account, step.segment)));
        return void segments.delete(step.segment);
      case 'advance':
        return world.clock.set(step.to);
      case 'restart':
        return world.restart(step.what, step.rolling);
      case 'reconnect':
        return subscriber.reconnect();
    }
  }

  function defined(input: Json): Pick<LiveSegment, 'condition' | 'references'> {
    const condition = conditionOf(input, coverage);
    const named = new Set(referencesIn(condition).map(({ id }) => id));
    const references = [...segments.values()].filter(({ id }) => named.has(id));
    assert.equal(references.length, named.size, 'a script refers to living segments only');
    if (references.some((one) => one.references.length > 0)) {
      coverage.set('segment.chain', (coverage.get('segment.chain') ?? 0) + 1);
    }
    return { condition, references: references.map(({ segment }) => segment) };
  }

  /** With the segments that the profile is in, one after the other: each refers to earlier ones only. */
  function withMemberships(known: ProfileFacts, at: number): ProfileFacts {
    const memberships = new Set<string>();
    for (const { id, condition } of segments.values()) {
      if (evaluate(condition, { ...known, memberships }, at, { timeZone })) memberships.add(id);
    }
    return { ...known, memberships };
  }

  /** Streams overtake one another; what is stored is in order. Its evaluation may still take its time. */
  async function stored(accepted: Accepted, count: number): Promise<void> {
    assert.deepEqual(accepted.userErrors, []);
    assert.equal(accepted.accepted, count);
    const deps = { log: world.log, mysql: world.mysql, clock: systemClock };
    const { reached } = await waitForReceipt(deps, account, accepted.receipt ?? '', 'STORED', 30_000);
    assert(reached, 'a write was not stored within 30 s');
  }

  async function takeSome(count: number, choose: typeof nextStep): Promise<Step[]> {
    const taken: Step[] = [];
    while (taken.length < count) {
      const now = world.clock.now();
      const situation = { random, model, now, timeZone, segments: [...segments.values()], certain, spread };
      const step = choose(situation);
      await take(step);
      taken.push(step);
    }
    // Sets are read and brought up to date while rows and news are on their way, too.
    const early = [...segments.values()].slice(0, 3);
    await Promise.all(early.map(({ condition }) => countAudience(kept, account, condition)));
    tally.steps += count;
    return taken;
  }

  async function compare(taken: readonly Step[], from: number): Promise<void> {
    const now = world.clock.now();
    const numbers = await profileNumbers(world, account, model);
    const facts = new Map([...numbers].map(([profile, number]) => [number, factsAbout(profile, number)]));
    const changes = await readOn();
    tally.changes += changes.length;
    tally.consentChanges += changes.filter(({ cause }) => cause === 'CONSENT').length;
    tally.trendChanges += changes.filter(({ cause, segment }) => {
      const leaves = criteriaOf(segments.get(segment)?.condition ?? { kind: 'any', children: [] });
      return cause === 'TIME' && leaves.some((leaf) => leaf.kind === 'prediction' && leaf.change !== null);
    }).length;
    for (const { segment, cause, event } of changes) {
      if (cause !== 'SEGMENT') continue;
      tally.segmentChanges += 1;
      if (event) tally.segmentEvents += 1;
      const live = segments.get(segment);
      // One that was edited in the same steps may have referred to another before.
      if (live && taken.every(({ kind }) => kind !== 'edit')) assert.notDeepEqual(live.references, []);
    }
    const [only] = taken;
    if (only?.kind === 'advance' && taken.length === 1) checkDates(changes, segments, facts, from, now);
    const ids = [...segments.keys()];
    const counts = await countMembers(world.clickhouse, account, ids);
    const present = new Map([...facts].map(([number, known]) => [number, withMemberships(known, now)]));
    for (const segment of segments.values()) {
      const wanted = [...present]
        .filter(([, { memberships }]) => memberships.has(segment.id))
        .map(([n]) => n);
      const [stored, size, inMemory, nodes, audience] = await Promise.all([
        listMembers(world.clickhouse, account, segment.segment, null, ALL),
        countAudience(world, account, segment.condition),
        countAudience(kept, account, segment.condition),
        countNodes(kept, account, segment.condition),
        listAudience(world, account, segment.condition, null, ALL),
      ]);
      const about = `segment ${segment.segment} at ${now}`;
      const explain = () => `${about}: ${describe(segment, present)}`;
      same(audience, wanted, () => `the audience is not what the reference says: ${explain()}`);
      assert.equal(size, wanted.length, `the audience is counted wrongly: ${about}`);
      assert.equal(inMemory, wanted.length, `the audience is counted wrongly in memory: ${explain()}`);
      checkNodes(segment.condition, nodes, [...present.values()], now, explain);
      same(
        stored.map(({ profile }) => profile),
        wanted,
        () => `the members are not what the reference says: ${explain()}`,
      );
      assert.equal(counts.get(segment.segment), wanted.length, `the members are counted wrongly: ${about}`);
      const mine = changes.filter((change) => change.segment === segment.segment);
      segment.members ??= populationBefore(stored, mine);
      replay(segment.members, mine);
      assert.deepEqual(
        stored.map(({ profile, enteredAt }) => [profile, enteredAt]),
        [...segment.members].sort(([a], [b]) => a - b),
        `the log, replayed, does not give the stored members: ${about}`,
      );
      tally.cases += facts.size;
    }
    await checkOneProfile([...facts.keys()]);
    await checkEvents(numbers);
    await checkTraits(facts);
    await subscriber.expect(log);
    assert.deepEqual(
      world.warnings().filter((line) => !EXPECTED_WARNINGS.some((part) => line.includes(part))),
      [],
      'something had to be tried again',
    );
  }

  /** Each node's count is that of whom it holds for. */
  function checkNodes(
    node: Condition,
    counted: NodeCount,
    known: readonly ProfileFacts[],
    now: number,
    explain: () => string,
  ): void {
    const wanted = known.filter((facts) => evaluate(node, facts, now, { timeZone })).length;
    assert.equal(counted.count, wanted, `a node is counted wrongly: ${counted.text}: ${explain()}`);
    const children = node.kind === 'not' ? [node.child] : 'children' in node ? node.children : [];
    assert.equal(counted.children.length, children.length);
    children.forEach((child, i) => {
      const count = counted.children[i];
      assert(count);
      checkNodes(child, count, known, now, explain);
    });
  }

  async function readOn(): Promise<MembershipChange[]> {
    const found: MembershipChange[] = [];
    for (let hasMore = true; hasMore;) {
      const page = await readLogPage(world, account, { first: 20, after: position, segments: null });
      ({ position, hasMore } = page);
      found.push(...page.changes);
    }
    log.push(...found);
    return found;
  }

  /** When only time has passed, each change happened at the very instant at which the reference flips. */
  function checkDates(
    changes: readonly MembershipChange[],
    live: ReadonlyMap<number, LiveSegment>,
    facts: ReadonlyMap<number, ProfileFacts>,
    from: number,
    now: number,
  ): void {
    for (const change of changes) {
      const segment = live.get(change.segment);
      const known = facts.get(change.profile);
      assert(segment && known, `a change of something that is not there: ${JSON.stringify(change)}`);
      const { condition } = segment;
      const [before, then, today] = [change.at - 1, change.at, now].map(
        (at) => withMemberships(known, at).memberships,
      ) as [Set<string>, Set<string>, Set<string>];
      if (change.cause === 'SEGMENT') {
        const flips = segment.references.some((other) => {
          const id = live.get(other)?.id ?? '';
          return before.has(id) !== then.has(id);
        });
        assert(flips, `no segment that it refers to changed at this instant: ${JSON.stringify(change)}`);
        tally.segmentTimes += 1;
      } else assert.equal(change.cause, 'TIME');
      const isMember = change.kind === 'ENTERED';
      const holds = [before, then, today].map((memberships) => memberships.has(segment.id));
      const shown = () =>
        JSON.stringify({
          change,
          from,
          now,
          condition,
          holds,
          events: known.events,
          attributes: [...known.attributes],
          consents: [...known.consents],
          predictions: [...known.predictions],
        });
      assert.deepEqual(holds, [!isMember, isMember, isMember], `not the instant of the change: ${shown()}`);
      assert(change.at > from && change.at <= now, `not within the time that has passed: ${shown()}`);
      tally.timeChanges += 1;
    }
  }

  /** What ClickHouse has of everybody's attributes, the newest of each. */
  async function checkTraits(facts: ReadonlyMap<number, ProfileFacts>): Promise<void> {
    const rows = await query<{
      profile: number;
      attribute: string;
      newest: [kind: string, text: string, number: number, list: string[], date: string];
    }>(
      world.clickhouse,
      `SELECT profile, attribute, argMax((kind, text, number, list, date), revision) AS newest
       FROM traits_by_profile WHERE account = {account:UInt32} GROUP BY profile, attribute`,
      { account },
    );
    const stored = groupBy(rows, ({ profile }) => profile);
    for (const [profile, { attributes, consents }] of facts) {
      const said = new Map(
        (stored.get(profile) ?? [])
          .filter(({ newest: [kind] }) => kind !== 'unset')
          .map(({ attribute, newest: [kind, text, number, list, date] }) => [
            attribute,
            attribute.startsWith('$consent.')
              ? [text, date, ...list]
              : kind === 'text'
                ? text
                : kind === 'number'
                  ? number
                  : kind === 'boolean'
                    ? number === 1
                    : list,
          ]),
      );
      const wanted = new Map<string, unknown>(
        [...attributes].map(([path, value]) => [
          path,
          Array.isArray(value)
            ? value.map((item) => (typeof item === 'string' ? item : JSON.stringify(item)))
            : value,
        ]),
      );
      for (const [channel, { status, time, source }] of consents) {
        wanted.set(`$consent.${channel}`, [status, String(time), ...(source === null ? [] : [source])]);
      }
      assert.deepEqual(said, wanted, `the attributes of profile ${profile}`);
    }
  }

  async function checkOneProfile(profiles: readonly number[]): Promise<void> {
    if (profiles.length === 0) return;
    const profile = random.pick(profiles);
    const said = await segmentsOfProfile(world.clickhouse, account, profile, [...segments.keys()]);
    const replayed = [...segments.values()].flatMap(({ segment, members }) => {
      const enteredAt = members?.get(profile);
      return enteredAt === undefined ? [] : [{ segment, enteredAt }];
    });
    assert.deepEqual(said, replayed, `the segments of profile ${profile}`);
  }

  /** Every event once, and with everybody who is there just his own. */
  async function checkEvents(numbers: ReadonlyMap<ModelProfile, number>): Promise<void> {
    const rows = await query<{ profile: number; events: string; distinct: string; own: string }>(
      world.clickhouse,
      `SELECT profile, count() AS events, uniqExact(id) AS distinct, countIf(NOT copied) AS own
       FROM events_by_profile WHERE account = {account:UInt32} GROUP BY profile`,
      { account },
    );
    const byProfile = new Map(rows.map((row) => [row.profile, row]));
    for (const [profile, number] of numbers) {
      const { events, distinct } = byProfile.get(number) ?? { events: '0', distinct: '0' };
      assert.deepEqual(
        [Number(events), Number(distinct)],
        [profile.events.length, profile.events.length],
        `the events of profile ${number}`,
      );
    }
    const own = rows.reduce((sum, row) => sum + Number(row.own), 0);
    assert.equal(own, model.uniqueIds().length, 'an accepted event was lost or counted twice');
  }

  async function whole(work: () => Promise<void>): Promise<ScriptResult> {
    try {
      await work();
      await checkWholeLog(world, account, log);
      return tally;
    } catch (error) {
      const warnings = world.warnings().slice(-5).join('');
      const steps = trace
        .slice(-12)
        .map((step) => step.slice(0, 600))
        .join('\n');
      const message = error instanceof Error ? error.message : String(error);
      throw new Error(
        `seed ${seed}, step ${tally.steps}, account ${account}: ${message}\n${warnings}the last steps:\n${steps}\n` +
          `reproduce: npm run fuzz -- ${partition === undefined ? `--part pipeline --seed ${seed}` : `--part together --seed ${Math.floor(seed / TOGETHER_ACCOUNTS)}`} --cases 1`,
        { cause: error },
      );
    } finally {
      await subscriber.stop();
      for (const segment of [...segments.keys()].reverse()) await deleteSegment(world, account, segment);
      await world.settle();
      world.warnings();
    }
  }

  return { random, tally, take: takeSome, compare, whole };
}

/** A partition that is handed over says so. */
const EXPECTED_WARNINGS = ['another member has taken the partition over'];

function conditionOf(input: Json, coverage: Coverage): Condition {
  const parsed = parseCondition(input);
  assert(parsed.ok, `a random condition is not valid: ${JSON.stringify(input)}`);
  cover(coverage, parsed.condition);
  return parsed.condition;
}

/** Whom the identifiers lead to: one number for each person of the model, and a different one. */
async function profileNumbers(
  world: World,
  account: number,
  model: Model,
): Promise<Map<ModelProfile, number>> {
  const rows = await world.mysql.db
    .select()
    .from(identifiers)
    .where(and(eq(identifiers.account, account)));
  const stored = new Map(rows.map(({ kind, value, profile }) => [`${kind}:${value}`, profile]));
  const wanted = model.identifiers();
  assert.equal(stored.size, wanted.length, 'there are more or fewer identifiers than were accepted');
  const numbers = new Map<ModelProfile, number>();
  for (const { kind, value, profile } of wanted) {
    const number = stored.get(`${KINDS[kind]}:${value}`);
    assert(number !== undefined, `${kind} ${value} leads to nobody`);
    assert.equal(numbers.get(profile) ?? number, number, `${kind} ${value} leads to another profile`);
    numbers.set(profile, number);
    model.learnId(encodeId('Profile', account, number), profile);
  }
  assert.equal(new Set(numbers.values()).size, numbers.size, 'two people share a profile');
  return numbers;
}

/** The members right after the population: those of now, without what has happened since. */
export function populationBefore(
  stored: readonly { profile: number }[],
  changes: readonly MembershipChange[],
): Map<number, null> {
  const members = new Set(stored.map(({ profile }) => profile));
  for (const { kind, profile } of [...changes].reverse()) {
    if (kind === 'ENTERED') members.delete(profile);
    else members.add(profile);
  }
  return new Map([...members].map((profile) => [profile, null]));
}

export function replay(members: Map<number, number | null>, changes: readonly MembershipChange[]): void {
  for (const change of changes) {
    const { kind, profile, at } = change;
    assert.equal(
      members.has(profile),
      kind === 'EXITED',
      `an entry of a member, or an exit of someone else: ${change.id} of ${JSON.stringify(changes.filter((one) => one.profile === profile))}`,
    );
    if (kind === 'ENTERED') members.set(profile, at);
    else members.delete(profile);
  }
}

/** The log from its beginning is what was read of it bit by bit; and no number is missing or given twice. */
async function checkWholeLog(world: World, account: number, log: readonly MembershipChange[]): Promise<void> {
  const whole: MembershipChange[] = [];
  let position: string | null = null;
  for (let hasMore = true; hasMore;) {
    const page = await readLogPage(world, account, { first: 7, after: position, segments: null });
    whole.push(...page.changes);
    position = page.position;
    hasMore = page.hasMore;
  }
  assert.deepEqual(idsByPartition(whole), idsByPartition(log), 'the log has changed');
  const rows = await query<{ partition_no: number; rows: string; distinct: string; last: string }>(
    world.clickhouse,
    `SELECT partition_no, count() AS rows, uniqExact(sequence) AS distinct, max(sequence) AS last
     FROM membership_log GROUP BY partition_no`,
  );
  for (const { partition_no, rows: count, distinct, last } of rows) {
    assert.deepEqual(
      [count, distinct],
      [last, last],
      `the log of partition ${partition_no} has a gap or a repeat`,
    );
  }
}

/** Ids of changes as each partition gave them. */
export function idsByPartition(changes: readonly MembershipChange[]): Map<string, string[]> {
  const ids = changes.map(({ id }) => Buffer.from(id, 'base64url').toString('utf8'));
  const groups = groupBy(ids, (id) => id.split(':')[0] ?? '');
  return new Map([...groups].sort(([a], [b]) => Number(a) - Number(b)));
}

function same(said: readonly number[], wanted: readonly number[], message: () => string): void {
  const [left, right] = [[...said].sort((a, b) => a - b), [...wanted].sort((a, b) => a - b)];
  if (JSON.stringify(left) === JSON.stringify(right)) return;
  throw new assert.AssertionError({ message: `${message()}\nsaid ${left.join()}, wanted ${right.join()}` });
}

function describe(segment: LiveSegment, facts: ReadonlyMap<number, ProfileFacts>): string {
  const known = Object.fromEntries(
    [...facts].map(([number, { attributes, events, consents, memberships, predictions }]) => [
      number,
      {
        attributes: Object.fromEntries(attributes),
        memberships: [...memberships],
        consents: [...consents],
        predictions: [...predictions],
        events: events.map((event) => ({ ...event, properties: Object.fromEntries(event.properties) })),
      },
    ]),
  );
  return JSON.stringify({ condition: segment.condition, facts: known });
}
