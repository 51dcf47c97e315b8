import { type Client, createClient } from '@connectrpc/connect';
import { WebhooksService } from '../../gen/typescript/harbor/webhooks/v1/webhooks_service_pb.ts';
import { createWorkspaceStore } from '../../src/workspaces/index.ts';
import { createEventsClient, createTransport } from '../../test/support/clients.ts';
import { readCpuMs, readPostgresCpuMs } from '../process-facts.ts';
import type { ServerProcess } from '../server-process.ts';
import type { Stage } from '../stage.ts';
import { newEvent } from '../workload.ts';
import type { CreateTarget } from './hooks-job.ts';

/** What every endpoint of the bench may have on its way at once. */
export const maxInFlight = 100;
const batchEvents = 500;

/** The service under test, and what it is asked for around the measures. */
export interface Place {
  readonly server: ServerProcess;
  readonly webhooks: Client<typeof WebhooksService>;
  target(workspaceId: string): CreateTarget;
  addWorkspace(): Promise<string>;
  addEndpoints(workspaceId: string, port: number, count: number): Promise<string[]>;
  deleteEndpoints(ids: readonly string[]): Promise<void>;
  createEvents(workspaceId: string, count: number): Promise<void>;
  /** CPU time so far in milliseconds, of the service and of all of PostgreSQL; undefined where it cannot be told. */
  readCpuMs(): { readonly service: number | undefined; readonly postgres: number | undefined };
}

export async function openPlace(stage: Stage): Promise<Place> {
  const server = await stage.freshServer('service');
  const { secretKey } = stage;
  const baseUrl = `http://127.0.0.1:${server.port}`;
  const webhooks = createClient(WebhooksService, createTransport('grpc', baseUrl, secretKey));
  const events = createEventsClient({ baseUrl, secretKey });
  const workspaces = createWorkspaceStore(stage.database);
  const postgresPid = await readPostgresPid(stage);
  let made = 0;
  return {
    server,
    webhooks,
    target: (workspaceId) => ({ port: server.port, secretKey, workspaceId }),

    async addWorkspace() {
      const id = `ws_hooks${process.pid}x${made++}`;
      await workspaces.create(id, '');
      return id;
    },

    async addEndpoints(workspaceId, port, count) {
      const url = `http://127.0.0.1:${port}/hooks`;
      const ids: string[] = [];
      for (let n = 0; n < count; n++) {
        const { endpoint } = await webhooks.createWebhookEndpoint({
          workspaceId,
          url,
          maxInFlight,
        });
        ids.push(endpoint?.id ?? '');
      }
      return ids;
    },

    async deleteEndpoints(ids) {
      for (const id of ids) await webhooks.deleteWebhookEndpoint({ id });
    },

    async createEvents(workspaceId, count) {
      for (let created = 0; created < count; created += batchEvents) {
        const length = Math.min(batchEvents, count - created);
        const requests = Array.from({ length }, () => ({ ...newEvent, workspaceId }));
        await events.batchCreateEvents({ requests });
      }
    },

    readCpuMs: () => ({ service: readCpuMs(server.pid), postgres: readPostgresCpuMs(postgresPid) }),
  };
}

async function readPostgresPid({ database }: Stage): Promise<number> {
  const [row] = await database.statements.run<{ pid: number }>(
    {
      name: 'bench_postmaster_pid',
      text: `select split_part(pg_read_file('postmaster.pid'), chr(10), 1)::int as pid`,
    },
    [],
    10_000,
  );
  return row?.pid ?? Number.NaN;
}
