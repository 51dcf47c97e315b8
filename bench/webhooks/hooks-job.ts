import type { Percentiles } from '../log/stream-job.ts';

/** What a process beside the service is asked to do. */
export type HooksJob =
  /** Listens for webhooks from now on, and answers 204. */
  | { readonly kind: 'listen' }
  /** Waits until so many webhooks have come since it listens. */
  | { readonly kind: 'await'; readonly count: number }
  /** Keeps 64 creates in flight over as many HTTP/1.1 connections. */
  | { readonly kind: 'create'; readonly target: CreateTarget; readonly ms: number }
  /** Creates at an even rate, and times each from its answer to its webhook; listens itself. */
  | {
      readonly kind: 'latency';
      readonly target: CreateTarget;
      readonly perSecond: number;
      readonly events: number;
    };

export interface CreateTarget {
  readonly port: number;
  readonly secretKey: string;
  readonly workspaceId: string;
}

export type HooksResult =
  | { readonly kind: 'listen'; readonly port: number }
  | { readonly kind: 'await' }
  /** Of the calls that were answered in time, and how many there were in all. */
  | { readonly kind: 'create'; readonly perSecond: number; readonly answered: number }
  | ({ readonly kind: 'latency' } & Percentiles);

export type HooksReply = { readonly result: HooksResult } | { readonly failure: string };
