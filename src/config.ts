import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { z } from 'zod';
import type { PartitionPeriod } from './database/partitions/period.ts';
import { readTracing, type TracingConfig } from './tracing-config.ts';
import {
  holdsCertificates,
  toWebhooksConfig,
  type WebhooksConfig,
  webhooksEnvironment,
} from './webhooks-config.ts';

/** Everything that the service is told from outside; read once, frozen. */
export interface Config {
  /** Undefined: the embedded PostgreSQL. */
  readonly databaseUrl: string | undefined;
  /** PostgreSQL itself, where `databaseUrl` leads to a pooler of transactions. */
  readonly databaseDirectUrl: string | undefined;
  readonly databasePoolSize: number;
  /** How much time a partition of events holds, where that is still to be chosen; undefined: as the database has it. */
  readonly eventPartitions: PartitionPeriod | undefined;
  /** Start although PostgreSQL may lose acknowledged events in a crash. */
  readonly allowUnsafeDurability: boolean;
  readonly host: string;
  readonly port: number;
  readonly tls: { readonly cert: string; readonly key: string } | undefined;
  /** A stream whose reader takes nothing for this time is cut off; in milliseconds. */
  readonly streamStallMs: number;
  /** Origins of browser apps; `*` for every one. */
  readonly corsOrigins: readonly string[];
  /** Whether clients that bring no schema are told of the services (grpc.reflection). */
  readonly reflection: boolean;
  readonly logLevel: string;
  /** Of which calls the log has a line; in milliseconds. */
  readonly callLog: { readonly which: 'all' | 'errors' | 'slow'; readonly slowMs: number };
  /** Where the metrics are read; undefined: there are none. */
  readonly metrics: { readonly host: string; readonly port: number } | undefined;
  readonly webhooks: WebhooksConfig;
  /** Undefined: nothing is traced. */
  readonly tracing: TracingConfig | undefined;
  /** Where the quick start keeps its database and its key. */
  readonly dataDirectory: string;
  /** What the CLI talks to. */
  readonly baseUrl: string | undefined;
  readonly secretKey: string | undefined;
  readonly workspaceId: string | undefined;
}

/** Where the service's database may come from: DATABASE_URL, the embedded PostgreSQL, or the first that is there. */
export type DatabaseChoice = 'url' | 'embedded' | 'either';

/** Every mistake in the environment, one a line, for the operator. */
export class ConfigInvalid extends Error {
  override readonly name = 'ConfigInvalid';
  constructor(mistakes: readonly string[]) {
    super(`the environment is not valid:\n${mistakes.map((mistake) => `  ${mistake}`).join('\n')}`);
  }
}

const projectDirectory = resolve(import.meta.dirname, '..');

const wholeNumber = (min: number, max: number) =>
  z.coerce.number(`must be a whole number from ${min} to ${max}`).int().min(min).max(max);

/**
 * What the driver knows as `sslmode`. It takes any other word for `verify-full` in DATABASE_URL, and for
 * `disable` in PGSSLMODE.
 */
const sslModes = ['disable', 'no-verify', 'prefer', 'require', 'verify-ca', 'verify-full'];
const sslModeRule = `must be one of ${sslModes.join(', ')}`;

function isSslModeKnown(text: string): boolean {
  if (!URL.canParse(text)) return true;
  return new URL(text).searchParams.getAll('sslmode').every((mode) => sslModes.includes(mode));
}

const databaseUrl = z
  .string()
  .refine(
    (text) => /^postgres(ql)?:\/\//.test(text) && URL.canParse(text),
    'must look like postgresql://user:password@host:5432/database',
  )
  .refine(isSslModeKnown, `sslmode ${sslModeRule}`);

const origin = (text: string) =>
  text === '*' || (URL.canParse(text) && new URL(text).origin === text);

const corsOrigins = z
  .string()
  .transform((text) =>
    text
      .split(',')
      .map((one) => one.trim())
      .filter(Boolean),
  )
  .refine(
    (origins) => origins.every(origin),
    'must be origins such as https://app.example.com, separated by commas, or *',
  );

const flag = z
  .enum(['true', 'false'], 'must be true or false')
  .transform((text) => text === 'true');

const logLevel = z.enum(
  ['fatal', 'error', 'warn', 'info', 'debug', 'silent'],
  'must be fatal, error, warn, info, debug or silent',
);

const file = z.string().transform((path, context) => {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    context.addIssue(`cannot be read: ${(error as Error).message}`);
    return z.NEVER;
  }
});

