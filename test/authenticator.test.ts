import { type ClientHttp2Session, connect } from 'node:http2';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import {
  type ApiKeyStore,
  type Authenticator,
  type Caller,
  createAuthenticator,
  hashSecret,
  newSecret,
} from '../src/api-keys/index.ts';
import { createEventPath } from './support/connect-post.ts';
import { type StatementCounter, startStatementCounter } from './support/statement-counter.ts';
import { createTestDatabase, type TestDatabase } from './support/test-database.ts';
import { startTestService, type TestService } from './support/test-service.ts';

let database: TestDatabase;
let counter: StatementCounter;
let service: TestService;
beforeAll(async () => {
  database = await createTestDatabase();
  counter = await startStatementCounter(database.url);
  service = await startTestService({}, { ...database, url: counter.url });
});
afterAll(async () => {
  await service.stop();
  await counter.stop();
  await database.drop();
});

const bearer = (secret: string) => `Bearer ${secret}`;
const hashOf = (secret: string) => hashSecret(secret).toString('base64');

/** A create whose answer is its gRPC status. */
function createWith(session: ClientHttp2Session, secret: string): Promise<unknown> {
  return new Promise((resolve) => {
    const call = session.request({
      ':method': 'POST',
      ':path': createEventPath,
      'content-type': 'application/grpc+proto',
      te: 'trailers',
      authorization: bearer(secret),
    });
    let status: unknown;
    const note = (headers: object) => {
      status = (headers as Record<string, unknown>)['grpc-status'] ?? status;
    };
    call
      .on('response', note)
      .on('trailers', note)
      .on('error', () => undefined);
    call.on('close', () => resolve(status)).resume();
    call.end();
  });
}

test('1,000 calls with keys that nobody has cost few statements', async () => {
  const sessions = Array.from({ length: 10 }, () => connect(service.baseUrl));
  const before = counter.total();
  const answers = await Promise.all(
    sessions.flatMap((session) =>
      Array.from({ length: 100 }, () => createWith(session, newSecret('secret'))),
    ),
  );
  expect(answers).toHaveLength(1_000);
  expect(new Set(answers)).toEqual(new Set(['16']));
  expect(counter.total() - before).toBeLessThan(200);
  for (const session of sessions) session.destroy();
});

describe('an authenticator', () => {
  let elapsedMs: number;
  /** The hashes of each look-up, in order. */
  let lookUps: (readonly string[])[];
  /** Look-ups without one of these keys are not answered until `letGo` is called. */
  let answered: Set<string> | undefined;
  let letGo: () => void;
  let authenticator: Authenticator;
  let regular: string;

  beforeEach(async () => {
    elapsedMs = 0;
    lookUps = [];
    answered = undefined;
    const held = Promise.withResolvers<void>();
    letGo = held.resolve;
    const store: Pick<ApiKeyStore, 'findCallers'> = {
      async findCallers(hashes) {
        lookUps.push(hashes);
        if (answered !== undefined && !hashes.some((hash) => answered?.has(hash))) {
          await held.promise;
        }
        return service.app.apiKeys.findCallers(hashes);
      },
    };
    authenticator = createAuthenticator(store, { now: Date.now, elapsedMs: () => elapsedMs });
    regular = await service.issueKey({ kind: 'secret' });
    await authenticator.authenticate(bearer(regular));
  });

  const stranger = () => Promise.resolve(authenticator.authenticate(bearer(newSecret('secret'))));
  const asRegular = () => authenticator.authenticate(bearer(regular));

  test('knows a good key at once after 12,000 keys that nobody has', async () => {
    const flood = await Promise.allSettled(
      Array.from({ length: 3 }, async () => {
        for (let round = 0; round < 4; round++) {
          await Promise.allSettled(Array.from({ length: 1_000 }, stranger));
        }
      }),
    );
    expect(flood).toHaveLength(3);
    expect(lookUps.flat().length).toBe(12_001);
    expect(lookUps.length).toBeLessThan(120);
    expect((asRegular() as Caller).kind).toBe('secret');
  });

  test('looks a good key up again after 3 seconds, and not behind strangers', async () => {
    answered = new Set([hashOf(regular)]);
    const waiting = Array.from({ length: 700 }, () => stranger().catch((error: Error) => error));
    await expect.poll(() => lookUps.length).toBe(2);
    elapsedMs = 2_999;
    expect(asRegular()).not.toBeInstanceOf(Promise);
    elapsedMs = 3_000;
    expect(await asRegular()).toMatchObject({ kind: 'secret' });
    expect(lookUps.at(-1)).toEqual([hashOf(regular)]);
    letGo();
    const refused = await Promise.all(waiting);
    expect(new Set(refused.map((error) => (error as Error).name))).toEqual(
      new Set(['ApiKeyInvalid']),
    );
  });

  test('forgets a key that was revoked, which is a stranger from then on', async () => {
    const [apiKey] = await service.app.apiKeys.list({ afterId: undefined, limit: 1 });
    await service.app.apiKeys.revoke(apiKey?.id ?? '');
    elapsedMs = 3_000;
    await expect(asRegular()).rejects.toThrow('not valid');
    expect(() => asRegular()).toThrow('not valid');
  });

  test('refuses a call once 5,000 wait for the look-up of strangers, but none of a good key', async () => {
    answered = new Set([hashOf(regular)]);
    const waiting = Array.from({ length: 5_000 }, () => stranger().catch((error: Error) => error));
    await expect(stranger()).rejects.toMatchObject({ name: 'ApiKeyLookUpsFull' });
    elapsedMs = 3_000;
    expect(await asRegular()).toMatchObject({ kind: 'secret' });
    letGo();
    await Promise.all(waiting);
  });
});
