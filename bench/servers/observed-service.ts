import { startApp } from '../../src/app.ts';
import { readConfig } from '../../src/config.ts';
import { createLog } from '../../src/log.ts';
import { reportMemory } from './report-memory.ts';

/** The service, started with --expose-gc by a parent that asks for its memory. */
const config = readConfig();
if (config.databaseUrl === undefined) throw new Error('DATABASE_URL is missing');
const app = await startApp(config, config.databaseUrl, createLog(config.logLevel));
reportMemory(app.address.port);
