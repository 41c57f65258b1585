import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import type { JobData, JobName } from '@rancher/contracts';
import { type Database, openDatabase } from '@rancher/db';
import {
  type HostFacts,
  type Inventory,
  newId,
  type ObservedInstance,
  type PlannedInstance,
} from '@rancher/domain';
import { startPostgres, type TestServer } from '@rancher/testing';
import { createCluster } from './cluster.ts';
import type { Context } from './context.ts';
import { reconcileEnvironment } from './environment.ts';
import { recordHello } from './hosts.ts';
import { recordInventory } from './inventory.ts';
import { labelManager } from './node-labels.ts';
import { operationSteps } from './operations.ts';
import { SpecCache } from './specs.ts';
import { ensureSystemStack } from './system-stack.ts';
import { json } from './world.ts';

const facts = (name: string, number: number): HostFacts => ({
  agentVersion: '0.1.0',
  agentPid: 1000 + number,
  hostname: name,
  address: `10.1.0.${number}`,
  os: 'Debian 12',
  arch: 'amd64',
  kernel: '6.1',
  cores: 2,
  memoryBytes: 8e9,
  diskBytes: 1e11,
  diskFreeBytes: 5e10,
  cgroupVersion: 2,
  cgroupDriver: 'cgroupfs',
  cgroupRoot: `/rancher/${name}`,
  nftables: true,
  iptables: true,
  sysResource: true,
  localHosts: false,
});

/**
 * A Postgres with environments in it, agents that do at once what their slice says, and an API server that answers as it
 * is told. What runs is real but for those two ends; jobs are run by {@link Lab.settle} one after the other.
 */
export class Lab {
  readonly jobs: { name: JobName; data: JobData<JobName> }[] = [];
  readonly kube = {
    ready: true,
    nodes: new Map<string, boolean>(),
    /** Labels of Nodes that were applied by a manager of their own. */
    nodeLabels: new Map<string, Record<string, string>>(),
    applied: [] as string[],
    alarms: [] as object[],
    /** Raft index that the member on a host tells, by the host's id. */
    etcdApplied: {} as Record<string, number>,
    /** Changes of etcd's members that were asked for. */
    memberChanges: [] as string[],
    /** What etcd answers to them instead of doing them. */
    memberError: null as string | null,
  };
  readonly agents = new Map<string, Agent>();
  readonly context: Context;
  readonly #postgres: TestServer;
  readonly #database: Database;
  readonly #api: Server;

  private constructor(postgres: TestServer, database: Database, api: Server) {
    this.#postgres = postgres;
    this.#database = database;
    this.#api = api;
    this.context = {
      prisma: database.prisma,
      queue: {
        enqueue: async (name, data, options) => {
          if ((options?.delayMs ?? 0) === 0) this.jobs.push({ name, data });
        },
      },
      masterKey: Buffer.alloc(32, 7),
      cluster: createCluster({
        apiUrl: `http://127.0.0.1:${(api.address() as AddressInfo).port}`,
        key: () => 'rk_test',
      }),
      specs: new SpecCache(),
      logger: { info: () => undefined, warn: () => undefined },
    };
  }

  static async open(): Promise<Lab> {
    const postgres = await startPostgres();
    const api = createServer();
    api.listen(0, '127.0.0.1');
    await once(api, 'listening');
    const lab = new Lab(postgres, openDatabase({ url: postgres.url }), api);
    api.on('request', (request, response) => {
      void text(request).then((sent) => {
        const [status, body] = lab.#answer(request.method ?? 'GET', request.url ?? '/', sent);
        response.writeHead(status).end(typeof body === 'string' ? body : JSON.stringify(body));
      });
    });
    return lab;
  }

  async close(): Promise<void> {
    this.context.cluster.close();
    this.#api.closeAllConnections();
    this.#api.close();
    await this.#database.close();
    await this.#postgres.stop();
  }

