import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { sendRequest } from './support/http-request.ts';
import { startTestService, type TestService } from './support/test-service.ts';

/** What the document uses of JSON Schema. */
interface Schema {
  readonly type?: string;
  readonly enum?: readonly string[];
  readonly pattern?: string;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly format?: string;
  readonly items?: Schema;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly required?: readonly string[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly propertyNames?: Schema;
  readonly additionalProperties?: Schema;
  readonly maxProperties?: number;
}
interface Parameter {
  readonly name: string;
  readonly in: string;
  readonly description?: string;
  readonly required?: boolean;
  /** Another name for a parameter, never there together with it. */
  readonly deprecated?: boolean;
  readonly explode?: boolean;
  readonly schema: Schema;
}
interface Operation {
  readonly summary?: string;
  readonly description?: string;
  readonly parameters?: readonly Parameter[];
  readonly requestBody?: { readonly required?: boolean };
  readonly responses: Readonly<Record<string, unknown>>;
}
interface Document {
  readonly servers: readonly { readonly url: string }[];
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, Schema>> };
}

let service: TestService;
let document: Document;
beforeAll(async () => {
  service = await startTestService();
  document = JSON.parse((await sendRequest(service, '/openapi.json')).text);
});
afterAll(() => service.stop());

/** Values that a schema allows, as they stand in a query or header. */
function valuesOf(schema: Schema): fc.Arbitrary<string> {
  if (schema.enum !== undefined) return fc.constantFrom(...schema.enum);
  if (schema.format === 'date-time') {
    // The pattern alone lets days pass that the format does not.
    return fc
      .date({ noInvalidDate: true, min: new Date(0), max: new Date(4e12) })
      .map((date) => date.toISOString());
  }
  switch (schema.type) {
    case 'integer':
      return fc
        .maxSafeInteger()
        .filter((n) => n >= (schema.minimum ?? 0) && n <= (schema.maximum ?? n))
        .map(String);
    case 'array':
      return fc
        .array(valuesOf(schema.items ?? {}), {
          minLength: schema.minItems ?? 0,
          maxLength: schema.maxItems ?? 5,
        })
        .map((values) => values.join(','));
    default: {
      const { minLength = 0, maxLength = 255 } = schema;
      return fc
        .stringMatching(new RegExp(schema.pattern ?? '', 'u'))
        .filter((value) => value.isWellFormed())
        .filter((value) => [...value].length >= minLength && [...value].length <= maxLength);
    }
  }
}

/** The parameters of one place, each there or, unless it is required, not. */
function parametersOf(
  operation: Operation | undefined,
  place: string,
): fc.Arbitrary<Record<string, string>> {
  const here =
    operation?.parameters?.filter((one) => one.in === place && one.deprecated !== true) ?? [];
  const requiredKeys = here.filter(({ required }) => required).map(({ name }) => name);
  return fc.record(Object.fromEntries(here.map(({ name, schema }) => [name, valuesOf(schema)])), {
    requiredKeys,
  });
}

/** JSON.stringify writes doubles beyond 2⁵³ as integers that they are not: those are to be sent as strings. */
const storable = fc
  .jsonValue({ maxDepth: 3 })
  .filter((value) => !/\d{16,}|\\u0000/.test(JSON.stringify(value)));

/** What can only be told by looking into the log: a cursor or token that is not of this one, no such workspace. */
const ofContent = /SEQUENCE_IN_FUTURE|NOT_FOUND|page_token/;

test('a list that the document allows is not refused for its form', async () => {
  const query = parametersOf(document.paths['/v1/events']?.get, 'query');
  await fc.assert(
    fc.asyncProperty(query, async (parameters) => {
      const { status, text } = await sendRequest(
        service,
        `/v1/events?${new URLSearchParams(parameters)}`,
      );
      if (status !== 200) expect(text).toMatch(ofContent);
    }),
    { numRuns: 200 },
  );
}, 60_000);

