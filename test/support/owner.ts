/** A process that owns one partition and does nothing beside. */
import { createShared, type Owner, type PartitionDeps } from '../../src/evaluation/partition.ts';

export function ownerOf(deps: PartitionDeps): Owner {
  return { ...createShared(deps), turn: (work) => work(), signal: new AbortController().signal };
}
