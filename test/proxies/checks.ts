import { deepStrictEqual, match, strictEqual } from 'node:assert/strict';
import { ConnectError, createClient } from '@connectrpc/connect';
import { ServerReflection } from '../../gen/typescript/grpc/reflection/v1/reflection_pb.ts';
import { type Wire, wires } from '../support/clients.ts';
import { refusalOf } from '../support/errors.ts';
import { subscribeTo } from '../support/subscriber.ts';
import { workspaceId } from './services.ts';
import { clientOf, type Rest, restOf, rests, transportOf, type Way } from './ways.ts';

/** Names what a check was about when it fails. */
async function about<T>(what: string, check: () => Promise<T>): Promise<T> {
  try {
    return await check();
  } catch (cause) {
    const why = cause instanceof ConnectError ? cause.message : (cause as Error).message;
    throw new Error(`${what}: ${why}`, { cause });
  }
}

/** Every protocol records and reads, and is told of an error with all that is known of it. */
export async function checkCalls(way: Way): Promise<void> {
  for (const wire of wires) {
    await about(wire, async () => {
      const client = clientOf(way, wire);
      const request = {
        workspaceId,
        type: 'proxied',
        payload: { wire },
        idempotencyKey: `${way.proxy.name} ${wire}`,
      };
      const { event } = await client.createEvent(request);
      deepStrictEqual(event?.payload, { wire });
      const { event: found } = await client.retrieveEvent({ id: event.id });
      strictEqual(found?.sequence, event.sequence);
      const refusal = await refusalOf(client.createEvent({ ...request, payload: { other: true } }));
      deepStrictEqual(
        [refusal.code, refusal.reason, refusal.metadata.event_id],
        ['AlreadyExists', 'IDEMPOTENCY_KEY_REUSED', event.id],
      );
    });
  }
  for (const rest of rests) {
    await about(rest, async () => {
      await using caller = restOf(way, rest);
      const body = JSON.stringify({
        workspace_id: workspaceId,
        type: 'proxied',
        payload: { rest },
      });
      const created = await caller.call('/v1/events', { method: 'POST', body });
      const { id } = (await created.json()) as { id: string };
      strictEqual((await caller.call(`/v1/events/${id}`)).status, 200);
      strictEqual((await caller.call('/v1/events/evt_00000000000000000000000000')).status, 404);
      strictEqual(
        (await caller.call('/v1/events', { headers: { authorization: '' } })).status,
        401,
      );
    });
  }
}

/** A stream in both directions: the second question is asked after the first answer. */
export async function checkReflection(way: Way): Promise<void> {
  const answered = Promise.withResolvers<void>();
  const question = { messageRequest: { case: 'listServices', value: '' } } as const;
  async function* ask() {
    yield question;
    await answered.promise;
    yield question;
  }
  await about('reflection by grpc', async () => {
    const reflection = createClient(ServerReflection, transportOf(way, 'grpc'));
    let answers = 0;
    for await (const { messageResponse } of reflection.serverReflectionInfo(ask())) {
      strictEqual(messageResponse.case, 'listServicesResponse');
      answers++;
      answered.resolve();
    }
    strictEqual(answers, 2);
  });
}

const batchSize = 31;
/** Of its event in JSON; 31 of them are nearly the 8 MiB that a batch may have. */
const largePayload = { text: 'x'.repeat(262_000) };

