import { randomBytes } from 'node:crypto';
import { expect } from 'vitest';
import { type Database, openDatabase } from '../../src/database/database.ts';
import type { Statement } from '../../src/database/statements.ts';
import type { Transaction } from '../../src/database/transaction.ts';
import { createCommitNews } from '../../src/events/commit-news.ts';
import { type NewEvent, prepareEvent } from '../../src/events/event.ts';
import {
  createAppendQueue,
  createEventLogStore,
  createEventStore,
  type Event,
} from '../../src/events/index.ts';
import { unobserved } from '../../src/observer.ts';
import { type Periodic, startPeriodic } from '../../src/periodic.ts';
import { idOf, newUuid } from '../../src/type-id.ts';
import { createCourier } from '../../src/webhooks/delivery/courier.ts';
import { createDeliveryLog } from '../../src/webhooks/delivery/delivery-log.ts';
import { createDeliveryStore } from '../../src/webhooks/delivery/delivery-store.ts';
import { createDirectory } from '../../src/webhooks/delivery/directory.ts';
import { createDirectoryStore } from '../../src/webhooks/delivery/directory-store.ts';
import { createDeliveryEngine, type DeliveryEngine } from '../../src/webhooks/delivery/engine.ts';
import { createEventBodies } from '../../src/webhooks/delivery/event-body.ts';
import { createFailedStore } from '../../src/webhooks/delivery/failed-store.ts';
import type { SetBackLog } from '../../src/webhooks/delivery/lookout.ts';
import type { OccupancyLimits } from '../../src/webhooks/delivery/occupancy.ts';
import type { Pace } from '../../src/webhooks/delivery/pace.ts';
import { type DeliverySchedule, usualSchedule } from '../../src/webhooks/delivery/schedule.ts';
import { createTellingStore } from '../../src/webhooks/delivery/telling-store.ts';
import { createAddressPolicy } from '../../src/webhooks/egress/address-policy.ts';
import { createDial } from '../../src/webhooks/egress/dial.ts';
import { createHttpClient } from '../../src/webhooks/egress/http-client.ts';
import { createEndpointStore } from '../../src/webhooks/endpoints/endpoint-store.ts';
import { createChangeEndpoint } from '../../src/webhooks/endpoints/held-endpoint-store.ts';
import { toDeliveryId } from '../../src/webhooks/log/delivery-id.ts';
import {
  createDeliveryLogStore,
  type DeliveryState,
} from '../../src/webhooks/log/delivery-log-store.ts';
import { createLossStore } from '../../src/webhooks/losses/loss-store.ts';
import { createLosses, type Losses } from '../../src/webhooks/losses/losses.ts';
import { createCountMatching } from '../../src/webhooks/replays/matching-store.ts';
import { createReplayStore } from '../../src/webhooks/replays/replay-store.ts';
import { createEncryption } from '../../src/webhooks/signing/encryption.ts';
import { secretPlace } from '../../src/webhooks/signing/places.ts';
import { createHeadersFor } from '../../src/webhooks/signing/request-headers.ts';
import { newWebhookSecret } from '../../src/webhooks/signing/sign.ts';
import { createTestDatabase, type TestDatabase } from './test-database.ts';

const key = randomBytes(32);
const encryption = createEncryption([key]);

/** The schedule of tests: what takes minutes otherwise takes a part of a second. */
export const quickSchedule: DeliverySchedule = {
  ...usualSchedule,
  retryAfterMs: [100, 100, 100],
  leaseMs: 2_000,
  circuitAfterMs: 300,
  circuitWaitMs: { first: 300, most: 1_200 },
};

export interface EndpointOptions {
  readonly workspaceId?: string;
  readonly url: string;
  readonly typePatterns?: readonly string[];
  readonly subject?: string;
  readonly maxInFlight?: number;
  readonly maxPerSecond?: number;
  readonly timeoutMs?: number;
  readonly ordering?: 'none' | 'workspace' | 'subject';
}

export interface ReplayOptions {
  readonly after?: number;
  readonly end: number;
  readonly typePatterns?: readonly string[];
  readonly onlyFailed?: boolean;
  readonly maxPerSecond?: number;
}

