import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { fillLog, setBack } from '../support/filled-log.ts';
import { createLogClient } from '../support/log-wires.ts';
import { range, sequencesIn, subscribeTo } from '../support/subscriber.ts';
import { startTestService, type TestService } from '../support/test-service.ts';

let service: TestService;

beforeAll(async () => {
  service = await startTestService();
});
afterAll(() => service.stop());

let workspaces = 0;
async function newWorkspace(events: number): Promise<string> {
  const workspaceId = `ws_back${++workspaces}`;
  await service.app.workspaces.create(workspaceId, '');
  await fillLog(
    service.database,
    workspaceId,
    range(1, events).map(() => ({ type: 'first' })),
  );
  return workspaceId;
}

const linesOf = (workspaceId: string, level: number) =>
  service.logLines.filter(
    (line) => line.level === level && JSON.stringify(line.cause)?.includes(`of ${workspaceId} `),
  );
const setBackTo = (workspaceId: string, lastSequence: number) => ({
  code: 'DataLoss',
  reason: 'LOG_SET_BACK',
  retryable: false,
  metadata: { workspace_id: workspaceId, last_sequence: `${lastSequence}` },
});

describe('the database is restored to an earlier point under a running service', () => {
  test.each([
    { regrown: 0, end: 6, name: 'and its log is shorter' },
    { regrown: 4, end: 10, name: 'and its log has grown to the same length again' },
  ])(
    '$name: live streams end with a reason of its own, and new ones read what is there',
    async ({ regrown, end }) => {
      const workspaceId = await newWorkspace(10);
      const client = createLogClient(service);
      const streams = range(1, 3).map(() =>
        subscribeTo(client, { workspaceId, afterSequence: 0n }),
      );
      await Promise.all(streams.map((one) => one.caughtUp()));
      await setBack(service.database, workspaceId, { lastSequence: 6, regrown });
      for (const { ended } of streams)
        expect(await ended).toMatchObject(setBackTo(workspaceId, end));
      for (const { messages } of streams) expect(sequencesIn(messages)).toEqual(range(1, 10));

      const fresh = subscribeTo(client, { workspaceId, afterSequence: 0n });
      await fresh.caughtUp();
      await client.createEvent({ workspaceId, type: 'afterwards', payload: {} });
      const messages = await fresh.events(end + 1);
      expect(sequencesIn(messages)).toEqual(range(1, end + 1));
      const types = messages.flatMap(({ message }) =>
        message.case === 'event' ? [message.value.type] : [],
      );
      expect(types).toEqual([
        ...range(1, 6).map(() => 'first'),
        ...range(1, regrown).map(() => 'regrown'),
        'afterwards',
      ]);
      await fresh.leave();
      expect(linesOf(workspaceId, 50)).toMatchObject([{ msg: 'the log was set back' }]);
      // Nothing is missing in the log as it is now.
      expect(linesOf(workspaceId, 60)).toEqual([]);
    },
  );

  test('and its log has grown past what was read: nothing of it is sent as if it came next', async () => {
    const workspaceId = await newWorkspace(10);
    const stream = subscribeTo(createLogClient(service), { workspaceId, afterSequence: 0n });
    await stream.caughtUp();
    await setBack(service.database, workspaceId, { lastSequence: 6, regrown: 25_000 });
    expect(await stream.ended).toMatchObject(setBackTo(workspaceId, 25_006));
    expect(sequencesIn(stream.messages)).toEqual(range(1, 10));
    expect(linesOf(workspaceId, 60)).toEqual([]);
  });

  test('and its workspace is not there any more: streams end, and creates say that it is missing', async () => {
    const workspaceId = await newWorkspace(3);
    const client = createLogClient(service);
    const stream = subscribeTo(client, { workspaceId, afterSequence: 0n });
    await stream.caughtUp();
    await service.database.query('delete from workspaces where id = $1', [workspaceId]);
    expect(await stream.ended).toMatchObject({ code: 'NotFound', reason: 'WORKSPACE_NOT_FOUND' });
    await expect(client.createEvent({ workspaceId, type: 'tested', payload: {} })).rejects.toThrow(
      `no workspace ${workspaceId}`,
    );
  });

  test('and a stream of REST says so in its last message', async () => {
    const workspaceId = await newWorkspace(3);
    const response = await fetch(
      `${service.baseUrl}/v1/events/stream?workspace_id=${workspaceId}&after_sequence=3`,
      { headers: { authorization: `Bearer ${service.secretKey}` } },
    );
    await setBack(service.database, workspaceId, { lastSequence: 1 });
    const text = await response.text();
    // The empty id makes an EventSource forget where it was: that number is another event's now.
    const [, last = '{}'] = /\n\nid:\nevent: problem\ndata: (.*)\n\n$/.exec(text) ?? [];
    const { reason, code } = JSON.parse(last);
    expect([reason, code]).toEqual(['LOG_SET_BACK', 'data_loss']);
  });
});
