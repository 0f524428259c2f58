/** What cannot be processed is put aside with the reason, the place and the payload, and the partition moves on. */
import type { Logger } from '../runtime/logger.ts';
import { metrics } from '../runtime/metrics.ts';
import type { Log } from './log/log.ts';
import { DEAD_LETTERS } from './topics.ts';

export interface LetterPlace {
  topic: string;
  partition: number;
  offset: number;
}

export async function sendDeadLetter(
  deps: { log: Log; logger: Logger },
  place: LetterPlace,
  error: unknown,
  payload: Buffer,
): Promise<void> {
  const reason = error instanceof Error ? error.message : String(error);
  const letter = { ...place, reason, payload: payload.toString('base64') };
  await deps.log.append(DEAD_LETTERS, [
    {
      partition: 0,
      key: `${place.topic}:${place.partition}`,
      value: Buffer.from(JSON.stringify(letter), 'utf8'),
    },
  ]);
  metrics.deadLetters.inc({ topic: place.topic });
  // The reason may quote the data: it is in the letter, not here.
  deps.logger.warn(place, 'a record could not be processed and went to dead-letters');
}