/** One process that delivers, or what is left of it. */
export interface Sender {
  readonly engine: DeliveryEngine;
  /** A create in the same process. */
  create(event: Omit<NewEvent, 'idempotencyKey'>): Promise<Event>;
  /** What it tells of losses; nobody calls it but the test. */
  readonly losses: Losses;
  /** Logs that it has found shorter than they were. */
  readonly setBacks: readonly SetBackLog[];
  /** Statements that it has sent so far. */
  readonly statements: { readonly name: string }[];
  /** The status codes that it was answered with so far, undefined where there was no answer. */
  readonly answers: (number | undefined)[];
  /** Errors that it has reported. */
  readonly errors: unknown[];
  /** As SIGSTOP does, for its database: what it asks waits until `thaw`. */
  freeze(): void;
  thaw(): void;
  /** Its next statement of a name, also one within a transaction, or `transaction`, waits. */
  hold(name: string): Held;
  /** Its next statement of a name has seen what there is, and waits before it locks anything; it reads `$2::uuid[]` for that. */
  holdSeen(name: string): Promise<Held>;
  /** The answer of its next statement of a name, or `transaction`, waits, and is lost: what it asked for is done. */
  lose(name: string): Held;
  /** As kill -9 does: nothing of it goes on. */
  kill(): Promise<void>;
  /** As SIGTERM does. */
  stop(): Promise<void>;
}

/** Takes UUIDs. */
export interface Operator {
  pause(endpointId: string): Promise<void>;
  resume(endpointId: string, options?: { readonly fromNow: boolean }): Promise<void>;
  delete(endpointId: string): Promise<void>;
  pauseReplay(endpointId: string, replayId: string): Promise<void>;
  resumeReplay(endpointId: string, replayId: string): Promise<void>;
  cancelReplay(endpointId: string, replayId: string): Promise<void>;
  /** The states of its deliveries, the oldest first. */
  deliveries(endpointId: string): Promise<DeliveryState[]>;
  /** Retries by hand what is the place `place` of a window. */
  retry(windowId: string, place: number): Promise<void>;
}

export interface Held {
  /** Resolves once it waits. */
  readonly reached: Promise<void>;
  release(): void;
}

export interface SenderOptions {
  readonly schedule?: Partial<DeliverySchedule>;
  /** Default: those that endpoints are made with. */
  readonly encryptionKeys?: readonly Buffer[];
  readonly limits?: OccupancyLimits;
  readonly pace?: Pace;
  readonly lookEveryMs?: number;
}

/** A database with endpoints, and processes that deliver to them. */
export interface DeliveryLab {
  readonly database: TestDatabase;
  addWorkspace(id: string): Promise<void>;
  /** Returns the endpoint's UUID, and that of its live cursor. */
  addEndpoint(options: EndpointOptions): Promise<string>;
  /** Returns the cursor's UUID. */
  addReplay(endpointId: string, options: ReplayOptions): Promise<string>;
  start(options?: SenderOptions): Promise<Sender>;
  /** Whoever changes endpoints and replays, in a process of their own. */
  operate(): Promise<Operator>;
  /** The first row of a query. */
  row<Row extends Record<string, unknown>>(text: string, values?: unknown[]): Promise<Row>;
  /** Waits until all of the log is delivered to an endpoint, or was given up. */
  settled(endpointId: string): Promise<void>;
  /** Fails when one of the processes has reported an error. */
  close(): Promise<void>;
}

export const labWorkspace = 'ws_lab';

