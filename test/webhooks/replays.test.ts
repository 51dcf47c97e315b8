import { afterAll, beforeAll, expect, test } from 'vitest';
import { DeliveryState } from '../../gen/typescript/harbor/webhooks/v1/delivery_pb.ts';
import { ReplayState } from '../../gen/typescript/harbor/webhooks/v1/replay_pb.ts';
import { refusalOf } from '../support/errors.ts';
import { startWebhookService, type WebhookService } from '../support/webhook-service.ts';

let service: WebhookService;
beforeAll(async () => {
  service = await startWebhookService();
});
afterAll(() => service.stop());

let paths = 0;

/** An endpoint of a workspace of its own, which was sent events of these types. */
async function make(types: readonly string[], settings: Record<string, unknown> = {}) {
  const workspaceId = await service.makeWorkspace();
  const path = `/replays/${paths++}`;
  const endpointId = await service.makeEndpoint(path, { workspaceId, ...settings });
  const ids = await service.createEvents(workspaceId, types);
  return { workspaceId, path, endpointId, ids };
}

const replayOf = async (id: string) => (await service.webhooks().retrieveReplay({ id })).replay;
const waitForState = (id: string, state: ReplayState) =>
  expect.poll(async () => (await replayOf(id))?.state).toBe(state);

/** What a path has received of replays: sequences, in their order. */
const replayed = (path: string) =>
  service.receiver
    .at(path)
    .filter(({ headers }) => headers['harbor-replay'] !== undefined)
    .map(({ sequence }) => sequence)
    .sort((a, b) => a - b);

test('a range is sent again, says that it is a replay, and is done', async () => {
  const { path, endpointId, ids } = await make(['a', 'b', 'c', 'd']);
  await service.receiver.waitFor(path, 4);
  const { replay, replayed: isReplayed } = await service.webhooks().createReplay({
    endpointId,
    afterSequence: 1n,
    untilSequence: 3n,
  });
  expect(isReplayed).toBe(false);
  expect(replay).toMatchObject({
    id: expect.stringMatching(/^rpl_[0-9a-z]{26}$/),
    endpointId,
    firstSequence: 2n,
    lastSequence: 3n,
    onlyFailed: false,
    apiKeyId: expect.stringMatching(/^key_/),
  });
  const id = replay?.id ?? '';
  await waitForState(id, ReplayState.DONE);
  expect(await replayOf(id)).toMatchObject({
    position: 3n,
    succeeded: 2n,
    failed: 0n,
    unfinished: 0n,
    endedAt: {},
  });
  expect(replayed(path)).toEqual([2, 3]);
  const again = service.receiver.at(path).filter(({ headers }) => headers['harbor-replay'] === id);
  expect(new Set(again.map(({ id: one }) => one))).toEqual(new Set(ids.slice(1, 3)));
  const { deliveries } = await service.webhooks().listDeliveries({ endpointId });
  expect(deliveries.filter(({ replayId }) => replayId === id)).toHaveLength(2);
});

test('a replay of patterns sends what matches them and the endpoint’s own', async () => {
  const types = ['invoice.paid', 'invoice.sent', 'order.placed', 'invoice.paid'];
  const { path, endpointId } = await make(types, { typePatterns: ['invoice.*'] });
  await service.receiver.waitFor(path, 3);
  const { replay } = await service.webhooks().createReplay({
    endpointId,
    typePatterns: ['invoice.paid', 'order.*'],
  });
  await waitForState(replay?.id ?? '', ReplayState.DONE);
  expect(replayed(path)).toEqual([1, 4]);
});

