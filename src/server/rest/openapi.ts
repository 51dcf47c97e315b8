import { create } from '@bufbuild/protobuf';
import type { Validator } from '@bufbuild/protovalidate';
import { problemSchema, responses, securitySchemes } from './openapi-components.ts';
import { toOperation } from './openapi-operations.ts';
import { createSchemas, type RequiredFields } from './openapi-schemas.ts';
import type { RestRoute } from './rest-routes.ts';

/**
 * The REST face in OpenAPI 3.1: paths, bounds and words are those of the contract in `proto/`. What a request
 * may be is said as narrowly as JSON Schema can: whatever it allows is not refused for its form.
 */
export function openApi(routes: readonly RestRoute[], validator: Validator): unknown {
  const requiredFields = askFor(validator);
  const schemas = createSchemas(requiredFields);
  const paths: Record<string, Record<string, unknown>> = {};
  for (const route of routes.toSorted((one, other) => (one.template < other.template ? -1 : 1))) {
    const operation = toOperation(route, schemas, requiredFields(route.rpc.input));
    paths[route.template] = { ...paths[route.template], [route.method.toLowerCase()]: operation };
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Harbor Events',
      version: '1',
      description:
        'Record what happened in a workspace, exactly once, and read it back. Where a description says empty ' +
        'or unset, the parameter or member is left out.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: '/', description: 'The service that this document comes from.' }],
    security: [{ apiKey: [] }],
    paths: { ...paths, ...ownPaths },
    components: {
      securitySchemes,
      schemas: { ...schemas.components, Problem: problemSchema },
      responses,
    },
  };
}

/** A field is required when the contract refuses a message that says nothing for want of it. */
function askFor(validator: Validator): RequiredFields {
  return (message) => {
    const { violations = [] } = validator.validate(message, create(message));
    return new Set(
      violations.flatMap(({ field: [first] }) => (first?.kind === 'field' ? first.name : [])),
    );
  };
}

/** What is not of the contract. */
const ownPaths = {
  '/healthz': {
    get: {
      operationId: 'healthz',
      summary: 'Whether the process lives',
      security: [],
      responses: { '200': { description: 'It does, also while it is being stopped.' } },
    },
  },
  '/readyz': {
    get: {
      operationId: 'readyz',
      summary: 'Whether the process takes calls',
      security: [],
      responses: {
        '200': { description: 'It does.' },
        '503': { description: 'It is being stopped, or PostgreSQL has not answered for 10 s.' },
      },
    },
  },
  '/openapi.json': {
    get: {
      operationId: 'describe',
      summary: 'This document',
      security: [],
      responses: {
        '200': {
          description: 'The paths of REST.',
          content: { 'application/json': { schema: { type: 'object' } } },
        },
      },
    },
  },
};
