import type { DescService } from '@bufbuild/protobuf';
import type { ConnectRouter } from '@connectrpc/connect';
import type { Feature } from './feature.ts';
import type { Gauge } from './gauge.ts';
import { type Periodic, startPeriodic } from './periodic.ts';
import type { StreamRoute } from './stream-route.ts';

/** Features as one: what the server serves, and what begins and ends with it. */
export interface JoinedFeatures {
  readonly services: readonly DescService[];
  readonly streams: readonly StreamRoute[];
  readonly gauges: readonly Gauge[];
  addRoutes(router: ConnectRouter): void;
  startLoops(): void;
  endStreams(): void;
  drained(): Promise<void>;
  /** Ends the loops, and then every feature. */
  close(): Promise<void>;
}

/** @param report makes the reporter of what fails in the background; one feature's failure ends no other. */
export function joinFeatures(
  features: readonly Feature[],
  report: (work: string) => (error: unknown) => void,
): JoinedFeatures {
  const rpcs = features.flatMap((feature) => feature.rpcs);
  let running: Periodic[] = [];
  return {
    services: rpcs.map(({ service }) => service),
    streams: features.flatMap(({ streams = [] }) => streams),
    gauges: features.flatMap(({ gauges = [] }) => gauges),
    addRoutes(router) {
      for (const { addTo } of rpcs) addTo(router);
    },
    startLoops() {
      running = features
        .flatMap(({ loops }) => loops)
        .map(({ name, ...loop }) => startPeriodic({ ...loop, onError: report(name) }));
    },
    endStreams() {
      for (const feature of features) feature.endStreams?.();
    },
    async drained() {
      await Promise.all(features.map((feature) => feature.drained?.()));
    },
    async close() {
      await Promise.all(running.map((loop) => loop.stop()));
      await Promise.all(features.map((feature) => feature.close?.().catch(report('stop'))));
    },
  };
}
