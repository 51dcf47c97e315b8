/** A protocol and codec, over HTTP/2. */
export type Wire = 'connect json' | 'grpc';

/** What a load process is asked to do: one RPC again and again, until a time or a count is reached. */
export type LoadJob = {
  readonly port: number;
  readonly secretKey: string;
  readonly wire: Wire;
  readonly inFlight: number;
  readonly sessions: number;
  readonly msMax: number;
  readonly callsMax: number;
} & (
  | { readonly rpc: 'CreateEvent'; readonly workspaceIds: readonly string[] }
  | {
      readonly rpc: 'BatchCreateEvents';
      readonly workspaceIds: readonly string[];
      readonly batchEvents: number;
    }
  | { readonly rpc: 'RetrieveEvent'; readonly eventIds: readonly string[] }
);

export interface LoadResult {
  /** All calls, also those that were answered after the time was up. None has failed. */
  readonly answered: number;
  /** Of the calls that were answered in time. */
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** CPU time of the load process. */
  readonly cpuMs: number;
}

/** What a load process sends back. */
export type LoadReply = { readonly result: LoadResult } | { readonly failure: string };
