import type { ClientHttp2Session } from 'node:http2';
import { connect } from 'node:net';
import { http2 } from '../builtins.ts';

/** HealthCheckResponse.ServingStatus SERVING (grpc.health.v1): field 1, varint, 1. */
const serving = Buffer.from([0x08, 0x01]);

/** Asks the standard gRPC health service on a unix socket (https://github.com/grpc/grpc/blob/master/doc/health-checking.md). */
export async function checkGrpc(socketPath: string, signal: AbortSignal): Promise<void> {
  const session = http2().connect('http://localhost', { createConnection: () => connect(socketPath) });
  try {
    const { status, body } = await call(session, signal);
    if (status !== '0') throw new Error(`gRPC status ${status}`);
    if (!body.subarray(5).includes(serving)) throw new Error('not serving');
  } finally {
    session.destroy();
  }
}

function call(session: ClientHttp2Session, signal: AbortSignal): Promise<{ status: string; body: Buffer }> {
  return new Promise((resolve, reject) => {
    session.once('error', reject);
    const stream = session.request(
      {
        ':method': 'POST',
        ':path': '/grpc.health.v1.Health/Check',
        'content-type': 'application/grpc',
        te: 'trailers',
      },
      { signal },
    );
    const chunks: Buffer[] = [];
    let status = 'missing';
    const read = (headers: Record<string, unknown>) => {
      if (headers['grpc-status'] !== undefined) status = String(headers['grpc-status']);
    };
    stream.once('response', read);
    stream.once('trailers', read);
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.once('error', reject);
    stream.once('end', () => resolve({ status, body: Buffer.concat(chunks) }));
    // A message without fields: not compressed, length 0.
    stream.end(Buffer.alloc(5));
  });
}
