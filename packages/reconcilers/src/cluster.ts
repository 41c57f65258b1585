import { Agent as HttpAgent, request as httpRequest } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import type { KubernetesObject, Taint } from '@rancher/components';
import { labelManager } from './node-labels.ts';

/** What the worker sees of an environment's cluster, and does to it: all through the API and the agents' tunnels. */
export interface Cluster {
  /** Throws in words why the API server does not answer `/readyz` with 200. */
  readyz(environmentId: string): Promise<void>;
  nodes(environmentId: string): Promise<Node[]>;
  /**
   * One request to the Kubernetes API, with its parsed answer. `body` is JSON, or a merge patch (RFC 7396) with PATCH.
   * @throws Refused for any answer but 2xx
   */
  kube(environmentId: string, method: string, path: string, body?: object): Promise<unknown>;
  deleteNode(environmentId: string, name: string): Promise<void>;
  /** Server-side apply of these and no other labels, as field manager `rancher-host`. */
  applyNodeLabels(environmentId: string, node: string, labels: Record<string, string>): Promise<void>;
  /** Server-side apply, as field manager `rancher`; conflicts are ours to win. */
  apply(environmentId: string, object: KubernetesObject): Promise<void>;
  etcd(environmentId: string): Promise<EtcdView>;
  /** Makes one change of etcd's members, or finds it made. Throws in etcd's words why not. */
  changeEtcdMember(environmentId: string, change: EtcdMemberChange): Promise<{ initialCluster: string }>;
  /** Whether a host reaches another one of its environment. @throws when the one that is asked does not answer */
  reaches(hostId: string, peerId: string): Promise<boolean>;
  close(): void;
}

/** The member is known by its peer URL. */
export interface EtcdMemberChange {
  kind: 'add' | 'promote' | 'remove';
  name: string;
  peerUrl: string;
}

export interface Node {
  name: string;
  ready: boolean;
  /** Cordoned, by us or by a user. */
  unschedulable: boolean;
  taints?: Taint[];
  /** Why it is not ready, in kubelet's words. */
  message: string;
  labels: Record<string, string>;
  /** Field managers that own each label (server-side apply). */
  labelManagers: Record<string, string[]>;
}

export interface EtcdView {
  members: {
    name: string;
    hostId?: string;
    healthy: boolean;
    leader?: boolean;
    learner?: boolean;
    /** Raft index up to which it has applied everything. */
    appliedIndex?: number;
    error?: string;
  }[];
  alarms: { member: string; alarm: string }[];
}

interface Body {
  type: string;
  text: string;
}

interface NodeList {
  items: {
    metadata: {
      name: string;
      labels?: Record<string, string>;
      managedFields?: { manager?: string; fieldsV1?: { 'f:metadata'?: { 'f:labels'?: object } } }[];
    };
    spec?: { unschedulable?: boolean; taints?: Taint[] };
    status?: { conditions?: { type: string; status: string; message?: string }[] };
  }[];
}

/** One request may take this long (ms): a tunnel to a frozen API server must not hold the look up. */
const timeoutMs = 5_000;
/** Several calls to etcd, of 3 s at most each. */
const memberChangeTimeoutMs = 15_000;
const largestAnswer = 32 * 1024 * 1024;

/**
 * @param options.apiUrl where our API is
 * @param options.key of the API key with role `system`; asked anew for each request, as it may be made after we started
 * @param options.ca PEM of the API's authority, for https
 */
export function createCluster(options: { apiUrl: string; key: () => string; ca?: string }): Cluster {
  const secure = options.apiUrl.startsWith('https:');
  const agent = secure
    ? new HttpsAgent({ keepAlive: true, ...(options.ca === undefined ? {} : { ca: options.ca }) })
    : new HttpAgent({ keepAlive: true });
  const call = (method: string, path: string, body?: Body, within = timeoutMs) =>
    send(secure ? httpsRequest : httpRequest, agent, `${options.apiUrl}${path}`, {
      method,
      key: options.key(),
      body,
      timeoutMs: within,
    });
  const kube = (environmentId: string, path: string) => `/k8s/environments/${environmentId}${path}`;
  return {
    async readyz(environmentId) {
      await call('GET', kube(environmentId, '/readyz'));
    },
    async nodes(environmentId) {
      const list = JSON.parse(await call('GET', kube(environmentId, '/api/v1/nodes'))) as NodeList;
      return list.items.map((item) => {
        const condition = item.status?.conditions?.find((c) => c.type === 'Ready');
        const message = condition?.message ?? 'kubelet has not reported yet';
        const { name, labels = {} } = item.metadata;
        return {
          name,
          ready: condition?.status === 'True',
          unschedulable: item.spec?.unschedulable === true,
          taints: item.spec?.taints ?? [],
          message,
          labels,
          labelManagers: labelManagersOf(item),
        };
      });
    },
    async applyNodeLabels(environmentId, node, labels) {
      const path = `/api/v1/nodes/${encodeURIComponent(node)}?fieldManager=${labelManager}&force=true`;
      const object = { apiVersion: 'v1', kind: 'Node', metadata: { name: node, labels } };
      const type = 'application/apply-patch+yaml';
      await call('PATCH', kube(environmentId, path), { type, text: JSON.stringify(object) });
    },
    async kube(environmentId, method, path, body) {
      const type = method === 'PATCH' ? 'application/merge-patch+json' : 'application/json';
      const sent = body === undefined ? undefined : { type, text: JSON.stringify(body) };
      const text = await call(method, kube(environmentId, path), sent);
      return text === '' ? undefined : JSON.parse(text);
    },
    async deleteNode(environmentId, name) {
      await call('DELETE', kube(environmentId, `/api/v1/nodes/${encodeURIComponent(name)}`));
    },
    async apply(environmentId, object) {
      const path = `${objectPath(object)}?fieldManager=rancher&force=true`;
      await call('PATCH', kube(environmentId, path), {
        type: 'application/apply-patch+yaml',
        text: JSON.stringify(object),
      });
    },
    async etcd(environmentId) {
      return JSON.parse(await call('GET', `/internal/v1/environments/${environmentId}/etcd`)) as EtcdView;
    },
    async changeEtcdMember(environmentId, change) {
      const path = `/internal/v1/environments/${environmentId}/etcd/members`;
      const body = { type: 'application/json', text: JSON.stringify(change) };
      return JSON.parse(await call('POST', path, body, memberChangeTimeoutMs)) as { initialCluster: string };
    },
    async reaches(hostId, peerId) {
      const text = await call('POST', `/internal/v1/hosts/${hostId}/peers/${peerId}/probe`);
      return ['open', 'refused'].includes((JSON.parse(text) as { answer: string }).answer);
    },
    close: () => agent.destroy(),
  };
}

