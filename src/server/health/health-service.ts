import { Code, ConnectError, type ConnectRouter } from '@connectrpc/connect';
import {
  Health as HealthService,
  HealthCheckResponse_ServingStatus as ServingStatus,
} from '../../../gen/typescript/health/v1/health_pb.ts';
import type { Health } from './health.ts';

/** grpc.health.v1: `Check` and `Watch` for the process ("") and each of its services. */
export function addHealthService(
  router: ConnectRouter,
  health: Health,
  serviceNames: readonly string[],
): void {
  const known = new Set(['', HealthService.typeName, ...serviceNames]);
  const statusOf = (service: string) => {
    if (!known.has(service)) return ServingStatus.SERVICE_UNKNOWN;
    return health.notServing === undefined ? ServingStatus.SERVING : ServingStatus.NOT_SERVING;
  };
  router.service(HealthService, {
    check({ service }) {
      if (!known.has(service)) throw new ConnectError(`unknown service ${service}`, Code.NotFound);
      return { status: statusOf(service) };
    },

    /** The status now and each that follows; what a slow watcher has missed in between, it is not told. */
    async *watch({ service }, { signal }) {
      let told: ServingStatus | undefined;
      while (!signal.aborted) {
        const status = statusOf(service);
        if (status !== told) yield { status };
        told = status;
        if (health.stopping.aborted) return;
        if (statusOf(service) === told) await health.changed(signal);
      }
    },
  });
}