const environment = z.object({
  DATABASE_URL: databaseUrl.optional(),
  DATABASE_DIRECT_URL: databaseUrl.optional(),
  PGSSLMODE: z.enum(sslModes, sslModeRule).optional(),
  DATABASE_POOL_SIZE: wholeNumber(6, 200).default(12),
  EVENT_PARTITIONS: z.enum(['quarter', 'month'], 'must be quarter or month').optional(),
  ALLOW_UNSAFE_DURABILITY: flag.default(false),
  HOST: z.string().default('127.0.0.1'),
  PORT: wholeNumber(0, 65_535).default(8080),
  TLS_CERT_FILE: file.optional(),
  TLS_KEY_FILE: file.optional(),
  CORS_ORIGINS: corsOrigins.default([]),
  STREAM_STALL_MS: wholeNumber(1_000, 600_000).default(30_000),
  REFLECTION: z.enum(['on', 'off'], 'must be on or off').default('on'),
  WEBHOOK_CA_FILE: file.refine(holdsCertificates, 'must hold certificates in PEM').optional(),
  ...webhooksEnvironment,
  LOG_LEVEL: logLevel.default('info'),
  LOG_CALLS: z.enum(['all', 'errors', 'slow'], 'must be all, errors or slow').default('all'),
  LOG_SLOW_MS: wholeNumber(1, 600_000).default(1_000),
  METRICS_HOST: z.string().default('127.0.0.1'),
  METRICS_PORT: wholeNumber(0, 65_535).optional(),
  HARBOR_DATA_DIR: z.string().default(resolve(projectDirectory, '.harbor')),
  HARBOR_BASE_URL: z
    .url({ protocol: /^https?$/, error: 'must be an http or https URL' })
    .optional(),
  HARBOR_SECRET_KEY: z.string().optional(),
  HARBOR_WORKSPACE_ID: z
    .string()
    .regex(/^ws_[0-9a-z]{1,64}$/, 'must be ws_ and 1–64 lower-case letters and digits')
    .optional(),
});

/**
 * Reads the environment; a variable that is set to nothing, or to blanks, which would be the number 0, counts as unset.
 *
 * @param database that the command needs; a missing DATABASE_URL is the first mistake.
 * @throws ConfigInvalid with every mistake at once.
 */
export function readConfig(
  env: NodeJS.ProcessEnv = process.env,
  database: DatabaseChoice = 'either',
): Config {
  const given = Object.fromEntries(Object.entries(env).filter(([, value]) => value?.trim() !== ''));
  const parsed = environment.safeParse(given);
  const tracing = readTracing(given);
  const mistakes = [
    ...describeDatabase(database, given.DATABASE_URL !== undefined),
    ...(parsed.error?.issues.map(describe) ?? []),
    ...tracing.mistakes,
  ];
  if (given.DATABASE_DIRECT_URL !== undefined && given.DATABASE_URL === undefined) {
    mistakes.push('DATABASE_DIRECT_URL: goes with DATABASE_URL, which leads to a pooler');
  }
  if ((given.TLS_CERT_FILE === undefined) !== (given.TLS_KEY_FILE === undefined)) {
    mistakes.push('TLS_CERT_FILE and TLS_KEY_FILE: set both or neither');
  }
  if (parsed.data !== undefined && isPortTaken(parsed.data)) {
    mistakes.push('METRICS_PORT: must be another one than PORT');
  }
  if (parsed.data === undefined || mistakes.length > 0) throw new ConfigInvalid(mistakes);
  const values = parsed.data;
  const { TLS_CERT_FILE: cert, TLS_KEY_FILE: key, METRICS_PORT: metricsPort } = values;
  return Object.freeze({
    databaseUrl: values.DATABASE_URL,
    databaseDirectUrl: values.DATABASE_DIRECT_URL,
    databasePoolSize: values.DATABASE_POOL_SIZE,
    eventPartitions: values.EVENT_PARTITIONS,
    allowUnsafeDurability: values.ALLOW_UNSAFE_DURABILITY,
    host: values.HOST,
    port: values.PORT,
    tls: cert === undefined || key === undefined ? undefined : { cert, key },
    corsOrigins: values.CORS_ORIGINS,
    streamStallMs: values.STREAM_STALL_MS,
    reflection: values.REFLECTION === 'on',
    logLevel: values.LOG_LEVEL,
    callLog: { which: values.LOG_CALLS, slowMs: values.LOG_SLOW_MS },
    metrics:
      metricsPort === undefined ? undefined : { host: values.METRICS_HOST, port: metricsPort },
    webhooks: toWebhooksConfig(values),
    tracing: tracing.config,
    dataDirectory: resolve(values.HARBOR_DATA_DIR),
    baseUrl: values.HARBOR_BASE_URL,
    secretKey: values.HARBOR_SECRET_KEY,
    workspaceId: values.HARBOR_WORKSPACE_ID,
  });
}

/** 0 is any free port, which is never the same. */
function isPortTaken({ PORT, METRICS_PORT }: z.infer<typeof environment>): boolean {
  return PORT !== 0 && PORT === METRICS_PORT;
}

/** A forgotten DATABASE_URL must not look like a service that is healthy, and empty. */
function describeDatabase(database: DatabaseChoice, isUrlSet: boolean): string[] {
  if (database === 'url' && !isUrlSet) {
    return [
      'DATABASE_URL: is not set; set it to postgresql://user:password@host:5432/database, or pass --embedded ' +
        'for an empty PostgreSQL of its own, which "npm start" takes by itself',
    ];
  }
  if (database === 'embedded' && isUrlSet) {
    return [
      'DATABASE_URL: is set, while --embedded asks for a PostgreSQL of its own; drop one of them',
    ];
  }
  return [];
}

function describe(issue: z.core.$ZodIssue): string {
  return `${issue.path.join('.')}: ${issue.message}`;
}