export async function createDeliveryLab(): Promise<DeliveryLab> {
  const database = await createTestDatabase();
  const senders: Sender[] = [];
  const operators: (() => Promise<void>)[] = [];
  const { query } = database;

  async function addWorkspace(id: string): Promise<void> {
    await query(
      `insert into workspaces (id, display_name, created_at) values ($1, '', now())
       on conflict do nothing`,
      [id],
    );
  }

  await addWorkspace(labWorkspace);
  await query(`do $$ begin
    if not exists (select from pg_inherits where inhparent = 'webhook_attempts'::regclass) then
      create table webhook_attempts_all partition of webhook_attempts
        for values from (minvalue) to (maxvalue);
    end if; end $$`);

  const lab: DeliveryLab = {
    database,
    addWorkspace,

    async addEndpoint(options) {
      const [id, secretId] = [newUuid(), newUuid()];
      const workspaceId = options.workspaceId ?? labWorkspace;
      await query(
        `insert into webhook_secrets (id, workspace_id, endpoint_id, ciphertext, created_at)
         values ($1, $2, $3, $4, now())`,
        [secretId, workspaceId, id, encryption.encrypt(newWebhookSecret(), secretPlace(secretId))],
      );
      await query('insert into webhook_states (endpoint_id, workspace_id) values ($1, $2)', [
        id,
        workspaceId,
      ]);
      await query(
        `insert into webhook_cursors (id, workspace_id, endpoint_id, kind, state, position, first_sequence,
           type_patterns, created_at) values ($1, $2, $1, 'live', 'running', 0, 1, '{}', now())`,
        [id, workspaceId],
      );
      // Last, as processes read all of it when they see the endpoint.
      await query(
        `insert into webhook_endpoints (id, workspace_id, url, description, type_patterns, subject, header_names,
           max_in_flight, max_per_second, timeout_ms, ordering, status, status_changed_at, created_at, updated_at)
         values ($1, $2, $3, '', $4, $5, '{}', $6, $7, $8, $9, 'enabled', now(), now(), now())`,
        [
          id,
          workspaceId,
          options.url,
          options.typePatterns ?? [],
          options.subject,
          options.maxInFlight ?? 10,
          options.maxPerSecond,
          options.timeoutMs ?? 15_000,
          options.ordering ?? 'none',
        ],
      );
      return id;
    },

    async addReplay(endpointId, options) {
      const id = newUuid();
      await query(
        `insert into webhook_cursors (id, workspace_id, endpoint_id, kind, state, position, first_sequence,
           end_sequence, type_patterns, only_failed, max_per_second, created_at)
         select $1, workspace_id, id, 'replay', 'running', $3::bigint, $3::bigint + 1, $4, $5, $6, $7, now()
         from webhook_endpoints where id = $2`,
        [
          id,
          endpointId,
          options.after ?? 0,
          options.end,
          options.typePatterns ?? [],
          options.onlyFailed ?? false,
          options.maxPerSecond,
        ],
      );
      await query('update webhook_endpoints set touched_at = clock_timestamp() where id = $1', [
        endpointId,
      ]);
      return id;
    },

    async start(options = {}) {
      const sender = await startSender(database, options);
      senders.push(sender);
      return sender;
    },

    async operate() {
      const operated = await startOperator(database);
      operators.push(operated.close);
      return operated.operator;
    },

    async row(text, values) {
      const [row] = await query(text, values);
      return row as never;
    },

    async settled(endpointId) {
      const left = () =>
        lab.row(
          `select in_flight,
             (select count(*)::int from webhook_windows where endpoint_id = $1) as windows,
             (select count(*)::int from webhook_work where endpoint_id = $1) as work,
             (select sum(unfinished)::int from webhook_cursors where endpoint_id = $1) as unfinished,
             (select count(*)::int from webhook_cursors cursors
               join workspaces on workspaces.id = cursors.workspace_id
               where endpoint_id = $1 and state = 'running' and position < least(end_sequence, last_sequence)) as behind
           from webhook_states where endpoint_id = $1`,
          [endpointId],
        );
      await expect
        .poll(left, { timeout: 20_000, interval: 50 })
        .toEqual({ in_flight: 0, windows: 0, work: 0, unfinished: 0, behind: 0 });
    },

    async close() {
      const errors = senders.flatMap((sender) => sender.errors);
      await Promise.all(senders.map((sender) => sender.kill()));
      await Promise.all(operators.map((end) => end()));
      await database.drop();
      expect(errors).toEqual([]);
    },
  };
  return lab;
}

