import { create, type DescService } from '@bufbuild/protobuf';
import { Code, ConnectError } from '@connectrpc/connect';
import {
  HealthCheckResponseSchema,
  Health as HealthService,
  HealthCheckResponse_ServingStatus as ServingStatus,
} from '../../../gen/typescript/health/v1/health_pb.ts';
import type { StreamRoute } from '../../stream-route.ts';
import type { StreamSource } from '../../stream-source.ts';
import type { Routes } from '../rpc/router.ts';
import type { Health } from './health.ts';

type WatchRoute = StreamRoute<
  typeof HealthService.method.watch.input,
  typeof HealthService.method.watch.output,
  ServingStatus
>;

/** grpc.health.v1: `Check` and `Watch` for the process ("") and each of its services. */
export function createHealthService(
  health: Health,
  services: readonly DescService[],
): { readonly routes: Routes; readonly watch: WatchRoute } {
  const known = new Set(['', HealthService.typeName, ...services.map(({ typeName }) => typeName)]);
  const statusOf = (service: string) => {
    if (!known.has(service)) return ServingStatus.SERVICE_UNKNOWN;
    return health.notServing === undefined ? ServingStatus.SERVING : ServingStatus.NOT_SERVING;
  };
  return {
    routes: (router) => {
      router.service(HealthService, {
        check({ service }) {
          if (!known.has(service)) {
            throw new ConnectError(`unknown service ${service}`, Code.NotFound);
          }
          return { status: statusOf(service) };
        },
      });
    },
    watch: {
      method: HealthService.method.watch,
      async open({ service }) {
        return watchStatus(health, () => statusOf(service));
      },
      createEncoder: (write) => (status) => write(create(HealthCheckResponseSchema, { status })),
    },
  };
}

/** The status now and each that follows; what a slow watcher has missed in between, it is not told. */
function watchStatus(health: Health, status: () => ServingStatus): StreamSource<ServingStatus> {
  const ended = new AbortController();
  let told: ServingStatus | undefined;
  return {
    async next() {
      for (;;) {
        ended.signal.throwIfAborted();
        const now = status();
        if (now !== told) {
          told = now;
          return [now];
        }
        if (health.stopping.aborted) return [];
        await health.changed(ended.signal);
      }
    },
    end: (reason) => ended.abort(reason),
    throwIfEnded: () => ended.signal.throwIfAborted(),
    closing: new DisposableStack(),
  };
}
