import { create, fromBinary, type Message, toBinary } from '@bufbuild/protobuf';
import type { Caller } from '../../src/api-keys/index.ts';
import { createLog } from '../../src/log.ts';
import { createRateLimiter } from '../../src/rate-limits/index.ts';
import { createAdmission } from '../../src/server/calls/admission.ts';
import { createRequestGate } from '../../src/server/calls/request-gate.ts';
import { createContractValidator } from '../../src/server/rpc/contract-validator.ts';
import { createHealth, createServer } from '../../src/server/server.ts';
import { addConformanceService, createConformanceStream } from './conformance-routes.ts';
import {
  ConformanceService,
  messageSchema,
  suiteScope,
  type WantedServer,
} from './suite-schema.ts';

/**
 * One server under test: reads from standard input what the suite wants, starts the service's own server
 * with the suite's routes, says on standard output where it listens, and ends by SIGTERM.
 */
const wanted = fromBinary(messageSchema('ServerCompatRequest'), await readInput()) as Message &
  WantedServer;
const { serverCreds } = wanted;
const text = (bytes: Uint8Array) => Buffer.from(bytes).toString();
const tls =
  wanted.useTls && serverCreds !== undefined
    ? { cert: text(serverCreds.cert), key: text(serverCreds.key) }
    : undefined;

const caller: Caller = {
  apiKeyId: 'key_suite',
  secretHash: '',
  kind: 'restricted',
  scopes: [suiteScope],
  workspaceIds: [],
  typePatterns: [],
  expiresAt: undefined,
};
const admission = createAdmission();
const toGate = {
  admission,
  authenticator: { authenticate: () => caller },
  lastUsed: { note: () => undefined },
  limiter: createRateLimiter(),
};
const gate = createRequestGate(toGate);
const server = createServer({
  ...toGate,
  routes: (router) => addConformanceService(router, gate, wanted.messageReceiveLimit),
  headersRead: ['x-conformance-test'],
  validator: createContractValidator([ConformanceService]),
  services: [ConformanceService],
  streams: [createConformanceStream(wanted.messageReceiveLimit)],
  health: createHealth(),
  tls,
  corsOrigins: [],
  log: createLog('fatal', { write: (line) => void process.stderr.write(line) }),
  stallMsMax: 30_000,
});
const { port } = await server.listen('127.0.0.1', 0);
process.on('SIGTERM', () => process.exit(0));

const pemCert = serverCreds?.cert ?? new Uint8Array();
const answer = messageSchema('ServerCompatResponse');
const bytes = toBinary(answer, create(answer, { host: '127.0.0.1', port, pemCert }));
const head = Buffer.alloc(4);
head.writeUInt32BE(bytes.length);
process.stdout.write(Buffer.concat([head, bytes]));

/** A message of the suite: 4 bytes of length, and as many bytes; its input stays open. */
async function readInput(): Promise<Uint8Array> {
  let input = Buffer.alloc(0);
  for await (const chunk of process.stdin.iterator({ destroyOnReturn: false })) {
    input = Buffer.concat([input, chunk]);
    if (input.length < 4) continue;
    const end = 4 + input.readUInt32BE(0);
    if (input.length >= end) return input.subarray(4, end);
  }
  throw new Error('the suite has said nothing');
}
