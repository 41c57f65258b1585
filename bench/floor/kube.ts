import https from 'node:https';
import { setTimeout as delay } from 'node:timers/promises';
import { parseAuthority, resolveSecretFile } from '@rancher/components';
import { generateKeyPair, issueCertificate } from '@rancher/pki';

export interface KubeClient {
  /** Status and body (parsed when JSON); status 0 when it cannot be reached. */
  request(method: string, path: string, body?: unknown): Promise<{ status: number; body: unknown }>;
  keyPem: string;
  certificatePem: string;
  caPem: string;
}

/** A client of the API server on loopback, with all rights. */
export async function kubeClient(secrets: Map<string, string>): Promise<KubeClient> {
  const authority = parseAuthority(resolveSecretFile('ca/kubernetes', secrets));
  const { publicKeyPem, privateKeyPem } = generateKeyPair();
  const { certificatePem } = await issueCertificate(authority, {
    publicKeyPem,
    commonName: 'rancher-server',
    organizations: ['system:masters'],
    usages: ['client'],
  });
  const agent = new https.Agent({
    keepAlive: true,
    key: privateKeyPem,
    cert: certificatePem,
    ca: authority.certificatePem,
  });
  return {
    keyPem: privateKeyPem,
    certificatePem,
    caPem: authority.certificatePem,
    request: (method, path, body) => request(agent, method, path, body),
  };
}

function request(agent: https.Agent, method: string, path: string, body?: unknown) {
  return new Promise<{ status: number; body: unknown }>((resolve) => {
    const type = method === 'PATCH' ? 'application/apply-patch+yaml' : 'application/json';
    const options = { agent, host: '127.0.0.1', port: 6443, method, path, headers: { 'content-type': type } };
    const req = https.request(options, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        text += chunk;
      });
      response.on('end', () => {
        resolve({ status: response.statusCode ?? 0, body: text.startsWith('{') ? JSON.parse(text) : text });
      });
    });
    req.once('error', () => resolve({ status: 0, body: '' }));
    req.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

/** Polls until the condition holds; throws after a minute. */
export async function until(what: string, condition: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 60_000;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`${what}: not within a minute`);
    await delay(10);
  }
}

export async function nodeReady(client: KubeClient, name: string): Promise<boolean> {
  const { status, body } = await client.request('GET', `/api/v1/nodes/${name}`);
  if (status !== 200) return false;
  const node = body as { status: { conditions?: { type: string; status: string }[] } };
  return node.status.conditions?.some((c) => c.type === 'Ready' && c.status === 'True') ?? false;
}
