import prometheus from 'prom-client';
import type { ObservedRpc, Protocol, Watcher } from '../observer.ts';
import { showTally, type Tally } from './tally.ts';

/** From a create that meets a batch on its way to the longest timeout of most clients. */
const bucketsSeconds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];
/** All that is no RPC, whatever its path. */
const noRpc: ObservedRpc = { name: 'none', isStream: false };

/** One RPC in one protocol. */
interface Spoken {
  readonly labels: { readonly method: string; readonly protocol: Protocol };
  readonly counts: Map<string, number>;
}

/** Calls, by the RPC that they were, how they were spoken, and how they ended. */
export function watchCalls(registry: prometheus.Registry): Watcher {
  const spoken = new Map<ObservedRpc, Map<Protocol, Spoken>>();

  function find(rpc: ObservedRpc, protocol: Protocol): Spoken {
    return spoken.get(rpc)?.get(protocol) ?? begin(rpc, protocol);
  }

  function begin(rpc: ObservedRpc, protocol: Protocol): Spoken {
    const begun = { labels: { method: rpc.name, protocol }, counts: new Map() };
    const others = spoken.get(rpc) ?? new Map<Protocol, Spoken>();
    spoken.set(rpc, others.set(protocol, begun));
    return begun;
  }

  function* read(): Iterable<Tally> {
    for (const byProtocol of spoken.values()) {
      for (const { labels, counts } of byProtocol.values()) {
        for (const [code, count] of counts) yield { labels: { ...labels, code }, count };
      }
    }
  }

  showTally(registry, {
    name: 'harbor_rpc_calls_total',
    help: 'Calls that have ended; method "none" is what is no RPC: probes, preflights, unknown paths',
    labels: ['method', 'protocol', 'code'],
    read,
  });
  const refusals = new Map<string, number>();
  showTally(registry, {
    name: 'harbor_rpc_refusals_total',
    help: 'Calls that were refused or have failed, by the reason that the caller was told',
    labels: ['reason'],
    read: () => [...refusals].map(([reason, count]) => ({ labels: { reason }, count })),
  });
  const durations = new prometheus.Histogram({
    name: 'harbor_rpc_duration_seconds',
    help: 'Unary calls, from their headers until their answer was taken',
    labelNames: ['method', 'protocol'],
    buckets: bucketsSeconds,
    registers: [registry],
  });

  return {
    callEnded({ rpc = noRpc, protocol, code, reason, durationMs }) {
      const { labels, counts } = find(rpc, protocol);
      counts.set(code, (counts.get(code) ?? 0) + 1);
      if (reason !== undefined) refusals.set(reason, (refusals.get(reason) ?? 0) + 1);
      if (rpc !== noRpc && !rpc.isStream) durations.observe(labels, durationMs / 1_000);
    },
  };
}
