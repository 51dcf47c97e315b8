import { Code, ConnectError, type ConnectRouter } from '@connectrpc/connect';
import {
  Health as HealthService,
  HealthCheckResponse_ServingStatus as ServingStatus,
} from '../../gen/typescript/health/v1/health_pb.ts';

/** Whether this process takes calls; it says no from the first moment of a stop on. */
export interface Health {
  readonly serving: boolean;
  /** Aborts when the process begins to stop. */
  readonly stopping: AbortSignal;
  stop(): void;
}

export function createHealth(): Health {
  const controller = new AbortController();
  return {
    get serving() {
      return !controller.signal.aborted;
    },
    stopping: controller.signal,
    stop: () => controller.abort(),
  };
}

/** grpc.health.v1: `Check` and `Watch` for the process ("") and each of its services. */
export function addHealthService(
  router: ConnectRouter,
  health: Health,
  serviceNames: readonly string[],
): void {
  const known = new Set(['', HealthService.typeName, ...serviceNames]);
  const status = () => (health.serving ? ServingStatus.SERVING : ServingStatus.NOT_SERVING);
  router.service(HealthService, {
    check({ service }) {
      if (!known.has(service)) throw new ConnectError(`unknown service ${service}`, Code.NotFound);
      return { status: status() };
    },
    async *watch({ service }, { signal }) {
      if (!known.has(service)) yield { status: ServingStatus.SERVICE_UNKNOWN };
      else yield { status: status() };
      if (health.serving) await aborted(AbortSignal.any([signal, health.stopping]));
      if (!signal.aborted && known.has(service)) yield { status: status() };
    },
  });
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
