/** A protocol and codec, over HTTP/2. */
export type Wire = 'connect json' | 'grpc';

/** The calls of a job: one RPC again and again. */
export type LoadCalls = {
  readonly secretKey: string;
  readonly wire: Wire;
} & (
  | { readonly rpc: 'CreateEvent'; readonly workspaceIds: readonly string[] }
  | {
      readonly rpc: 'BatchCreateEvents';
      readonly workspaceIds: readonly string[];
      readonly batchEvents: number;
    }
  | { readonly rpc: 'ListEvents'; readonly workspaceId: string; readonly pageSize: number }
  | { readonly rpc: 'RetrieveEvent'; readonly eventIds: readonly string[] }
);

/** What a load process is asked to do, until a time or a count is reached. */
export type LoadJob = LoadCalls & {
  readonly port: number;
  readonly inFlight: number;
  readonly sessions: number;
  readonly msMax: number;
  readonly callsMax: number;
  /** A call that is refused as OVERLOADED is none that has failed: it is sent again. */
  readonly mayBeRefused?: boolean;
};

export interface LoadResult {
  /** All calls, also those that were refused, and those that were answered after the time was up. */
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
