import { execFile } from 'node:child_process';
import { connect } from 'node:net';
import type { ProbeSpec } from '@rancher/domain';
import { checkGrpc } from './grpc.ts';
import { HttpCheck } from './http.ts';

/** One kind of look at an instance. */
export interface Check {
  /** What is looked at, in words, such as `HTTP probe https://127.0.0.1:10259/healthz`. */
  readonly what: string;
  /** @throws Error whose message says what was wrong; on the signal's abort, whatever. */
  run(signal: AbortSignal): Promise<void>;
  close(): void;
}

/** The check that a spec asks for; one without any handler is satisfied by the process being there. */
export function createCheck(spec: ProbeSpec): Check {
  const { httpGet, tcpSocket, exec, grpc } = spec;
  if (httpGet !== undefined) return new HttpCheck(httpGet);
  if (tcpSocket !== undefined) {
    const { host, port } = tcpSocket;
    return check(`TCP probe ${host}:${port}`, (signal) => checkTcp(host, port, signal));
  }
  if (exec !== undefined) {
    return check(`exec probe ${exec.command[0]}`, (signal) => checkExec(exec.command, signal));
  }
  if (grpc !== undefined) {
    return check(`gRPC probe ${grpc.socketPath}`, (signal) => checkGrpc(grpc.socketPath, signal));
  }
  return check('no probe', async () => {});
}

function check(what: string, run: Check['run']): Check {
  return { what, run, close: () => {} };
}

async function checkTcp(host: string, port: number, signal: AbortSignal): Promise<void> {
  const socket = connect({ host, port, signal });
  await new Promise<void>((resolve, reject) => socket.once('connect', resolve).once('error', reject));
  socket.destroy();
}

async function checkExec(command: string[], signal: AbortSignal): Promise<void> {
  const [file, ...args] = command;
  await new Promise<void>((resolve, reject) => {
    execFile(file!, args, { signal, killSignal: 'SIGKILL' }, (error, stdout, stderr) => {
      if (error === null) return resolve();
      const said = (stderr || stdout).trim().split('\n').at(-1);
      reject(new Error(said ? `exit ${error.code}: ${said}` : `exit ${error.code}`));
    });
  });
}
