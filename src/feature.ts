import type { DescService } from '@bufbuild/protobuf';
import type { ConnectRouter, ServiceImpl } from '@connectrpc/connect';
import type { Database } from './database/database.ts';
import type { Gauge } from './gauge.ts';
import type { Log } from './log.ts';
import type { LoopTurns } from './loop-turns.ts';
import type { MemoryRoom } from './memory-room.ts';
import type { Observer } from './observer.ts';
import type { StreamRoute } from './stream-route.ts';

/** What a feature adds to the service. It is made by a function of its own; `app.ts` only joins features. */
export interface Feature {
  readonly rpcs: readonly Rpcs[];
  /** The streaming RPCs of its services, which those leave out. */
  readonly streams?: readonly StreamRoute[];
  readonly loops: readonly Loop[];
  /** What it shows of itself. */
  readonly gauges?: readonly Gauge[];
  /** A stop begins: ends what would go on for ever, such as streams. */
  endStreams?(): void;
  /** No call is in flight any more: resolves when all that was accepted has been carried out. */
  drained?(): Promise<void>;
  /** Its loops have ended: writes what is only in memory, and gives up its connections. Never fails. */
  close?(): Promise<void>;
}

/** What every feature is made with. */
export interface FeatureDeps {
  readonly database: Pick<Database, 'orm' | 'statements' | 'inTransaction' | 'change' | 'connect'>;
  readonly log: Log;
  /** Makes the reporter of work that no call waits for; the name says what was being done. */
  readonly report: (work: string) => (error: unknown) => void;
  /** In which calls begin and are answered. */
  readonly turns: LoopTurns;
  /** Is told of what the feature does. */
  readonly observer: Observer;
  /** What it may hold in memory. */
  readonly room: MemoryRoom;
}

/** Work in the background: `round` again and again, `intervalMs` after the one before has ended. */
export interface Loop {
  /** What it does, for the report of a round that failed. */
  readonly name: string;
  readonly intervalMs: number;
  /** Bounded; it may end early when its signal aborts. */
  readonly round: (signal: AbortSignal) => Promise<void>;
}

/** A service of the contract, and who answers its RPCs. */
export interface Rpcs {
  readonly service: DescService;
  addTo(router: ConnectRouter): void;
}

/** An RPC without a handler is answered with UNIMPLEMENTED. */
export function serve<S extends DescService>(service: S, handlers: Partial<ServiceImpl<S>>): Rpcs {
  return { service, addTo: (router) => void router.service(service, handlers) };
}
