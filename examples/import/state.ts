/** The state file: which batches the server has acknowledged, written atomically. */
import { createHash } from 'node:crypto';
import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import type { Mapping } from './mapping.ts';

export interface State {
  /** What this progress belongs to: server, mapping, options. Another import begins anew. */
  source: string;
  /** Batches acknowledged without a gap from the first, and the checksum up to there. */
  batches: number;
  checksum: string;
  /** Items that the API has taken, and has refused. */
  accepted: number;
  refused: number;
  /** Rejected rows and items written to the rejects file, and its length in bytes. */
  rejects: number;
  rejectsBytes: number;
  /** Of the last acknowledged requests, to wait for their evaluation. */
  receipts: string[];
}

export function freshState(source: string): State {
  return {
    source,
    batches: 0,
    checksum: '',
    accepted: 0,
    refused: 0,
    rejects: 0,
    rejectsBytes: 0,
    receipts: [],
  };
}

/** Identifies an import: the same mapping, sent the same way to the same server. */
export function sourceOf(mapping: Mapping, url: string, backfill: boolean): string {
  return createHash('sha1')
    .update(JSON.stringify([mapping, url, backfill]))
    .digest('hex');
}

/** The state of an interrupted import; null where there is none or it belongs to another one. */
export async function loadState(path: string, source: string): Promise<State | null> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch {
    return null;
  }
  try {
    const state = JSON.parse(text) as State;
    return state.source === source ? state : null;
  } catch {
    throw new Error(`The state file ${path} is damaged. Start over with --restart.`);
  }
}

export async function saveState(path: string, state: State): Promise<void> {
  await writeFile(`${path}.new`, `${JSON.stringify(state)}\n`);
  await rename(`${path}.new`, path);
}

export async function removeState(path: string): Promise<void> {
  await rm(path, { force: true });
}