async function startSender(
  testDatabase: TestDatabase,
  { schedule: changes, encryptionKeys = [key], limits, pace, lookEveryMs = 50 }: SenderOptions,
): Promise<Sender> {
  const database = await openDatabase({
    url: testDatabase.url,
    poolSize: 6,
    applicationName: 'harbor-test-sender',
    onNotice: () => undefined,
  });
  const schedule = { ...quickSchedule, ...changes };
  const answers: (number | undefined)[] = [];
  const errors: unknown[] = [];
  const gate = createGate(database);
  const client = createHttpClient(
    createDial({
      policy: createAddressPolicy({ allowCidrs: ['127.0.0.0/8'], denyCidrs: [] }),
      resolve: async () => [{ address: '127.0.0.1', family: 4 }],
      connectTimeoutMs: 1_000,
      authorities: [],
    }),
  );
  const commits = createCommitNews((error) => errors.push(error));
  const onTold = (event: Event) => commits.tell(event.workspaceId, event.sequence, 'here', [event]);
  const queue = createAppendQueue(createEventStore(gate.statements), {
    onCommitted: (id, lastSequence, events) => commits.tell(id, lastSequence, 'here', events),
  });
  const setBacks: SetBackLog[] = [];
  const losses = createLosses({
    store: createLossStore(gate),
    logs: createEventLogStore(gate.statements),
    countMatching: createCountMatching(gate.statements),
    onTold,
    onError: (error) => errors.push(error),
  });
  const engine = createDeliveryEngine({
    observer: unobserved,
    store: createDeliveryStore(gate, schedule),
    directory: createDirectory(createDirectoryStore(gate.statements)),
    log: createDeliveryLog({
      logs: createEventLogStore(gate.statements),
      events: createEventStore(gate.statements),
      failed: createFailedStore(gate.statements),
    }),
    courier: createCourier({
      post: async (request) => {
        const response = await client.post(request);
        await gate.open();
        answers.push(response.kind === 'answered' ? response.status : undefined);
        return response;
      },
      headersFor: createHeadersFor(createEncryption(encryptionKeys), () => undefined),
      bodyOf: createEventBodies(),
      deliveryId: toDeliveryId,
      schedule,
    }),
    telling: createTellingStore(gate.inTransaction, schedule),
    skipLost: losses.skip,
    onSetBack: (log) => void setBacks.push(log),
    schedule,
    newUuid,
    onTold,
    report: () => (error) => void errors.push(error),
    ...(limits !== undefined && { limits }),
    ...(pace !== undefined && { pace }),
  });
  commits.listen(engine.wake);
  const onError = (error: unknown) => void errors.push(error);
  const loops: Periodic[] = [
    startPeriodic({ intervalMs: lookEveryMs, round: (signal) => engine.look(signal), onError }),
    startPeriodic({ intervalMs: schedule.leaseMs / 4, round: () => engine.renew(), onError }),
  ];
  let ended: Promise<void> | undefined;
  return {
    engine,
    async create(event) {
      const prepared = prepareEvent({ ...event, idempotencyKey: undefined });
      return (await queue.append(prepared)).event;
    },
    losses,
    setBacks,
    statements: gate.sent,
    answers,
    errors,
    freeze: gate.freeze,
    thaw: gate.thaw,
    hold: gate.hold,
    holdSeen: (name) => holdSeen(testDatabase, name, gate),
    lose: gate.lose,
    kill() {
      ended ??= (async () => {
        gate.freeze();
        for (const loop of loops) void loop.stop();
        await client.close();
      })();
      return ended;
    },
    stop() {
      ended ??= (async () => {
        await Promise.all(loops.map((loop) => loop.stop()));
        await engine.stop(500);
        await client.close();
        await database.close();
      })();
      return ended;
    },
  };
}