test('a create that the document allows is not refused for its form', async () => {
  const { properties = {}, required = [] } = document.components.schemas.CreateEventRequest ?? {};
  const { metadata = {}, ...others } = properties;
  const texts = Object.entries(others).filter(([, { type }]) => type === 'string');
  expect(texts.length).toBeGreaterThan(2);
  const headers = parametersOf(document.paths['/v1/events']?.post, 'header');
  const body = fc.record(
    {
      ...Object.fromEntries(texts.map(([name, schema]) => [name, valuesOf(schema)])),
      metadata: fc.dictionary(
        valuesOf(metadata.propertyNames ?? {}),
        valuesOf(metadata.additionalProperties ?? {}),
        { maxKeys: metadata.maxProperties ?? 0 },
      ),
      payload: fc.dictionary(fc.string(), storable),
    },
    { requiredKeys: required as [] },
  );
  await fc.assert(
    fc.asyncProperty(headers, body, async (header, event) => {
      const { status, text } = await sendRequest(service, '/v1/events', {
        headers: header,
        body: event,
      });
      if (status !== 201) expect(text).toMatch(ofContent);
    }),
    { numRuns: 200 },
  );
}, 60_000);

test('an id that the document allows is not refused for its form', async () => {
  const [id] = document.paths['/v1/events/{id}']?.get?.parameters ?? [];
  await fc.assert(
    fc.asyncProperty(valuesOf(id?.schema ?? {}), async (value) => {
      expect((await sendRequest(service, `/v1/events/${value}`)).status).toBe(404);
    }),
    { numRuns: 50 },
  );
});

test('what is refused for its form is not allowed by the document either', () => {
  const parameters = document.paths['/v1/events']?.get?.parameters ?? [];
  const schemaOf = (name: string) => parameters.find((one) => one.name === name)?.schema;
  const types = schemaOf('type_patterns');
  const isAllowed = (schema: Schema | undefined, value: string) =>
    new RegExp(schema?.pattern ?? '', 'u').test(value);
  for (const value of ['', ' a', 'a ', 'a,b', '*a', 'a**', 'a\n', '\u0085']) {
    expect([value, isAllowed(types?.items, value)]).toEqual([value, false]);
  }
  expect(types).toMatchObject({ minItems: 1, maxItems: 20 });
  expect(schemaOf('types')).toEqual(types);
  for (const value of ['2026-05-25', '2026-05-25t12:00:00z', '0000-01-01T00:00:00Z', 'now']) {
    expect([value, isAllowed(schemaOf('created_after'), value)]).toEqual([value, false]);
  }
});

test('the document says what it speaks of, and in patterns that need no flag', () => {
  const operations = Object.values(document.paths).flatMap((methods) => Object.values(methods));
  const parameters = operations.flatMap((operation) => operation.parameters ?? []);
  expect(parameters.length).toBeGreaterThan(15);
  for (const { summary } of operations) expect(summary).toMatch(/^[A-Z][^.]+$/);
  for (const { description } of parameters) expect(description).toMatch(/^\S.*\.$/s);
  const patterns = JSON.stringify(document).matchAll(/"pattern":("(?:[^"\\]|\\.)*")/g);
  for (const [, json = ''] of patterns) {
    const pattern = JSON.parse(json);
    expect(pattern).not.toMatch(/\\[pPu]\{/);
    expect(() => new RegExp(pattern)).not.toThrow();
  }
});

test('what is always there is required, and what may be unset is not', () => {
  const { Event, ListEventsResponse, CreateEventRequest } = document.components.schemas;
  const always = ['id', 'type', 'workspace_id', 'payload', 'created_at', 'sequence'];
  expect(Event?.required).toEqual(always);
  expect(Object.keys(Event?.properties ?? {})).toEqual(
    expect.arrayContaining(['subject', 'occurred_at', 'metadata', 'api_key_id', 'erased_at']),
  );
  expect(ListEventsResponse?.required).toEqual(['events', 'next_page_token', 'first_sequence']);
  expect(CreateEventRequest).toMatchObject({
    required: ['workspace_id', 'type', 'payload'],
    additionalProperties: false,
  });
});

test('a body is required where the path does not give all that a request needs', () => {
  const isRequired = (path: string) => document.paths[path]?.post?.requestBody?.required;
  expect(isRequired('/v1/events')).toBe(true);
  expect(isRequired('/v1/deliveries/retry')).toBe(true);
  expect(isRequired('/v1/webhook_endpoints/{id}/pause')).toBe(false);
  expect(isRequired('/v1/api_keys/{id}/rotate')).toBe(false);
});

test('every operation says where it is, and that it may fail otherwise than its statuses tell', () => {
  expect(document.servers).toMatchObject([{ url: '/' }]);
  const ofEvents = Object.entries(document.paths).filter(([path]) => path.startsWith('/v1/'));
  const operations = ofEvents.flatMap(([, methods]) => Object.values(methods));
  expect(operations).toHaveLength(37);
  for (const { responses } of operations) expect(responses).toHaveProperty('default');
});