test('a replay of what failed sends that alone, and not what was made good since', async () => {
  const workspaceId = await service.makeWorkspace();
  const path = `/replays/${paths++}`;
  service.receiver.answer = (one) => (one.path === path && one.sequence % 2 === 0 ? 500 : 204);
  const endpointId = await service.makeEndpoint(path, { workspaceId });
  await service.createEvents(workspaceId, ['a', 'b', 'c', 'd', 'e', 'f']);
  const inState = async (state: DeliveryState) =>
    (await service.webhooks().listDeliveries({ endpointId, state })).deliveries;
  await expect.poll(async () => (await inState(DeliveryState.FAILED)).length).toBe(3);
  service.receiver.answer = () => 204;
  const [newest] = await inState(DeliveryState.FAILED);
  await service.webhooks().retryDelivery({ id: newest?.id ?? '' });
  await expect.poll(async () => (await inState(DeliveryState.SUCCEEDED)).length).toBe(4);
  const dry = await service.webhooks().createReplay({ endpointId, onlyFailed: true, dryRun: true });
  expect(dry).toMatchObject({ matching: 2n, isAtLeast: false });
  const { replay } = await service.webhooks().retryDeliveries({ endpointId });
  expect(replay).toMatchObject({ onlyFailed: true, firstSequence: 1n, lastSequence: 6n });
  await waitForState(replay?.id ?? '', ReplayState.DONE);
  expect(replayed(path)).toEqual([2, 4]);
});

test('a dry run counts what would be sent, and sends nothing', async () => {
  const types = ['invoice.paid', 'order.placed', 'invoice.sent', 'invoice.paid'];
  const { path, endpointId } = await make(types, { typePatterns: ['invoice.*'] });
  await service.receiver.waitFor(path, 3);
  const dryRun = async (request: Record<string, unknown>) => {
    const answer = await service.webhooks().createReplay({ endpointId, dryRun: true, ...request });
    expect(answer.replay).toBeUndefined();
    return [answer.matching, answer.isAtLeast];
  };
  expect(await dryRun({})).toEqual([3n, false]);
  expect(await dryRun({ afterSequence: 1n, untilSequence: 3n })).toEqual([1n, false]);
  expect(await dryRun({ typePatterns: ['invoice.paid'] })).toEqual([2n, false]);
  for (const createdAfter of [
    { seconds: 4_000_000_000n, nanos: 0 },
    { seconds: 253_402_300_799n, nanos: 999_999_999 },
  ]) {
    expect(await dryRun({ createdAfter })).toEqual([0n, false]);
  }
  expect(await dryRun({ createdBefore: { seconds: 1_000_000_000n, nanos: 0 } })).toEqual([
    0n,
    false,
  ]);
  const { replays } = await service.webhooks().listReplays({ endpointId });
  expect(replays).toEqual([]);
});

test('a range beyond the log, or before what is kept, is refused by its field', async () => {
  const { workspaceId, endpointId } = await make(['a', 'b', 'c']);
  const create = (request: Record<string, unknown>) =>
    refusalOf(service.webhooks().createReplay({ endpointId, ...request }));
  expect(await create({ afterSequence: 4n })).toMatchObject({
    reason: 'SEQUENCE_IN_FUTURE',
    fields: ['after_sequence'],
  });
  expect(await create({ untilSequence: 4n })).toMatchObject({
    reason: 'SEQUENCE_IN_FUTURE',
    fields: ['until_sequence'],
  });
  await service.database.query('update workspaces set first_sequence = 3 where id = $1', [
    workspaceId,
  ]);
  expect(await create({ afterSequence: 1n })).toMatchObject({
    reason: 'SEQUENCE_EXPIRED',
    metadata: { first_sequence: '3' },
  });
});

test.each(['createReplay', 'countReplay', 'retryDeliveries'] as const)(
  'a range that ends before it begins is refused by %s, one of nothing is not',
  async (name) => {
    const { endpointId } = await make(['a', 'b', 'c']);
    const ask = (range: Record<string, unknown>) => {
      const webhooks = service.webhooks();
      if (name === 'retryDeliveries') return webhooks.retryDeliveries({ endpointId, ...range });
      return webhooks.createReplay({ endpointId, dryRun: name === 'countReplay', ...range });
    };
    const refused = { code: 'InvalidArgument', reason: 'INVALID_REQUEST' };
    const time = (nanos: number) => ({ seconds: 1_700_000_000n, nanos });
    expect(await refusalOf(ask({ afterSequence: 3n, untilSequence: 2n }))).toMatchObject({
      ...refused,
      fields: ['until_sequence'],
      message: 'until_sequence must not be less than after_sequence',
    });
    expect(await refusalOf(ask({ createdAfter: time(2), createdBefore: time(1) }))).toMatchObject({
      ...refused,
      fields: ['created_before'],
      message: 'created_before must not be earlier than created_after',
    });
    await ask({ afterSequence: 2n, untilSequence: 2n });
    await ask({ afterSequence: 2n, untilSequence: 0n });
    await ask({ createdAfter: time(1), createdBefore: time(1) });
    const { replays } = await service.webhooks().listReplays({ endpointId });
    expect(replays).toHaveLength(name === 'countReplay' ? 0 : 3);
  },
);