  get prisma() {
    return this.context.prisma;
  }

  /** An environment with hosts that have not registered yet, as the API would write it. */
  async environment(
    hosts: number,
    labels: Record<string, string> = {},
    controlPlaneReplicas = 1,
  ): Promise<string> {
    const id = newId('environment');
    await this.prisma.environment.create({
      data: {
        id,
        name: id,
        kubernetesVersion: '1.37.2',
        podCidr: '10.42.0.0/16',
        serviceCidr: '10.43.0.0/16',
        controlPlaneReplicas,
      },
    });
    await ensureSystemStack(this.prisma, {
      environmentId: id,
      kubernetesVersion: '1.37.2',
      controlPlaneReplicas,
    });
    for (let i = 1; i <= hosts; i += 1) await this.host(id, `host-${i}`, i, labels);
    await this.operation(id, 'environment.create', { kind: 'Environment', id, name: id });
    return id;
  }

  async host(
    environmentId: string,
    name: string,
    number: number,
    labels: Record<string, string> = {},
  ): Promise<Agent> {
    const id = newId('host');
    await this.prisma.host.create({ data: { id, environmentId, name, kind: 'machine', labels } });
    const agent = new Agent(this, id, facts(name, number));
    this.agents.set(id, agent);
    return agent;
  }

  async operation(
    environmentId: string,
    kind: Parameters<typeof operationSteps>[0],
    { id: targetId, kind: targetKind, name }: { kind: string; id: string; name: string },
    more: { options?: object; details?: object } = {},
  ): Promise<string> {
    const id = newId('operation');
    const steps = json(operationSteps(kind));
    const target = { kind: targetKind, id: targetId, name };
    await this.prisma.operation.create({
      data: { id, environmentId, kind, target, steps, createdBy: 'key_test', ...more },
    });
    return id;
  }

  agentsOf(environmentId: string): Promise<Agent[]> {
    return this.prisma.host
      .findMany({ where: { environmentId, removedAt: null }, orderBy: { name: 'asc' } })
      .then((hosts) => hosts.map((h) => this.agents.get(h.id)!));
  }

  /** Runs the reconciler and all agents until neither has anything to do. */
  async settle(environmentId: string): Promise<void> {
    for (let i = 0; i < 100; i += 1) {
      this.jobs.length = 0;
      await reconcileEnvironment(this.context, environmentId);
      let news = this.jobs.some((j) => j.name === 'reconcile-environment');
      for (const agent of await this.agentsOf(environmentId)) news = (await agent.obey()) || news;
      if (!news) return;
    }
    throw new Error('It does not settle');
  }

  async row(environmentId: string) {
    return this.prisma.environment.findUniqueOrThrow({ where: { id: environmentId } });
  }

  async events(environmentId: string): Promise<string[]> {
    const rows = await this.prisma.event.findMany({ where: { environmentId }, orderBy: { id: 'asc' } });
    return rows.map((e) => `${e.reason}: ${e.message}`);
  }

  #answer(method: string, url: string, body: string): [number, unknown] {
    if (url.endsWith('/etcd/members')) {
      this.kube.memberChanges.push(body);
      if (this.kube.memberError !== null) return [503, { detail: this.kube.memberError }];
      return [200, { initialCluster: 'host-1=https://10.1.0.1:2380' }];
    }
    if (url.startsWith('/internal/')) {
      const told = Object.entries(this.kube.etcdApplied);
      const members = told.map(([hostId, appliedIndex]) => ({
        name: hostId,
        hostId,
        healthy: true,
        appliedIndex,
      }));
      const healthy = members.length > 0 ? members : [{ name: 'host-1', healthy: true }];
      return [200, { members: healthy, alarms: this.kube.alarms }];
    }
    if (!this.kube.ready) return [500, '[+]ping ok\n[-]etcd failed: reason withheld\n'];
    if (url.endsWith('/readyz')) return [200, 'ok'];
    if (method === 'PATCH') this.kube.applied.push(url.replace(/^\/k8s\/environments\/[^/]+/, ''));
    if (method === 'DELETE') this.kube.nodes.delete(url.split('/').at(-1)!);
    const node = /\/api\/v1\/nodes\/([^/?]+)\?fieldManager=/.exec(url)?.[1];
    if (method === 'PATCH' && node !== undefined)
      this.kube.nodeLabels.set(node, JSON.parse(body).metadata.labels);
    const items = [...this.kube.nodes].map(([name, ready]) => ({
      metadata: { name, ...labelled(this.kube.nodeLabels.get(name) ?? {}) },
      status: {
        conditions: [
          {
            type: 'Ready',
            status: ready ? 'True' : 'False',
            message: ready ? 'ok' : 'cni plugin not initialized',
          },
        ],
      },
    }));
    return [200, { items }];
  }
}