async function startOperator(testDatabase: TestDatabase) {
  const database = await openDatabase({
    url: testDatabase.url,
    poolSize: 2,
    applicationName: 'harbor-test-operator',
    onNotice: () => undefined,
  });
  const onTouched = () => undefined;
  const change = createChangeEndpoint(database, onTouched);
  const endpoints = createEndpointStore({ database, change, encryption, onTouched });
  const replays = createReplayStore(database, change);
  const log = createDeliveryLogStore(database.statements);
  const ofReplay = (endpointId: string, replayId: string) => ({
    endpointId: idOf('whe', endpointId),
    id: idOf('rpl', replayId),
  });
  const operator: Operator = {
    pause: (id) => endpoints.pause(idOf('whe', id)),
    resume: (id, options = { fromNow: false }) => endpoints.resume(idOf('whe', id), options),
    delete: (id) => endpoints.delete(idOf('whe', id)),
    pauseReplay: (...ids) => replays.pause(ofReplay(...ids)),
    resumeReplay: (...ids) => replays.resume(ofReplay(...ids)),
    cancelReplay: (...ids) => replays.cancel(ofReplay(...ids)),
    retry: (windowId, place) => log.retry({ windowId, place }),
    async deliveries(endpointId) {
      const { deliveries } = await log.list({
        endpointId: idOf('whe', endpointId),
        workspaceId: labWorkspace,
        eventId: undefined,
        state: undefined,
        before: undefined,
        limit: 1_000,
      });
      return deliveries.map(({ state }) => state).toReversed();
    },
  };
  return { operator, close: database.close };
}

/** A database whose users can be frozen. */
function createGate(database: Database) {
  const sent: { name: string }[] = [];
  let frozen: PromiseWithResolvers<void> | undefined;
  const [held, lost] = [createHolds(), createHolds()];
  const seen = new Set<string>();
  const open = async () => {
    while (frozen !== undefined) await frozen.promise;
  };
  const ask = async <Answer>(name: string, work: () => Promise<Answer>): Promise<Answer> => {
    await open();
    const [hold, loss] = [held.take(name), lost.take(name)];
    await hold?.();
    sent.push({ name });
    const answer = await work();
    if (loss === undefined) return answer;
    await loss();
    throw new Error(`the answer of ${name} was lost`);
  };
  return {
    sent,
    open,
    freeze() {
      frozen ??= Promise.withResolvers<void>();
    },
    thaw() {
      frozen?.resolve();
      frozen = undefined;
    },
    hold: held.hold,
    seen,
    lose: lost.hold,
    statements: {
      clock: database.clock,
      run: <Row>(statement: Statement, values: unknown[], timeoutMs: number): Promise<Row[]> => {
        const asked = seen.delete(statement.name) ? waitingFor(statement) : statement;
        return ask(statement.name, () => database.statements.run<Row>(asked, values, timeoutMs));
      },
    },
    inTransaction: ((work, timeoutMs) => {
      const inTurn = (tx: Transaction) =>
        work({
          ...tx,
          run: async <Row>(statement: Statement, values: unknown[]) => {
            await held.take(statement.name)?.();
            return tx.run<Row>(statement, values);
          },
        });
      return ask('transaction', () => database.inTransaction(inTurn, timeoutMs));
    }) as Database['inTransaction'],
  };
}

/** The lock that a statement waits for once it has its snapshot. */
const seenLock = 4_711;

function waitingFor({ name, text }: Statement): Statement {
  const lock = `pg_advisory_xact_lock_shared(${seenLock})`;
  return {
    name: `${name}_seen`,
    text: text.replaceAll('$2::uuid[]', `(select $2::uuid[] from ${lock})::uuid[]`),
  };
}

async function holdSeen(
  { connect, query }: TestDatabase,
  name: string,
  { seen }: { readonly seen: Set<string> },
): Promise<Held> {
  const client = await connect();
  await client.query('select pg_advisory_lock($1)', [seenLock]);
  seen.add(name);
  const waiting = `select from pg_locks join pg_database on pg_database.oid = pg_locks.database
    where locktype = 'advisory' and objid = $1 and not granted and datname = current_database()`;
  const waits = async () => (await query(waiting, [seenLock])).length;
  return {
    reached: expect.poll(waits).toBe(1),
    release: () => void client.end(),
  };
}

/** What is to wait, by its name, once each. */
function createHolds() {
  const holds = new Map<string, () => Promise<void>>();
  return {
    hold(name: string): Held {
      const [reached, released] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
      holds.set(name, () => {
        reached.resolve();
        return released.promise;
      });
      return { reached: reached.promise, release: released.resolve };
    },
    /** What whoever comes next under a name has to wait for. */
    take(name: string): (() => Promise<void>) | undefined {
      const hold = holds.get(name);
      holds.delete(name);
      return hold;
    },
  };
}
