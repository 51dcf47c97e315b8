/** The REST face in OpenAPI 3.1; bounds and words are those of the contract in `proto/`. */
export function openApi(): unknown {
  return {
    openapi: '3.1.0',
    info: {
      title: 'Harbor Events',
      version: '1',
      description: 'Record what happened in a workspace, exactly once, and read it back.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    security: [{ apiKey: [] }],
    paths: {
      '/v1/events': { post: createEvent, get: listEvents },
      '/v1/events/stream': { get: streamEvents },
      '/v1/events/{id}': { get: retrieveEvent },
      '/healthz': { get: healthz },
      '/readyz': { get: readyz },
    },
    components: { securitySchemes, schemas, responses },
  };
}

const errorResponses = Object.fromEntries(
  ['400', '401', '403', '404', '429', '503'].map((status) => [
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
      description: '1–255 printable ASCII characters, per workspace.',
      schema: { type: 'string', minLength: 1, maxLength: 255, pattern: '^[ -~]+$' },
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
        Location: { description: 'Path of the event.', schema: { type: 'string' } },
      },
      content: { 'application/json': { schema: { $ref: '#/components/schemas/Event' } } },
    },
    ...errorResponses,
    '413': { $ref: '#/components/responses/Problem' },
    '415': { $ref: '#/components/responses/Problem' },
    '422': { $ref: '#/components/responses/Problem' },
  },
};

const filterParameters = [
  {
    name: 'workspace_id',
    in: 'query',
    required: true,
    schema: { type: 'string', pattern: '^ws_[0-9a-z]{1,64}$' },
  },
  {
    name: 'types',
    in: 'query',
    description: 'Up to 20 types or patterns (invoice.*), separated by commas.',
    schema: { type: 'string' },
  },
  {
    name: 'after_sequence',
    in: 'query',
    description: 'Only events with a higher sequence; 0 is the beginning of the log.',
    schema: { type: 'integer', minimum: 0 },
  },
];

const time = { type: 'string', format: 'date-time' };

const listEvents = {
  operationId: 'listEvents',
  summary: 'List events',
  description:
    'By sequence. A page holds at most page_size events and 2 MiB, and may hold fewer before the end: ' +
    'only an empty next_page_token is the end. Scope: events:read.',
  parameters: [
    ...filterParameters,
    { name: 'created_after', in: 'query', schema: time },
    { name: 'created_before', in: 'query', schema: time },
    {
      name: 'order',
      in: 'query',
      schema: { type: 'string', enum: ['asc', 'desc'], default: 'asc' },
    },
    {
      name: 'page_size',
      in: 'query',
      schema: { type: 'integer', minimum: 1, maximum: 500, default: 100 },
    },
    { name: 'page_token', in: 'query', schema: { type: 'string' } },
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
  summary: 'Stream events',
  description:
    'Server-Sent Events: an event of the log has its JSON as data and its sequence as id; ' +
    'caught_up comes once, when everything that was there has been sent; problem comes last. ' +
    'Without after_sequence and Last-Event-ID the stream begins now. Scope: events:read.',
  parameters: [
    ...filterParameters,
    {
      name: 'access_token',
      in: 'query',
      description: 'An API key, for EventSource, which cannot send headers.',
      schema: { type: 'string' },
    },
    {
      name: 'Last-Event-ID',
      in: 'header',
      description: 'The id of the last message that arrived; counts more than after_sequence.',
      schema: { type: 'string', pattern: '^[0-9]+$' },
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
      schema: { type: 'string', pattern: '^evt_[0-9a-z]{1,26}$' },
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

const securitySchemes = {
  apiKey: { type: 'http', scheme: 'bearer', description: 'An API key, hbr_sk_… or hbr_rk_….' },
};

const workspaceId = { type: 'string', pattern: '^ws_[0-9a-z]{1,64}$' };
const type = {
  type: 'string',
  minLength: 1,
  maxLength: 255,
  description: 'No control characters, no "*"; for example invoice.paid.',
};
const payload = {
  type: 'object',
  additionalProperties: true,
  description:
    'At most 262,144 bytes of compact JSON, at most 32 levels deep. An integer that a double does not ' +
    'hold exactly, such as 9007199254740993, is refused: send it as a string.',
};

const schemas = {
  NewEvent: {
    type: 'object',
    required: ['workspace_id', 'type', 'payload'],
    additionalProperties: false,
    properties: {
      workspace_id: workspaceId,
      type,
      payload,
      idempotency_key: {
        type: 'string',
        maxLength: 255,
        description: 'In place of the header Idempotency-Key.',
      },
    },
  },
  Event: {
    type: 'object',
    required: ['id', 'type', 'workspace_id', 'payload', 'created_at', 'sequence'],
    properties: {
      id: { type: 'string', pattern: '^evt_[0-9a-z]{26}$' },
      type,
      workspace_id: workspaceId,
      payload,
      created_at: { type: 'string', format: 'date-time' },
      sequence: {
        type: 'integer',
        minimum: 1,
        description: 'Place in the log of the workspace: 1, 2, 3 …, without gaps.',
      },
    },
  },
  EventPage: {
    type: 'object',
    required: ['events', 'next_page_token'],
    properties: {
      events: { type: 'array', items: { $ref: '#/components/schemas/Event' } },
      next_page_token: { type: 'string', description: 'Empty at the end.' },
    },
  },
  Problem: {
    type: 'object',
    required: ['type', 'title', 'status', 'code', 'reason'],
    properties: {
      type: { type: 'string', format: 'uri' },
      title: { type: 'string' },
      status: { type: 'integer' },
      detail: { type: 'string' },
      code: { type: 'string', description: 'The status code of the RPC, such as not_found.' },
      reason: { type: 'string', description: 'Why, such as EVENT_NOT_FOUND.' },
      request_id: { type: 'string' },
      metadata: { type: 'object', additionalProperties: { type: 'string' } },
      violations: {
        type: 'array',
        items: {
          type: 'object',
          required: ['field', 'description'],
          properties: { field: { type: 'string' }, description: { type: 'string' } },
        },
      },
    },
  },
};

const responses = {
  Problem: {
    description: 'What is wrong, as RFC 9457 says it.',
    content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
  },
};
