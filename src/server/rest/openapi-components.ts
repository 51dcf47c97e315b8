export const securitySchemes = {
  apiKey: { type: 'http', scheme: 'bearer', description: 'An API key, hbr_sk_… or hbr_rk_….' },
  accessToken: {
    type: 'apiKey',
    in: 'query',
    name: 'access_token',
    description: 'An API key, for EventSource, which cannot send headers.',
  },
};

export const problemSchema = {
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
};

/** Of the IETF's draft draft-ietf-httpapi-ratelimit-headers, in structured fields. */
export const rateLimitHeaders = {
  'RateLimit-Policy': {
    description: 'The rate limits that apply, such as "key-creates";q=500;w=5.',
    schema: { type: 'string' },
  },
  RateLimit: {
    description:
      'What is left of them, such as "key-creates";r=499;t=1; of one of the workspace only that nothing is.',
    schema: { type: 'string' },
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
      ...rateLimitHeaders,
    },
    content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
  },
};
