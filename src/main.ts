import { loadConfig } from './config.ts';
import { OperatorError } from './runtime/failure.ts';
import { runService } from './runtime/lifecycle.ts';
import { createLogger } from './runtime/logger.ts';
import { startService } from './service.ts';

function configuration() {
  try {
    return loadConfig();
  } catch (error) {
    if (!(error instanceof OperatorError)) throw error;
    process.stderr.write(`${error.message}\n`);
    process.exit(error.exitCode);
  }
}

const begun = performance.now();
const config = configuration();
const logger = createLogger(config.logLevel);

await runService({ logger }, async (lifecycle) => {
  const { url, createdKey } = await startService(lifecycle, config, logger);
  const seconds = Number(((performance.now() - begun) / 1000).toFixed(1));
  logger.info({ roles: [...config.roles], ...(url ? { address: url } : {}), seconds }, 'Tidemark is ready');
  // Not through the logger: logs are kept, and this key is shown once.
  if (createdKey) process.stdout.write(`\nYour API key (shown this once, scope ADMIN): ${createdKey}\n\n`);
});