function labelManagersOf({ metadata }: NodeList['items'][number]): Record<string, string[]> {
  const managers: Record<string, string[]> = {};
  for (const { manager = '', fieldsV1 } of metadata.managedFields ?? []) {
    for (const field of Object.keys(fieldsV1?.['f:metadata']?.['f:labels'] ?? {})) {
      if (!field.startsWith('f:')) continue;
      const key = field.slice(2);
      managers[key] = [...new Set([...(managers[key] ?? []), manager])].sort();
    }
  }
  return managers;
}

/** Path of an object by the Kubernetes API conventions: group and version, namespace, plural, name. */
export function objectPath({ apiVersion, kind, metadata }: KubernetesObject): string {
  const root = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
  const namespace = metadata.namespace === undefined ? '' : `/namespaces/${metadata.namespace}`;
  return `${root}${namespace}/${pluralOf(kind)}/${encodeURIComponent(metadata.name)}`;
}

function pluralOf(kind: string): string {
  const lower = kind.toLowerCase();
  if (lower === 'endpoints') return lower;
  if (/(s|x|ch)$/.test(lower)) return `${lower}es`;
  return lower.endsWith('y') ? `${lower.slice(0, -1)}ies` : `${lower}s`;
}

/** Our own API does not answer, so nothing is known of what is behind it. */
export class ApiGone extends Error {
  constructor(cause: Error) {
    super(`our own API does not answer: ${cause.message}`, { cause });
    this.name = 'ApiGone';
  }
}

/** An answer that is not 2xx. */
export class Refused extends Error {
  readonly status: number;
  /** As it came: a problem, a Kubernetes Status, or a plain text. */
  readonly body: string;
  constructor(status: number, body: string) {
    super(`${status}: ${reasonIn(body)}`);
    this.name = 'Refused';
    this.status = status;
    this.body = body;
  }
}

/**
 * Sends one request; throws for any answer but 2xx, with the status and what the server says of it; {@link ApiGone} when
 * nobody answers at all.
 */
function send(
  request: typeof httpRequest,
  agent: HttpAgent,
  url: string,
  {
    method,
    key,
    body,
    timeoutMs,
  }: { method: string; key: string; body: Body | undefined; timeoutMs: number },
): Promise<string> {
  return new Promise((resolve, reject) => {
    const headers = {
      authorization: `Bearer ${key}`,
      accept: 'application/json, */*',
      ...(body === undefined
        ? {}
        : { 'content-type': body.type, 'content-length': Buffer.byteLength(body.text) }),
    };
    const signal = AbortSignal.timeout(timeoutMs);
    const outgoing = request(url, { method, agent, headers, signal }, (answer) => {
      let text = '';
      answer.setEncoding('utf8');
      answer.on('data', (chunk: string) => {
        text += chunk;
        if (text.length > largestAnswer) outgoing.destroy(new Error('the answer is too large'));
      });
      answer.on('error', reject);
      answer.on('end', () => {
        const status = answer.statusCode ?? 0;
        if (status >= 200 && status < 300) resolve(text);
        else reject(new Refused(status, text));
      });
    });
    outgoing.on('error', (error) =>
      reject(signal.aborted ? new Error(`no answer within ${timeoutMs / 1000} s`) : new ApiGone(error)),
    );
    outgoing.end(body?.text);
  });
}

/** What a problem+json, a Kubernetes Status or a plain text says went wrong. */
function reasonIn(text: string): string {
  try {
    const { detail, message, title } = JSON.parse(text) as Record<string, string | undefined>;
    return detail ?? message ?? title ?? text.slice(0, 300);
  } catch {
    // `/readyz` lists its checks a line each, failed ones begin with [-].
    const failed = text.split('\n').filter((line) => line.startsWith('[-]'));
    return (failed.length > 0 ? failed.join(' ') : text).slice(0, 300);
  }
}
