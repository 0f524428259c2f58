import { afterAll, beforeAll, describe } from 'vitest';
import { startKafka, type TestKafka } from '../support/kafka.ts';
import { logContract } from './contract.ts';

let kafka: TestKafka;

// The first time, the broker's jars are fetched.
beforeAll(async () => {
  kafka = await startKafka();
}, 600_000);
afterAll(() => kafka.stop());

describe('the log in Kafka', { timeout: 120_000 }, () => {
  logContract({
    place: () => ({ kind: 'kafka', brokers: kafka.brokers }),
    takeOverMs: 20_000,
    disturb: () => kafka.restart(),
  });
});
