import { fromBinary, toBinary } from '@bufbuild/protobuf';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { ListEventsRequestSchema } from '../../gen/typescript/harbor/events/v1/events_service_pb.ts';
import { Harbor, type HarborOptions, SequenceExpiredError } from '../../sdk/src/index.ts';
import { fillLog, moveFloor } from '../support/filled-log.ts';
import { range } from '../support/subscriber.ts';
import { startTestService, type TestService } from '../support/test-service.ts';

let service: TestService;
let secretKey: string;
let harbor: Harbor;
let workspaceId: string;

const connect = (options: Partial<HarborOptions> = {}) =>
  new Harbor({ secretKey, baseUrl: service.baseUrl, ...options });

beforeAll(async () => {
  service = await startTestService();
  secretKey = await service.issueKey({ kind: 'secret', scopes: ['all'] });
  harbor = connect();
});
afterAll(() => service.stop());

let workspaces = 0;
beforeEach(async () => {
  workspaceId = `ws_sdk${++workspaces}`;
  await service.app.workspaces.create(workspaceId, '');
});

/** So many events about each of two subjects, by turns. */
const fill = (count: number) =>
  fillLog(
    service.database,
    workspaceId,
    range(1, 2 * count).map((index) => ({
      type: 'user.changed',
      subject: index % 2 === 1 ? 'usr_1' : 'usr_2',
      payload: { index },
    })),
  );
async function contentOf(subject: string): Promise<unknown[]> {
  const events = [];
  for await (const { payload } of harbor.events.list({ workspaceId, subject }))
    events.push(payload);
  return events;
}

describe('erase', () => {
  test('resolves to the event as it is then, with erasedAt and without what it held', async () => {
    const created = await harbor.events.create({
      workspaceId,
      type: 'user.changed',
      payload: { email: 'ada@example.com' },
      subject: 'usr_1',
      metadata: { origin: 'form' },
    });
    const erased = await harbor.events.erase(created.id);
    const { subject: _, metadata: __, replayed, idempotencyKeyExpiresAt, ...envelope } = created;
    expect([replayed, idempotencyKeyExpiresAt]).toEqual([false, expect.any(Date)]);
    expect(erased).toEqual({ ...envelope, payload: {}, erasedAt: expect.any(Date) });
    expect(await harbor.events.erase(created.id, { workspaceId })).toEqual(erased);
    expect(await harbor.events.retrieve(created.id)).toEqual(erased);
  });

  test('of an event in another workspace than was named rejects', async () => {
    const { id } = await harbor.events.create({ workspaceId, type: 'user.changed', payload: {} });
    const erasing = harbor.events.erase(id, { workspaceId: 'ws_test' });
    await expect(erasing).rejects.toMatchObject({
      name: 'NotFoundError',
      reason: 'EVENT_NOT_FOUND',
    });
  });
});

