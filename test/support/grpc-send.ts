import { connect } from 'node:http2';

/** The answer to a call of gRPC, as it stood in headers and trailers. */
export interface GrpcAnswer {
  readonly httpStatus: number;
  /** `grpc-status`: '0' is OK. */
  readonly status: string | undefined;
  readonly headers: Record<string, unknown>;
  readonly body: Buffer;
}

/**
 * A call of gRPC with a body of the caller's own making, on a connection of its own. Resolves when the
 * service has ended the call, whether it has read all of the body or not.
 */
export function sendGrpc(
  service: { baseUrl: string; secretKey: string },
  path: string,
  body: readonly Uint8Array[],
  fields: Record<string, string> = {},
): Promise<GrpcAnswer> {
  return new Promise((resolve, reject) => {
    const session = connect(service.baseUrl);
    session.on('error', reject);
    const call = session.request({
      ':method': 'POST',
      ':path': path,
      'content-type': 'application/grpc+proto',
      te: 'trailers',
      ...(service.secretKey !== '' && { authorization: `Bearer ${service.secretKey}` }),
      ...fields,
    });
    const headers: Record<string, unknown> = {};
    const chunks: Buffer[] = [];
    call.on('response', (received) => void Object.assign(headers, received));
    call.on('trailers', (received) => void Object.assign(headers, received));
    call.on('data', (chunk: Buffer) => chunks.push(chunk));
    // A reset after the answer is the end of the call; without an answer the status is missing.
    call.on('error', () => undefined);
    call.on('close', () => {
      session.destroy();
      resolve({
        httpStatus: Number(headers[':status'] ?? 0),
        status: headers['grpc-status'] as string | undefined,
        headers,
        body: Buffer.concat(chunks),
      });
    });
    for (const chunk of body) call.write(chunk);
    call.end();
  });
}