test('a replay of nothing is done at once', async () => {
  const { endpointId } = await make([]);
  const { replay } = await service.webhooks().createReplay({ endpointId });
  expect(replay).toMatchObject({ state: ReplayState.DONE, endedAt: {}, firstSequence: 1n });
});

test('a repeat of a create makes no second replay', async () => {
  const { endpointId } = await make(['a']);
  const request = { endpointId, requestId: 'once' };
  const first = await service.webhooks().createReplay(request);
  const again = await service.webhooks().createReplay(request);
  expect([again.replay?.id, again.replayed]).toEqual([first.replay?.id, true]);
  const other = service.webhooks().createReplay({ ...request, onlyFailed: true });
  expect(await refusalOf(other)).toMatchObject({
    reason: 'REQUEST_ID_REUSED',
    metadata: { id: first.replay?.id },
  });
});

test('a replay is paused, goes on, and keeps to its rate', async () => {
  const { path, endpointId } = await make(Array.from({ length: 12 }, () => 'a'));
  await service.receiver.waitFor(path, 12);
  const { replay } = await service.webhooks().createReplay({ endpointId, maxPerSecond: 4 });
  const id = replay?.id ?? '';
  expect(replay?.maxPerSecond).toBe(4);
  await expect.poll(() => replayed(path).length).toBeGreaterThan(0);
  const paused = await service.webhooks().pauseReplay({ id });
  expect(paused.replay?.state).toBe(ReplayState.PAUSED);
  await expect.poll(async () => (await replayOf(id))?.unfinished).toBe(0n);
  const sent = replayed(path).length;
  expect(sent).toBeLessThan(12);
  const resumed = await service.webhooks().resumeReplay({ id });
  expect(resumed.replay?.state).toBe(ReplayState.RUNNING);
  await waitForState(id, ReplayState.DONE);
  expect(replayed(path)).toEqual(Array.from({ length: 12 }, (_, n) => n + 1));
});

test('what waits of a paused replay is sent at once when that goes on', async () => {
  const { path, endpointId } = await make(['a', 'b', 'c']);
  await service.receiver.waitFor(path, 3);
  service.receiver.answer = (one) =>
    one.path === path ? { status: 503, headers: { 'retry-after': '1' } } : 204;
  const { replay } = await service.webhooks().createReplay({ endpointId });
  const id = replay?.id ?? '';
  const waiting = (which: string) =>
    service.database.query(
      `select work.place from webhook_work work join webhook_cursors cursors on cursors.id = work.cursor_id
       where cursors.kind = 'replay' and work.workspace_id = $1 and not in_flight and ${which}`,
      [replay?.workspaceId],
    );
  await expect.poll(() => waiting('true')).toHaveLength(3);
  await service.webhooks().pauseReplay({ id });
  // They come due, and are put off for as long as it is paused.
  await expect
    .poll(() => waiting(`due_at > now() + interval '30 seconds'`), { timeout: 20_000 })
    .toHaveLength(3);
  service.receiver.answer = () => 204;
  await service.webhooks().resumeReplay({ id });
  await expect
    .poll(() => replayOf(id), { timeout: 10_000 })
    .toMatchObject({ state: ReplayState.DONE, succeeded: 3n });
});