describe('eraseBySubject', () => {
  test('erases every event about it over all pages, and no other, and tells how many', async () => {
    await fill(230);
    const seen: number[] = [];
    const outcome = await harbor.events.eraseBySubject(
      { workspaceId, subject: 'usr_1' },
      { onErased: ({ sequence }) => void seen.push(sequence) },
    );
    expect(outcome).toEqual({ erased: 230 });
    expect(seen.toSorted((a, b) => a - b)).toEqual(range(0, 229).map((index) => 2 * index + 1));
    expect(await contentOf('usr_1')).toEqual([]);
    expect(await contentOf('usr_2')).toHaveLength(230);
    expect(await harbor.events.eraseBySubject({ workspaceId, subject: 'usr_1' })).toEqual({
      erased: 0,
    });
  });

  test('goes on with what is left when it is called again after a failure', async () => {
    await fill(20);
    let erasures = 0;
    const failing = connect({
      maxRetries: 0,
      fetch: async (input, init) => {
        if (String(input).endsWith('EraseEvent') && ++erasures === 9) throw new Error('cut');
        return fetch(input, init);
      },
    });
    const query = { workspaceId, subject: 'usr_1' };
    await expect(failing.events.eraseBySubject(query)).rejects.toThrow('cut');
    const left = await contentOf('usr_1');
    expect(left.length).toBeGreaterThan(0);
    expect(left.length).toBeLessThan(20);
    const { erased } = await failing.events.eraseBySubject(query);
    expect(erased).toBe(left.length);
    expect(await contentOf('usr_1')).toEqual([]);
  });

  test('passes over what retention takes meanwhile', async () => {
    await fill(230);
    const outcome = await harbor.events.eraseBySubject(
      { workspaceId, subject: 'usr_1' },
      {
        onErased: ({ sequence }) => {
          if (sequence === 1) passed = moveFloor(service.database, workspaceId, 401);
        },
      },
    );
    await passed;
    expect(outcome.erased).toBeGreaterThanOrEqual(30);
    expect(outcome.erased).toBeLessThan(230);
    expect(await contentOf('usr_1')).toEqual([]);
  });
  let passed: Promise<void> | undefined;

  test('erases nothing of others where a process lists them as well, since it knows no subjects', async () => {
    await fill(3);
    const lists: string[] = [];
    const older = connect({
      fetch: (input, init) => {
        if (!String(input).endsWith('ListEvents')) return fetch(input, init);
        const request = fromBinary(ListEventsRequestSchema, init?.body as Uint8Array);
        lists.push(request.subject);
        const body = toBinary(ListEventsRequestSchema, { ...request, subject: '' });
        return fetch(input, { ...init, body });
      },
    });
    expect(await older.events.eraseBySubject({ workspaceId, subject: 'usr_1' })).toEqual({
      erased: 3,
    });
    expect(lists).toEqual(['usr_1']);
    expect(await contentOf('usr_2')).toHaveLength(3);
  });

  test('sends nothing for a subject that is missing or empty', async () => {
    for (const subject of [undefined, '']) {
      const erasing = harbor.events.eraseBySubject({ workspaceId, subject } as never);
      await expect(erasing).rejects.toMatchObject({
        name: 'InvalidRequestError',
        violations: [{ field: 'subject' }],
      });
    }
  });

  test('ends with the reason of its signal', async () => {
    await fill(10);
    const controller = new AbortController();
    const erasing = harbor.events.eraseBySubject(
      { workspaceId, subject: 'usr_1' },
      { signal: controller.signal, onErased: () => controller.abort(new Error('enough')) },
    );
    await expect(erasing).rejects.toThrow('enough');
  });
});

describe('what retention has passed', () => {
  test('is told by a page, and by an error that says where to begin again', async () => {
    await fill(10);
    await moveFloor(service.database, workspaceId, 11);
    const page = await harbor.events.list({ workspaceId });
    expect(page.firstSequence).toBe(11);
    expect(page.events).toHaveLength(10);
    const behind = await Promise.resolve(
      harbor.events.list({ workspaceId, afterSequence: 5 }),
    ).catch((error: unknown) => error);
    expect(behind).toBeInstanceOf(SequenceExpiredError);
    expect(behind).toMatchObject({
      name: 'SequenceExpiredError',
      code: 'out_of_range',
      firstSequence: 11,
      retryable: false,
    });
    const { firstSequence } = behind as SequenceExpiredError;
    const again = await harbor.events.list({ workspaceId, afterSequence: firstSequence - 1 });
    expect(again.events[0]?.sequence).toBe(11);
  });

  test('is thrown into the loop of a subscription', async () => {
    await fill(10);
    await moveFloor(service.database, workspaceId, 11);
    const follow = async () => {
      for await (const _ of harbor.events.subscribe({ workspaceId, afterSequence: 5 })) break;
    };
    await expect(follow()).rejects.toMatchObject({
      name: 'SequenceExpiredError',
      firstSequence: 11,
    });
  });
});
