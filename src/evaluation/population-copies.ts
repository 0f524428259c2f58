/**
 * First members on their way from where they are staged into `memberships`: in one insert for many partitions, before
 * any of them says that the segment is in force. MySQL knows of it before it sets out. Whoever takes a partition over
 * spends its token, so that it has arrived by then or never will; and who finds no newer owner behind the insert knows
 * that nobody has spent the token before.
 */
import { command, insertsEnded, onceUnder, type ClickHouse } from '../storage/clickhouse/connect.ts';
import type { MySql } from '../storage/mysql/connect.ts';
import type { PartitionOwner } from '../storage/mysql/evaluators.ts';
import {
  areOwners,
  beginCopy,
  endCopies,
  readCopies,
  type PopulationCopy,
} from '../storage/mysql/population-copies.ts';
import { populate } from './memberships.ts';
import { selectStaged } from './staged-members.ts';

interface CopyDeps {
  mysql: MySql;
  clickhouse: ClickHouse;
}

/**
 * Stores what the run has computed in the chunks, which lie in the partitions. False: one of these has a newer owner, and
 * nobody can rely on what is stored; nothing of it arrives later. Not to be called for a segment while it runs for it.
 */
export async function copyMembers(
  deps: CopyDeps,
  owners: readonly PartitionOwner[],
  copy: PopulationCopy,
  chunks: readonly number[],
): Promise<boolean> {
  const { account, segment, run } = copy;
  const partitions = owners.map(({ partition }) => partition);
  // One that has failed before may still be under way.
  await endAll(deps, partitions, await readCopies(deps.mysql, partitions, segment));
  if (!(await beginCopy(deps.mysql, owners, copy))) return false;
  const members = selectStaged({ account, run }, chunks);
  await populate(deps.clickhouse, { account, segment, chunks }, members, tokenOf(copy));
  const areTheirs = await areOwners(deps.mysql, owners);
  // What is left behind does no harm: nothing is under way.
  void endCopies(deps.mysql, partitions, [run]).catch(() => undefined);
  return areTheirs;
}

/** For a new owner of the partition, behind the beginning of its epoch: nothing that was under way arrives later. */
export async function endCopiesInto(deps: CopyDeps, partition: number): Promise<void> {
  await endAll(deps, [partition], await readCopies(deps.mysql, [partition]));
}

async function endAll(
  deps: CopyDeps,
  partitions: readonly number[],
  copies: readonly PopulationCopy[],
): Promise<void> {
  const runs = new Map(copies.map((copy) => [copy.run, copy]));
  for (const copy of runs.values()) await spendToken(deps.clickhouse, copy);
  await endCopies(deps.mysql, partitions, [...runs.keys()]);
}

/** What comes later under the token is passed over. A bitmap of nobody changes nothing. */
async function spendToken(clickhouse: ClickHouse, copy: PopulationCopy): Promise<void> {
  await command(
    clickhouse,
    `INSERT INTO memberships (account, segment, chunk, members)
     SELECT {account:UInt32}, {segment:UInt32}, 0, groupBitmapXorState(bitmapBuild(emptyArrayUInt32()))`,
    { account: copy.account, segment: copy.segment },
    onceUnder(tokenOf(copy)),
  );
  await insertsEnded(clickhouse, tokenOf(copy));
}

const tokenOf = ({ run }: PopulationCopy) => `population:${run}`;
