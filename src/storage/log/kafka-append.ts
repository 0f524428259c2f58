import type { Message, Producer } from 'kafkajs';
import type { AppendCall } from './append-queue.ts';
import type { Shared } from './kafka-client.ts';

/** Per request: one partition's share of it must stay below the topic's `max.message.bytes`. */
const REQUEST_BYTES = 4 * 1024 * 1024;
const ALL_REPLICAS = -1;

/**
 * Sends the records of all calls, in order. Not atomic: after a rejection some may be in the log. kafkajs repeats
 * what failed on the way, so a record may be there twice, but later records never before earlier ones, since there is
 * one request in flight at a time.
 */
export async function sendCalls(producer: Shared<Producer>, calls: AppendCall[]): Promise<number[][]> {
  const offsets = calls.map((call) => new Array<number>(call.records.length));
  for (const request of requests(calls)) {
    const responses = await producer.use((client) =>
      client.sendBatch({
        acks: ALL_REPLICAS,
        topicMessages: [...request.topics].map(([topic, messages]) => ({ topic, messages })),
      }),
    );
    const next = new Map<string, number>();
    for (const { topicName, partition, baseOffset } of responses) {
      if (baseOffset !== undefined) next.set(`${topicName}/${partition}`, Number(baseOffset));
    }
    for (const { call, index, place } of request.places) {
      const offset = next.get(place);
      if (offset === undefined) throw new Error(`no answer for ${place}`);
      next.set(place, offset + 1);
      const list = offsets[call];
      if (list) list[index] = offset;
    }
  }
  return offsets;
}

interface Request {
  topics: Map<string, Message[]>;
  /** Which record of which call each message is, in the order of sending. */
  places: { call: number; index: number; place: string }[];
}

function* requests(calls: AppendCall[]): Generator<Request> {
  let request: Request = { topics: new Map(), places: [] };
  let bytes = 0;
  for (const [call, { topic, records }] of calls.entries()) {
    for (const [index, { partition, key, value }] of records.entries()) {
      if (request.places.length > 0 && bytes + value.length > REQUEST_BYTES) {
        yield request;
        request = { topics: new Map(), places: [] };
        bytes = 0;
      }
      const messages = request.topics.get(topic) ?? [];
      request.topics.set(topic, messages);
      messages.push({ partition, key, value });
      request.places.push({ call, index, place: `${topic}/${partition}` });
      bytes += value.length;
    }
  }
  yield request;
}
