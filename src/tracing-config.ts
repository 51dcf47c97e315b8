import { readFileSync } from 'node:fs';
import { validateHeaderName, validateHeaderValue } from 'node:http';
import { z } from 'zod';

const usualServiceName = 'harbor-events';

const samplers = [
  'always_on',
  'always_off',
  'traceidratio',
  'parentbased_always_on',
  'parentbased_always_off',
  'parentbased_traceidratio',
] as const;

export type SamplerName = (typeof samplers)[number];

/** Which traces there are, where their spans go, and how many are held; by OpenTelemetry's own variables. */
export interface TracingConfig {
  /** Of OTLP over HTTP, whole. */
  readonly url: string;
  /** For the collector, such as a token; never shown. */
  readonly headers: Readonly<Record<string, string>>;
  readonly compression: 'gzip' | 'none';
  /** For a batch of spans, its retries included. */
  readonly timeoutMs: number;
  /** In PEM; what is undefined is as usual. */
  readonly tls: { readonly [part in 'ca' | 'cert' | 'key']: string | undefined };
  readonly sampler: SamplerName;
  /** How many of the traces that begin here, from 0 to 1, where the sampler goes by that. */
  readonly ratio: number;
  /** What the service is called, and what else is said of it with every span. */
  readonly resource: Readonly<Record<string, string>>;
  /** Spans that have ended and are held at the most, those on their way among them. */
  readonly heldMax: number;
  readonly batchMax: number;
  /** How long spans wait for others, where they fill no batch. */
  readonly delayMs: number;
}

/** The tracing that is asked for, if any, and everything that is wrong with it. */
export interface TracingAsked {
  readonly config: TracingConfig | undefined;
  readonly mistakes: readonly string[];
}

const wholeNumber = (min: number, max: number, usual: number) =>
  z.coerce
    .number(`must be a whole number from ${min} to ${max}`)
    .int()
    .min(min)
    .max(max)
    .default(usual);

const url = z.url({ protocol: /^https?$/, error: 'must be an http or https URL' });

const file = z.string().transform((path, context) => {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    context.addIssue(`cannot be read: ${(error as Error).message}`);
    return z.NEVER;
  }
});

/** `name=value,name=value`, the values in percent encoding; undefined for anything else. */
function readPairs(text: string): Record<string, string> | undefined {
  const pairs = text.split(',').filter((pair) => pair.trim() !== '');
  const found = pairs.map((pair) => /^\s*([^=\s]+)\s*=\s*(.*?)\s*$/.exec(pair));
  try {
    return Object.fromEntries(
      found.map((pair) => {
        if (pair === null) throw new URIError('no pair');
        return [pair[1], decodeURIComponent(pair[2] ?? '')];
      }),
    );
  } catch {
    return undefined;
  }
}

const pairs = z
  .string()
  .default('')
  .transform(readPairs)
  .refine(
    (found) => found !== undefined,
    'must be pairs such as name=value, separated by commas, with values in percent encoding',
  );

function areHeaders(given: Readonly<Record<string, string>>): boolean {
  try {
    for (const [name, value] of Object.entries(given)) {
      validateHeaderName(name);
      validateHeaderValue(name, value);
    }
    return true;
  } catch {
    return false;
  }
}

const headers = pairs.refine(
  (found) => areHeaders(found ?? {}),
  'must be names and values of headers',
);

const exporter = z.literal('otlp', 'must be otlp, or none for no tracing').optional();
const protocol = z
  .literal('http/protobuf', 'must be http/protobuf, which collectors take on port 4318')
  .optional();
const compression = z.enum(['gzip', 'none'], 'must be gzip or none').default('none');
const sampler = z
  .enum(samplers, `must be one of ${samplers.join(', ')}`)
  .default('parentbased_always_on');
const ratio = z.coerce.number('must be a number from 0 to 1').min(0).max(1).default(1);

/** What is set for traces alone counts before what is set for all that is exported. */
const ofExporter = (name: string) => [
  `OTEL_EXPORTER_OTLP_TRACES_${name}`,
  `OTEL_EXPORTER_OTLP_${name}`,
];

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Without an endpoint there is no tracing. What is set for other programs is not looked at then, nor where tracing is
 * switched off.
 */
export function readTracing(given: Environment): TracingAsked {
  const mistakes: string[] = [];
  const isOff =
    given.OTEL_SDK_DISABLED?.toLowerCase() === 'true' || given.OTEL_TRACES_EXPORTER === 'none';
  if (isOff || ofExporter('ENDPOINT').every((name) => given[name] === undefined)) {
    return { config: undefined, mistakes };
  }
  const config = toConfig((schema, names) => {
    const name = names.find((one) => given[one] !== undefined) ?? names[0] ?? '';
    const { data, error } = schema.safeParse(given[name]);
    for (const { message } of error?.issues ?? []) mistakes.push(`${name}: ${message}`);
    return { name, value: data as never };
  });
  return { config: mistakes.length > 0 ? undefined : config, mistakes };
}

/** Reads the first of some variables that is set, and notes what is wrong with it. */
type Read = <T>(schema: z.ZodType<T>, names: readonly string[]) => { name: string; value: T };

function toConfig(read: Read): TracingConfig {
  const one = <T>(schema: z.ZodType<T>, name: string) => read(schema, [name]).value;
  const ofTraces = <T>(schema: z.ZodType<T>, name: string) => read(schema, ofExporter(name)).value;
  one(exporter, 'OTEL_TRACES_EXPORTER');
  ofTraces(protocol, 'PROTOCOL');
  const endpoint = read(url, ofExporter('ENDPOINT'));
  return {
    url: endpoint.name.includes('TRACES') ? endpoint.value : withPath(endpoint.value),
    headers: {
      ...one(headers, 'OTEL_EXPORTER_OTLP_HEADERS'),
      ...one(headers, 'OTEL_EXPORTER_OTLP_TRACES_HEADERS'),
    },
    compression: ofTraces(compression, 'COMPRESSION'),
    timeoutMs: ofTraces(wholeNumber(1, 60_000, 10_000), 'TIMEOUT'),
    tls: {
      ca: ofTraces(file.optional(), 'CERTIFICATE'),
      cert: ofTraces(file.optional(), 'CLIENT_CERTIFICATE'),
      key: ofTraces(file.optional(), 'CLIENT_KEY'),
    },
    sampler: one(sampler, 'OTEL_TRACES_SAMPLER'),
    ratio: one(ratio, 'OTEL_TRACES_SAMPLER_ARG'),
    resource: {
      'service.name': usualServiceName,
      ...one(pairs, 'OTEL_RESOURCE_ATTRIBUTES'),
      ...serviceName(one(z.string().optional(), 'OTEL_SERVICE_NAME')),
    },
    heldMax: one(wholeNumber(1, 100_000, 2_048), 'OTEL_BSP_MAX_QUEUE_SIZE'),
    batchMax: one(wholeNumber(1, 10_000, 512), 'OTEL_BSP_MAX_EXPORT_BATCH_SIZE'),
    delayMs: one(wholeNumber(1, 60_000, 5_000), 'OTEL_BSP_SCHEDULE_DELAY'),
  };
}

/** An endpoint of all that is exported is where paths begin. */
function withPath(endpoint: string | undefined): string {
  if (endpoint === undefined) return '';
  const at = new URL(endpoint);
  at.pathname = at.pathname.replace(/\/*$/, '/v1/traces');
  return at.href;
}

function serviceName(name: string | undefined): Record<string, string> {
  return name === undefined ? {} : { 'service.name': name };
}