test('a cancelled replay ends for good, with what waits of it', async () => {
  const { workspaceId, path, endpointId } = await make(['a', 'b', 'c']);
  await service.receiver.waitFor(path, 3);
  service.receiver.answer = (one) =>
    one.path === path ? { status: 503, headers: { 'retry-after': '1' } } : 204;
  const { replay } = await service.webhooks().createReplay({ endpointId });
  const id = replay?.id ?? '';
  await expect.poll(async () => (await replayOf(id))?.unfinished).toBe(3n);
  const pending = { endpointId, state: DeliveryState.PENDING };
  await expect
    .poll(async () => (await service.webhooks().listDeliveries(pending)).deliveries.length)
    .toBe(3);
  const cancelled = await service.webhooks().cancelReplay({ id });
  service.receiver.answer = () => 204;
  expect(cancelled.replay).toMatchObject({ state: ReplayState.CANCELLED, endedAt: {} });
  expect((await service.webhooks().cancelReplay({ id })).replay?.state).toBe(ReplayState.CANCELLED);
  for (const call of [
    () => service.webhooks().pauseReplay({ id }),
    () => service.webhooks().resumeReplay({ id }),
  ]) {
    expect(await refusalOf(call())).toMatchObject({
      code: 'FailedPrecondition',
      reason: 'REPLAY_ENDED',
    });
  }
  const work = await service.database.query(
    'select * from webhook_work where workspace_id = $1 and not in_flight',
    [workspaceId],
  );
  expect(work).toEqual([]);
});

test('at most ten replays of a workspace run or are paused', async () => {
  const { endpointId } = await make(['a']);
  await service.webhooks().pauseWebhookEndpoint({ id: endpointId });
  const ids: string[] = [];
  for (let n = 0; n < 10; n++) {
    const { replay } = await service.webhooks().createReplay({ endpointId });
    ids.push(replay?.id ?? '');
  }
  const create = () => service.webhooks().createReplay({ endpointId });
  expect(await refusalOf(create())).toMatchObject({
    code: 'ResourceExhausted',
    reason: 'REPLAYS_FULL',
    metadata: { replays_max: '10' },
  });
  await service.webhooks().cancelReplay({ id: ids[0] ?? '' });
  await create();
  const { replays, nextPageToken } = await service
    .webhooks()
    .listReplays({ endpointId, pageSize: 10 });
  const rest = await service.webhooks().listReplays({ endpointId, pageToken: nextPageToken });
  const listed = [...replays, ...rest.replays].map(({ id }) => id);
  expect(listed.slice(1)).toEqual(ids.toReversed());
});

test('deleting an endpoint ends its replays, which then exist no more', async () => {
  const { endpointId } = await make(['a']);
  await service.webhooks().pauseWebhookEndpoint({ id: endpointId });
  const { replay } = await service.webhooks().createReplay({ endpointId });
  const id = replay?.id ?? '';
  await service.webhooks().deleteWebhookEndpoint({ id: endpointId });
  expect(await refusalOf(service.webhooks().retrieveReplay({ id }))).toMatchObject({
    reason: 'REPLAY_NOT_FOUND',
    metadata: { replay_id: id },
  });
  const [row] = await service.database.query(
    "select state from webhook_cursors where kind = 'replay' and endpoint_id in (select id from webhook_endpoints where deleted_at is not null)",
  );
  expect(row).toEqual({ state: 'cancelled' });
});

test('replays exist for those alone whose key covers the endpoint', async () => {
  const { endpointId } = await make(['a']);
  const { replay } = await service.webhooks().createReplay({ endpointId });
  const id = replay?.id ?? '';
  const scopes = ['webhooks:read', 'webhooks:write', 'events:read'];
  const webhooks = service.webhooks(await service.issueKey({ scopes, typePatterns: ['b'] }));
  for (const call of [
    () => webhooks.retrieveReplay({ id }),
    () => webhooks.pauseReplay({ id }),
    () => webhooks.cancelReplay({ id }),
  ]) {
    expect(await refusalOf(call())).toMatchObject({ code: 'NotFound', reason: 'REPLAY_NOT_FOUND' });
  }
  for (const call of [
    () => webhooks.createReplay({ endpointId }),
    () => webhooks.retryDeliveries({ endpointId }),
    () => webhooks.listReplays({ endpointId }),
  ]) {
    expect(await refusalOf(call())).toMatchObject({ reason: 'WEBHOOK_ENDPOINT_NOT_FOUND' });
  }
  const blind = service.webhooks(await service.issueKey({ scopes: scopes.slice(0, 2) }));
  for (const call of [
    () => blind.createReplay({ endpointId }),
    () => blind.retryDeliveries({ endpointId }),
  ]) {
    expect(await refusalOf(call())).toMatchObject({
      reason: 'SCOPE_MISSING',
      metadata: { scope: 'events:read' },
    });
  }
});