/** A batch that is nearly as large as one may be, and one that is larger than any may be. */
export async function checkBatches(way: Way): Promise<void> {
  const requests = Array.from({ length: batchSize }, (_, index) => ({
    workspaceId,
    type: 'proxied.batch',
    payload: { index, ...largePayload },
  }));
  for (const wire of ['grpc', 'grpc-web', 'connect json', 'connect json http/1.1'] as const) {
    await about(`a batch of 8 MiB by ${wire}`, async () => {
      const { results } = await clientOf(way, wire).batchCreateEvents({ requests });
      strictEqual(results.filter(({ result }) => result.case === 'created').length, batchSize);
    });
  }
  for (const rest of rests) {
    await about(`a batch that is too large, by JSON, as ${rest}`, async () => {
      await using caller = restOf(way, rest);
      const body = JSON.stringify({ requests: [...requests, ...requests.slice(0, 5)] });
      const path = '/harbor.events.v1.EventsService/BatchCreateEvents';
      const answer = await caller.call(path, { method: 'POST', body });
      // Of the proxy, or of the service.
      match(`${answer.status} ${await answer.text()}`, /^(413 |429 .*resource_exhausted)/s);
    });
  }
}

/** A stream that has nothing to say for longer than the proxy waits, and then something. */
interface QuietStream {
  readonly what: string;
  /** Resolves once it has said twice that it lives: 30 s, and the proxy waits for 20 s. */
  readonly quiet: Promise<unknown>;
  /** Resolves when an event of this type comes. */
  arrived(type: string): Promise<unknown>;
  leave(): Promise<void>;
}

async function openRpcStream(way: Way, wire: Wire): Promise<QuietStream> {
  const request = { workspaceId, typePatterns: [`quiet.${way.proxy.name}`] };
  const subscriber = subscribeTo(clientOf(way, wire), request);
  await subscriber.caughtUp();
  return {
    what: `a stream by ${wire}`,
    quiet: subscriber.until(
      (all) => all.filter(({ message }) => message.case === 'heartbeat').length >= 2,
    ),
    arrived: (type) =>
      subscriber.until((all) =>
        all.some(({ message }) => message.case === 'event' && message.value.type === type),
      ),
    leave: () => subscriber.leave(),
  };
}

async function openEventStream(way: Way, rest: Rest): Promise<QuietStream> {
  const caller = restOf(way, rest);
  const query = `workspace_id=${workspaceId}&type_patterns=quiet.${way.proxy.name}`;
  const left = new AbortController();
  const answer = await caller.call(`/v1/events/stream?${query}`, { signal: left.signal });
  strictEqual(answer.status, 200);
  match(answer.headers.get('content-type') ?? '', /^text\/event-stream/);
  let text = '';
  let came = Promise.withResolvers<void>();
  const reading = (async () => {
    const decoder = new TextDecoder();
    for await (const chunk of answer.body ?? []) {
      text += decoder.decode(chunk as Uint8Array, { stream: true });
      came.resolve();
      came = Promise.withResolvers();
    }
    throw new Error('the stream has ended');
  })();
  reading.catch(() => undefined);
  const until = async (isThere: () => boolean) => {
    while (!isThere()) await Promise.race([came.promise, reading]);
  };
  return {
    what: `Server-Sent Events by ${rest}`,
    quiet: until(() => text.split(': heartbeat').length > 2),
    arrived: (type) => until(() => text.includes(`"${type}"`)),
    async leave() {
      left.abort();
      await reading.catch(() => undefined);
      await caller[Symbol.asyncDispose]();
    },
  };
}

/** Streams of every protocol outlive the proxy's patience while nothing happens, and then have what happens at once. */
export async function checkStreams(way: Way): Promise<void> {
  const streams = await Promise.all([
    ...wires.map((wire) => about(`a stream by ${wire}`, () => openRpcStream(way, wire))),
    ...rests.map((rest) =>
      about(`Server-Sent Events by ${rest}`, () => openEventStream(way, rest)),
    ),
  ]);
  await Promise.all(
    streams.map(({ what, quiet }) => about(`${what} in silence`, async () => quiet)),
  );
  const type = `quiet.${way.proxy.name}`;
  await clientOf(way, 'grpc').createEvent({ workspaceId, type, payload: {} });
  await Promise.all(streams.map(({ what, arrived }) => about(what, () => arrived(type))));
  await Promise.all(streams.map(({ leave }) => leave()));
}
