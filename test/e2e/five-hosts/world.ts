/** What the scenario of five hosts looks at: its hosts, what it writes meanwhile, who asks its services. */
import { setTimeout as delay } from 'node:timers/promises';
import { askServicesFrom } from '../support/asking-client.ts';
import { busyboxImage } from '../support/images.ts';
import { type Installation, type InstanceRow, until } from '../support/installation.ts';

export interface HostView {
  id: string;
  name: string;
  status: { state: string; conditions: { type: string; status: string; reason: string; message: string }[] };
}

/** A web server that answers as soon as it is ready, and goes on for a while when it is to end. */
function serving(kind: 'Deployment' | 'StatefulSet', name: string, replicas: number): object[] {
  const labels = { app: name };
  const serve = 'mkdir -p /tmp/www; hostname > /tmp/www/index.html; exec httpd -f -p 8080 -h /tmp/www';
  const container = {
    name: 'web',
    image: busyboxImage,
    imagePullPolicy: 'Never',
    command: ['sh', '-c', serve],
    readinessProbe: { httpGet: { path: '/', port: 8080 }, periodSeconds: 1 },
  };
  const spread = {
    maxSkew: 1,
    topologyKey: 'kubernetes.io/hostname',
    whenUnsatisfiable: 'ScheduleAnyway',
    labelSelector: { matchLabels: labels },
  };
  const template = {
    metadata: { labels },
    spec: {
      terminationGracePeriodSeconds: 5,
      topologySpreadConstraints: [spread],
      containers: [container],
    },
  };
  const spec = { replicas, selector: { matchLabels: labels }, template };
  const named = kind === 'StatefulSet' ? { serviceName: name, podManagementPolicy: 'Parallel' } : {};
  return [
    { apiVersion: 'apps/v1', kind, metadata: { name }, spec: { ...spec, ...named } },
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name },
      spec: { selector: labels, ports: [{ port: 80, targetPort: 8080 }] },
    },
  ];
}

export const workload = JSON.stringify({
  apiVersion: 'v1',
  kind: 'List',
  items: [...serving('Deployment', 'web', 5), ...serving('StatefulSet', 'store', 3)],
});

/** What was lived through during a fault. */
export interface Story {
  /** Requests to the services that failed: when they were sent (ms), and how. */
  failures: { at: number; what: string }[];
  asked: number;
}

export class FiveHosts {
  readonly rancher: Installation;
  readonly environment: string;
  readonly id: string;
  readonly #urls: string[];
  /** Names of ConfigMaps that Kubernetes said it has. */
  readonly written = new Set<string>();
  /** Reasons of the condition PlanBlocked, as often as was looked. */
  readonly blocked = new Set<string>();

  constructor(rancher: Installation, environment: string, id: string, urls: string[]) {
    this.rancher = rancher;
    this.environment = environment;
    this.id = id;
    this.#urls = urls;
  }

  async hosts(): Promise<HostView[]> {
    return (await this.rancher.api('GET', `/v1/environments/${this.id}/hosts`)).body.items;
  }

  async host(name: string): Promise<HostView> {
    return (await this.hosts()).find((h) => h.name === name)!;
  }

  async condition(name: string, type: string) {
    return (await this.host(name)).status.conditions.find((c) => c.type === type);
  }

  inState(name: string, state: string) {
    return until(`${name} is ${state}`, async () => (await this.host(name)).status.state === state);
  }

  async on(host: string, component?: string): Promise<InstanceRow[]> {
    const rows = await this.rancher.instances(this.environment);
    return rows.filter((i) => i.host === host && (component === undefined || i.component === component));
  }

  /** etcd's processes, by host; without what a lost host is to stop when it is back. */
  async etcd(): Promise<InstanceRow[]> {
    const rows = await this.rancher.instances(this.environment);
    return rows
      .filter((i) => i.component === 'etcd' && i.state !== 'stopping')
      .sort((a, b) => (a.host < b.host ? -1 : 1));
  }

  async etcdHosts(): Promise<string[]> {
    return (await this.etcd()).map((i) => i.host);
  }

  /** What events say since a moment (ms). */
  async told(since: number): Promise<string[]> {
    const events = await this.rancher.events(this.environment);
    return events.filter((e) => Date.parse(e.createdAt) >= since).map((e) => `${e.reason}: ${e.message}`);
  }

  /**
   * Runs a story while a client on a host asks both services, and objects are written through the server all the time;
   * tells what the client lived through.
   */
  async during(client: string, story: (objects: { more(n: number): Promise<unknown> }) => Promise<void>) {
    const asking = await askServicesFrom(this.rancher, this.environment, client, this.#urls);
    const ends = new AbortController();
    const writing = this.#write(ends.signal);
    const more = (n: number) => {
      const had = this.written.size;
      return until(`${n} objects more are written`, async () => this.written.size >= had + n);
    };
    try {
      await story({ more });
      const heard = await asking.end();
      const lived: Story = {
        failures: heard.flatMap((h) => h.failures).sort((a, b) => a.at - b.at),
        asked: Math.min(...heard.map((h) => h.asked)),
      };
      return lived;
    } finally {
      asking.kill();
      ends.abort();
      await writing;
    }
  }

  /** Writes a ConfigMap of nearly the largest size that there may be: 1 MiB. */
  async writeLarge(): Promise<void> {
    await this.#create({ metadata: { generateName: 'large-' }, data: { text: 'x'.repeat(1_000_000) } });
  }

  #create(configMap: object) {
    const path = `/k8s/environments/${this.id}/api/v1/namespaces/default/configmaps`;
    return this.rancher.api('POST', path, { apiVersion: 'v1', kind: 'ConfigMap', ...configMap });
  }

  /** Writes ConfigMaps, one after the other, and looks at what the plan waits for. */
  async #write(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const name = `witness-${Date.now()}`;
      const metadata = { name, labels: { witness: 'yes' } };
      const answer = await this.#create({ metadata }).catch(() => undefined);
      if (answer?.status === 201) this.written.add(name);
      const { body } = await this.rancher.api('GET', `/v1/environments/${this.id}`);
      const conditions = body.status.conditions as { type: string; status: string; reason: string }[];
      const blocked = conditions.find((c) => c.type === 'PlanBlocked' && c.status === 'True');
      if (blocked !== undefined) this.blocked.add(blocked.reason);
      await delay(100);
    }
  }

  /** All is well: nothing is left to be done, every object is there, and etcd never lost its quorum. */
  async whole(hosts: number): Promise<string[]> {
    await until(
      'all is healthy',
      async () => {
        const { body } = await this.rancher.api('GET', `/v1/environments/${this.id}`);
        const all = await this.hosts();
        const active = all.length === hosts && all.every((h) => h.status.state === 'active');
        return active && body.status.state === 'active' && body.status.health === 'healthy';
      },
      240_000,
    );
    // What is written while the list is read may not be in it.
    const written = [...this.written];
    const list = ['get', 'configmaps', '-l', 'witness', '-o', 'name'];
    const names = (await this.rancher.kubectl(list, { environment: this.environment })).split('\n');
    const lost = written.filter((name) => !names.includes(`configmap/${name}`));
    return [
      ...lost.map((name) => `${name} is lost`),
      ...[...this.blocked].filter((reason) => reason === 'EtcdQuorumLost' || reason === 'EtcdLost'),
    ];
  }
}
