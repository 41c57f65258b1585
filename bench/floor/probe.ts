import { execFile } from 'node:child_process';
import http from 'node:http';
import http2 from 'node:http2';
import https from 'node:https';
import net from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import type { ProbeSpec } from '@rancher/domain';

/** Asks once. True when the handler of the probe is satisfied within its timeout. */
export function probeOnce(probe: ProbeSpec): Promise<boolean> {
  if (probe.httpGet !== undefined) return httpGet(probe.httpGet, probe.timeoutMs);
  if (probe.grpc !== undefined) return grpcHealth(probe.grpc.socketPath, probe.timeoutMs);
  if (probe.tcpSocket !== undefined) return tcp(probe.tcpSocket, probe.timeoutMs);
  const [program = 'false', ...args] = probe.exec?.command ?? [];
  return new Promise((resolve) => {
    execFile(program, args, { timeout: probe.timeoutMs }, (error) => resolve(error === null));
  });
}

/** Asks every few milliseconds until it is satisfied; throws after the probe's `initialTimeoutMs`. */
export async function waitHealthy(
  name: string,
  probe: ProbeSpec,
  gone: () => string | undefined,
): Promise<void> {
  const deadline = Date.now() + probe.initialTimeoutMs;
  while (!(await probeOnce(probe))) {
    const exit = gone();
    if (exit !== undefined) throw new Error(`${name} ${exit}`);
    if (Date.now() > deadline)
      throw new Error(`${name} did not become healthy in ${probe.initialTimeoutMs} ms`);
    await delay(10);
  }
}

function httpGet(target: NonNullable<ProbeSpec['httpGet']>, timeout: number): Promise<boolean> {
  const client = target.scheme === 'https' ? https : http;
  return new Promise((resolve) => {
    const options = { ...target, timeout, rejectUnauthorized: false, agent: false };
    const request = client.get(options, (response) => {
      response.resume();
      resolve((response.statusCode ?? 500) < 400);
    });
    request.once('timeout', () => request.destroy());
    request.once('error', () => resolve(false));
  });
}

function tcp(target: { host: string; port: number }, timeout: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect({ ...target, timeout });
    const finish = (ok: boolean) => {
      socket.destroy();
      resolve(ok);
    };
    socket.once('connect', () => finish(true));
    socket.once('timeout', () => finish(false));
    socket.once('error', () => finish(false));
  });
}

/** gRPC health checking protocol v1: an empty request; the answer's first field says SERVING (1). */
function grpcHealth(socketPath: string, timeout: number): Promise<boolean> {
  return new Promise((resolve) => {
    const session = http2.connect('http://localhost', { createConnection: () => net.connect(socketPath) });
    const finish = (ok: boolean) => {
      clearTimeout(timer);
      session.destroy();
      resolve(ok);
    };
    const timer = setTimeout(() => finish(false), timeout);
    session.once('error', () => finish(false));
    const stream = session.request({
      ':method': 'POST',
      ':path': '/grpc.health.v1.Health/Check',
      'content-type': 'application/grpc',
      te: 'trailers',
    });
    const chunks: Buffer[] = [];
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.once('error', () => finish(false));
    stream.once('end', () => finish(Buffer.concat(chunks).subarray(5).equals(Buffer.of(0x08, 0x01))));
    stream.end(Buffer.alloc(5));
  });
}
