import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { createClient } from '@connectrpc/connect';
import { Agent, fetch, type RequestInit } from 'undici';
import { EventsService } from '../../gen/typescript/harbor/events/v1/events_service_pb.ts';
import { createTransport, type Wire } from '../support/clients.ts';
import type { RunningProxy } from './proxy.ts';

const ca = readFileSync(resolve(import.meta.dirname, '../support/tls/cert.pem'), 'utf8');

/** How a service is reached by way of a proxy. */
export interface Way {
  readonly proxy: RunningProxy;
  readonly secretKey: string;
}

export const transportOf = ({ proxy: { baseUrl }, secretKey }: Way, wire: Wire) =>
  createTransport(wire, baseUrl, secretKey, ca);

export const clientOf = (way: Way, wire: Wire) =>
  createClient(EventsService, transportOf(way, wire));

/** REST, over HTTP/1.1 and over HTTP/2. */
const restVersions = { 'REST over HTTP/1.1': false, 'REST over HTTP/2': true } as const;
export type Rest = keyof typeof restVersions;
export const rests = Object.keys(restVersions) as Rest[];

export interface RestCaller extends AsyncDisposable {
  call(path: string, init?: RequestInit): ReturnType<typeof fetch>;
}

export function restOf({ proxy: { baseUrl }, secretKey }: Way, rest: Rest): RestCaller {
  const dispatcher = new Agent({ connect: { ca }, allowH2: restVersions[rest] });
  const headers = {
    authorization: `Bearer ${secretKey}`,
    'content-type': 'application/json',
  };
  return {
    call: (path, init) =>
      fetch(`${baseUrl}${path}`, {
        dispatcher,
        ...init,
        headers: { ...headers, ...(init?.headers as Record<string, string>) },
      }),
    [Symbol.asyncDispose]: () => dispatcher.destroy(),
  };
}
