import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { Kafka, logLevel } from 'kafkajs';
import { freePorts } from '../../src/embedded/ports.ts';

const run = promisify(execFile);

const VERSION = '4.1.0';
const START_WITHIN_MS = 60_000;
const JAVA = [
  '-Xmx384m',
  '-XX:+UseSerialGC',
  '-XX:TieredStopAtLevel=1',
  '-Dorg.slf4j.simpleLogger.defaultLogLevel=warn',
];

export interface TestKafka {
  brokers: string[];
  /** Ends the broker in an orderly way and removes its data. */
  stop(): Promise<void>;
  kill9(): void;
  /** Starts it again on the same data and ports; a broker that still runs is ended first. */
  restart(): Promise<void>;
}

/**
 * A real broker in KRaft mode: jars by Maven coordinates (fetched once into .cache/kafka), the machine's own JDK,
 * free ports on the loopback, data in a temporary folder. Topics are not created by themselves.
 */
export async function startKafka(): Promise<TestKafka> {
  const libraries = path.join(await fetchJars(), '*');
  const folder = mkdtempSync(path.join(tmpdir(), 'tidemark-kafka-'));
  const [port, controllerPort] = await freePorts(2);
  const broker = `127.0.0.1:${port}`;
  const properties = path.join(folder, 'server.properties');
  const output = path.join(folder, 'output.log');
  writeFileSync(properties, serverProperties(folder, Number(port), Number(controllerPort)));
  await run('java', [
    ...JAVA,
    '-cp',
    libraries,
    'kafka.tools.StorageTool',
    'format',
    '--cluster-id',
    'dGlkZW1hcmstdGVzdHMtMQ',
    '--config',
    properties,
  ]);

  let child: ChildProcess | null = null;
  const killOnExit = () => child?.kill('SIGKILL');
  process.once('exit', killOnExit);

  async function start(): Promise<void> {
    const started = spawn('java', [...JAVA, '-cp', libraries, 'kafka.Kafka', properties], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    child = started;
    for (const stream of [started.stdout, started.stderr]) {
      stream.on('data', (chunk: Buffer) => {
        if (existsSync(folder)) writeFileSync(output, chunk, { flag: 'a' });
      });
    }
    const deadline = Date.now() + START_WITHIN_MS;
    while (!(await answers(broker))) {
      if (started.exitCode !== null || started.signalCode !== null || Date.now() > deadline) {
        started.kill('SIGKILL');
        throw new Error(
          `Kafka did not start:\n${existsSync(output) ? readFileSync(output, 'utf8').slice(-4_000) : ''}`,
        );
      }
      await sleep(200);
    }
  }

  async function end(signal: NodeJS.Signals): Promise<void> {
    const ending = child;
    child = null;
    if (!ending || ending.exitCode !== null || ending.signalCode !== null) return;
    const exited = new Promise((resolve) => ending.once('exit', resolve));
    ending.kill(signal);
    const timer = setTimeout(() => ending.kill('SIGKILL'), 15_000);
    await exited;
    clearTimeout(timer);
  }

  try {
    await start();
  } catch (error) {
    rmSync(folder, { recursive: true, force: true });
    throw error;
  }
  return {
    brokers: [broker],
    async stop() {
      await end('SIGTERM');
      process.off('exit', killOnExit);
      rmSync(folder, { recursive: true, force: true });
    },
    kill9() {
      child?.kill('SIGKILL');
    },
    async restart() {
      await end('SIGKILL');
      await start();
    },
  };
}

/** The folder of the broker's jars. The network is needed the first time only. */
async function fetchJars(): Promise<string> {
  const home = path.resolve('.cache/kafka');
  const libraries = path.join(home, VERSION);
  if (existsSync(libraries)) return libraries;
  mkdirSync(home, { recursive: true });
  const work = mkdtempSync(path.join(home, 'fetch-'));
  writeFileSync(path.join(work, 'pom.xml'), pom());
  await run(
    'mvn',
    ['-q', '-B', 'dependency:copy-dependencies', '-DincludeScope=runtime', '-DoutputDirectory=libraries'],
    { cwd: work, timeout: 600_000 },
  ).catch((error: unknown) => {
    rmSync(work, { recursive: true, force: true });
    throw new Error(
      "The broker's jars could not be fetched: a JDK (17 or newer), Maven and a repository are needed.",
      {
        cause: error,
      },
    );
  });
  try {
    renameSync(path.join(work, 'libraries'), libraries);
  } catch (error) {
    // Another test file was faster.
    if (!existsSync(libraries)) throw error;
  }
  rmSync(work, { recursive: true, force: true });
  return libraries;
}

function pom(): string {
  const dependency = (group: string, artifact: string, version: string) =>
    `<dependency><groupId>${group}</groupId><artifactId>${artifact}</artifactId><version>${version}</version></dependency>`;
  return `<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>tidemark</groupId>
  <artifactId>test-broker</artifactId>
  <version>1</version>
  <dependencies>
    ${dependency('org.apache.kafka', 'kafka_2.13', VERSION)}
    ${dependency('org.slf4j', 'slf4j-simple', '1.7.36')}
  </dependencies>
</project>
`;
}

function serverProperties(folder: string, port: number, controllerPort: number): string {
  return `process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:${controllerPort}
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://127.0.0.1:${port},CONTROLLER://127.0.0.1:${controllerPort}
advertised.listeners=PLAINTEXT://127.0.0.1:${port}
inter.broker.listener.name=PLAINTEXT
log.dirs=${path.join(folder, 'data')}
auto.create.topics.enable=false
offsets.topic.num.partitions=4
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
`;
}

async function answers(broker: string): Promise<boolean> {
  const kafka = new Kafka({
    brokers: [broker],
    logLevel: logLevel.NOTHING,
    retry: { retries: 0 },
    connectionTimeout: 1_000,
  });
  const admin = kafka.admin();
  try {
    await admin.connect();
    const { brokers } = await admin.describeCluster();
    return brokers.length > 0;
  } catch {
    return false;
  } finally {
    await admin.disconnect().catch(() => undefined);
  }
}