/** Metadata of a Node whose labels are all applied by us. */
function labelled(labels: Record<string, string>) {
  const owned = Object.fromEntries(Object.keys(labels).map((key) => [`f:${key}`, {}]));
  const fieldsV1 = { 'f:metadata': { 'f:labels': owned } };
  return { labels, managedFields: [{ manager: labelManager, fieldsV1 }] };
}

/** An agent that runs what it is told in no time. */
export class Agent {
  readonly id: string;
  readonly name: string;
  readonly #lab: Lab;
  readonly #facts: HostFacts;
  #connection = 0;
  running = new Map<string, ObservedInstance>();
  connected = false;

  constructor(lab: Lab, id: string, facts: HostFacts) {
    this.#lab = lab;
    this.id = id;
    this.name = facts.hostname;
    this.#facts = facts;
  }

  async connect(): Promise<void> {
    this.connected = true;
    this.#connection += 1;
    const connectionId = String(this.#connection);
    await recordHello(this.#lab.prisma, {
      hostId: this.id,
      replicaId: 'api',
      connectionId,
      facts: this.#facts,
      inventory: await this.inventory(),
    });
  }

  /** Makes its host match the target plan, and reports. Tells whether a reconcile was asked for. */
  async obey(): Promise<boolean> {
    if (!this.connected) return false;
    const planned = await this.#slice();
    for (const id of this.running.keys()) if (!planned.some((p) => p.id === id)) this.running.delete(id);
    const at = new Date().toISOString();
    for (const { id, service, specHash } of planned) {
      if (this.running.has(id)) continue;
      this.running.set(id, {
        ...{
          id,
          service,
          specHash,
          state: 'running',
          health: 'healthy',
          pid: 4242,
          restarts: 0,
          certificates: [],
        },
        startedAt: at,
        healthyAt: at,
      });
    }
    return this.report();
  }

  async report(): Promise<boolean> {
    return (await recordInventory(this.#lab.prisma, this.id, await this.inventory())).reconcile;
  }

  /** Changes what it will say of one of its instances. */
  change(service: string, change: Partial<ObservedInstance>): void {
    const found = [...this.running.values()].find((i) => i.service === service);
    if (found === undefined) throw new Error(`${service} does not run on ${this.name}`);
    this.running.set(found.id, { ...found, ...change });
  }

  async inventory(): Promise<Inventory> {
    const plan = await this.#plan();
    return { generation: plan?.generation ?? 0, instances: [...this.running.values()] };
  }

  async #slice(): Promise<PlannedInstance[]> {
    const instances = ((await this.#plan())?.instances ?? []) as unknown as PlannedInstance[];
    return instances.filter((i) => i.hostId === this.id);
  }

  async #plan() {
    const host = await this.#lab.prisma.host.findUniqueOrThrow({
      where: { id: this.id },
      include: { environment: true },
    });
    const id = host.environment?.targetPlanId;
    return id == null ? null : this.#lab.prisma.plan.findUnique({ where: { id } });
  }
}
