export const securitySchemes = {
  apiKey: { type: 'http', scheme: 'bearer', description: 'An API key, hbr_sk_… or hbr_rk_….' },
  accessToken: {
    type: 'apiKey',
    in: 'query',
    name: 'access_token',
    description: 'An API key, for EventSource, which cannot send headers.',
  },
};

/** What no type holds, inside of a class; without halves of surrogate pairs, which not every engine knows. */
const unwritable = String.raw`\u0000-\u001f\u007f-\u009f*`;
/** What no item of a list with commas holds, and none has at its ends. */
const between = `${unwritable},`;
const atEnds = String.raw`${between}\s\ufeff`;

const type = {
  type: 'string',
  minLength: 1,
  maxLength: 255,
  pattern: `^[^${atEnds}](?:[^${between}]*[^${atEnds}])?$`,
  description:
    'No control characters, no "*", no comma, no blanks at its ends; for example invoice.paid.',
};

/** The texts of which requests consist. */
export const texts = {
  workspaceId: { type: 'string', pattern: '^ws_[0-9a-z]{1,64}$' },
  type,
  typePattern: {
    type: 'string',
    minLength: 1,
    maxLength: 255,
    pattern: `^(?:\\*|[^${atEnds}](?:[^${between}]*[^${atEnds}])?\\*?)$`,
  },
  /** Blanks at the ends of a header are none of its value. */
  idempotencyKey: {
    type: 'string',
    minLength: 1,
    maxLength: 255,
    pattern: '^[!-~](?:[ -~]*[!-~])?$',
  },
  askedEventId: { type: 'string', pattern: '^evt_[0-9a-z]{1,26}$' },
  time: {
    type: 'string',
    format: 'date-time',
    pattern: String.raw`^(?:000[1-9]|00[1-9]\d|0[1-9]\d\d|[1-9]\d{3})-\d\d-\d\dT\d\d:\d\d:[0-5]\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)$`,
    description: 'For example 2026-05-25T12:00:00Z; in the years 1 to 9999.',
  },
};

const storable = { pattern: String.raw`^[^\u0000]*$` };
const payload = {
  type: 'object',
  propertyNames: storable,
  additionalProperties: { $ref: '#/components/schemas/PayloadValue' },
  description:
    'At most 262,144 bytes of compact JSON and 32 levels; no U+0000 and no halves of surrogate pairs. An ' +
    'integer that a double does not hold exactly, such as 9007199254740993, is refused: send it as a string.',
};

export const schemas = {
  NewEvent: {
    type: 'object',
    required: ['workspace_id', 'type', 'payload'],
    additionalProperties: false,
    properties: { workspace_id: texts.workspaceId, type, payload },
  },
  PayloadValue: {
    description: 'Any JSON value.',
    ...storable,
    propertyNames: storable,
    additionalProperties: { $ref: '#/components/schemas/PayloadValue' },
    items: { $ref: '#/components/schemas/PayloadValue' },
  },
  Event: {
    type: 'object',
    required: ['id', 'type', 'workspace_id', 'payload', 'created_at', 'sequence'],
    properties: {
      id: { type: 'string', pattern: '^evt_[0-9a-z]{26}$' },
      type,
      workspace_id: texts.workspaceId,
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
    required: ['events', 'next_page_token', 'first_sequence'],
    properties: {
      events: { type: 'array', maxItems: 500, items: { $ref: '#/components/schemas/Event' } },
      next_page_token: { type: 'string', description: 'Empty at the end.' },
      first_sequence: {
        type: 'integer',
        minimum: 1,
        description:
          'The first sequence that retention keeps; one more than the newest when it keeps none.',
      },
    },
  },
  Problem: {
    type: 'object',
    required: ['type', 'title', 'status', 'code', 'reason', 'request_id'],
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
        maxItems: 16,
        items: {
          type: 'object',
          required: ['field', 'description'],
          properties: { field: { type: 'string' }, description: { type: 'string' } },
        },
      },
    },
  },
};

export const responses = {
  Problem: {
    description: 'What is wrong, as RFC 9457 says it.',
    headers: {
      'X-Request-Id': {
        description: 'The operator finds the call by it.',
        schema: { type: 'string' },
      },
      'Retry-After': {
        description: 'Seconds to wait, where waiting helps.',
        schema: { type: 'integer', minimum: 1 },
      },
    },
    content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
  },
};
