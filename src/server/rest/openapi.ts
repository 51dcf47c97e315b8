import { responses, schemas, securitySchemes, texts } from './openapi-components.ts';

/**
 * The REST face in OpenAPI 3.1; bounds and words are those of the contract in `proto/`. What a request may
 * be is said as narrowly as JSON Schema can: whatever it allows is not refused for its form.
 */
export function openApi(): unknown {
  return {
    openapi: '3.1.0',
    info: {
      title: 'Harbor Events',
      version: '1',
      description: 'Record what happened in a workspace, exactly once, and read it back.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: '/', description: 'The service that this document comes from.' }],
    security: [{ apiKey: [] }],
    paths: {
      '/v1/events': { post: createEvent, get: listEvents },
      '/v1/events/stream': { get: streamEvents },
      '/v1/events/{id}': { get: retrieveEvent },
      '/healthz': { get: healthz },
      '/readyz': { get: readyz },
      '/openapi.json': { get: describe },
    },
    components: { securitySchemes, schemas, responses },
  };
}

/** Any call may also end with 499, 500 or 504. */
const errorResponses = Object.fromEntries(
  ['400', '401', '403', '404', '429', '503', 'default'].map((status) => [
    status,
    { $ref: '#/components/responses/Problem' },
  ]),
);

const createEvent = {
  operationId: 'createEvent',
  summary: 'Create an event',
  description:
    'Answered only after the event is on disk. With the header Idempotency-Key a repeated request ' +
    'returns the original event for 24 hours. Scope: events:write.',
  parameters: [
    {
      name: 'Idempotency-Key',
      in: 'header',
      description: '1–255 printable ASCII characters, without blanks at its ends; per workspace.',
      schema: texts.idempotencyKey,
    },
  ],
  requestBody: {
    required: true,
    content: { 'application/json': { schema: { $ref: '#/components/schemas/NewEvent' } } },
  },
  responses: {
    '201': {
      description: 'The event, created now or by an earlier request with the same key.',
      headers: {
        'Idempotent-Replayed': {
          description: '"true" when an earlier request created the event.',
          schema: { type: 'string', enum: ['true'] },
        },
        Location: {
          description: 'Path of the event, /v1/events/evt_….',
          schema: { type: 'string', format: 'uri-reference' },
        },
      },
      content: { 'application/json': { schema: { $ref: '#/components/schemas/Event' } } },
    },
    ...errorResponses,
    '413': { $ref: '#/components/responses/Problem' },
    '415': { $ref: '#/components/responses/Problem' },
    '422': { $ref: '#/components/responses/Problem' },
  },
};

const typePatterns = {
  style: 'form',
  explode: false,
  schema: { type: 'array', minItems: 1, maxItems: 20, items: texts.typePattern },
};

const filterParameters = [
  { name: 'workspace_id', in: 'query', required: true, schema: texts.workspaceId },
  {
    name: 'type_patterns',
    in: 'query',
    description:
      'Types, or beginnings of types and "*" (invoice.*), with commas and no blanks between; without ' +
      'it every type.',
    ...typePatterns,
  },
  {
    name: 'types',
    in: 'query',
    deprecated: true,
    description:
      'Another name for type_patterns, which it was called at first; only one may be there.',
    ...typePatterns,
  },
  {
    name: 'after_sequence',
    in: 'query',
    description:
      'Only events with a higher sequence; 0 is the beginning of the log. At most that of the newest event.',
    schema: { type: 'integer', minimum: 0, maximum: Number.MAX_SAFE_INTEGER },
  },
];

const listEvents = {
  operationId: 'listEvents',
  summary: 'List events',
  description:
    'By sequence. A page holds at most page_size events and 2 MiB, and may hold fewer before the end: ' +
    'only an empty next_page_token is the end. Scope: events:read.',
  parameters: [
    ...filterParameters,
    { name: 'created_after', in: 'query', schema: texts.time },
    { name: 'created_before', in: 'query', schema: texts.time },
    {
      name: 'order',
      in: 'query',
      schema: { type: 'string', enum: ['asc', 'desc'], default: 'asc' },
    },
    {
      name: 'page_size',
      in: 'query',
      description: '0 means 100.',
      schema: { type: 'integer', minimum: 0, maximum: 500, default: 100 },
    },
    {
      name: 'page_token',
      in: 'query',
      description:
        'next_page_token of the page before, with the same filters and order; empty means the first page.',
      schema: { type: 'string', pattern: '^[A-Za-z0-9_-]*$', maxLength: 1024 },
    },
  ],
  responses: {
    '200': {
      description: 'A page.',
      content: { 'application/json': { schema: { $ref: '#/components/schemas/EventPage' } } },
    },
    ...errorResponses,
  },
};

const streamEvents = {
  operationId: 'streamEvents',
  security: [{ apiKey: [] }, { accessToken: [] }],
  summary: 'Stream events',
  description:
    'Server-Sent Events: an event of the log has its JSON as data and its sequence as id; ' +
    'caught_up comes once, when everything that was there has been sent; problem comes last. ' +
    'Without after_sequence and Last-Event-ID the stream begins now. Scope: events:read.',
  parameters: [
    ...filterParameters,
    {
      name: 'Last-Event-ID',
      in: 'header',
      description: 'The id of the last message that arrived; counts more than after_sequence.',
      schema: { type: 'string', pattern: '^[0-9]{1,15}$' },
    },
  ],
  responses: {
    '200': {
      description: 'The stream.',
      content: { 'text/event-stream': { schema: { type: 'string' } } },
    },
    ...errorResponses,
  },
};

const retrieveEvent = {
  operationId: 'retrieveEvent',
  summary: 'Retrieve an event',
  description: 'Scope: events:read.',
  parameters: [
    {
      name: 'id',
      in: 'path',
      required: true,
      schema: texts.askedEventId,
    },
  ],
  responses: {
    '200': {
      description: 'The event.',
      content: { 'application/json': { schema: { $ref: '#/components/schemas/Event' } } },
    },
    ...errorResponses,
  },
};

const healthz = {
  operationId: 'healthz',
  summary: 'Whether the process lives',
  security: [],
  responses: { '200': { description: 'It does, also while it is being stopped.' } },
};

const readyz = {
  operationId: 'readyz',
  summary: 'Whether the process takes calls',
  security: [],
  responses: {
    '200': { description: 'It does.' },
    '503': { description: 'It is being stopped, or PostgreSQL has not answered for 10 s.' },
  },
};

const describe = {
  operationId: 'describe',
  summary: 'This document',
  security: [],
  responses: {
    '200': {
      description: 'The paths of REST.',
      content: { 'application/json': { schema: { type: 'object' } } },
    },
  },
};
