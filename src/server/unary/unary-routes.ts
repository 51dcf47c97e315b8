import type { DescMessage, DescMethod, Message, MessageInitShape } from '@bufbuild/protobuf';
import type { ConnectRouter, ConnectRouterOptions, HandlerContext } from '@connectrpc/connect';
import type { Routes } from '../rpc/router.ts';

/** Answers a request that was checked, as a service implements it. */
export type Implementation = (
  request: Message,
  context: HandlerContext,
) => MessageInitShape<DescMessage> | Promise<MessageInitShape<DescMessage>>;

/** A unary RPC as its service brings it to Connect. */
export interface UnaryRoute {
  readonly method: DescMethod;
  readonly implementation: Implementation;
  /** Those of its service, where they are not those of every RPC. */
  readonly options: Partial<ConnectRouterOptions>;
}

/**
 * The unary RPCs that somebody answers; read off the routes, which are written for a router of Connect. A service that
 * brings interceptors is left to Connect, which calls them.
 */
export function readUnaryRoutes(routes: Routes): readonly UnaryRoute[] {
  const found: UnaryRoute[] = [];
  const router: ConnectRouter = {
    handlers: [],
    service(service, implementation, options = {}) {
      if (options.interceptors !== undefined) return router;
      for (const method of service.methods) {
        const implemented = (implementation as Record<string, unknown>)[method.localName];
        if (typeof implemented !== 'function' || method.methodKind !== 'unary') continue;
        found.push({ method, implementation: implemented.bind(implementation), options });
      }
      return router;
    },
    rpc(method, implementation, options = {}) {
      if (method.methodKind === 'unary' && options.interceptors === undefined) {
        found.push({ method, implementation: implementation as Implementation, options });
      }
      return router;
    },
  };
  routes(router);
  return found;
}
