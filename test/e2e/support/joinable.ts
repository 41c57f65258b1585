/** An installation that the machines of a test network can join, with one environment that has no host yet. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { createInstallation, type Installation, until } from './installation.ts';
import { createNetwork, type TestNetwork } from './machines.ts';

export interface Joinable {
  network: TestNetwork;
  rancher: Installation;
  environmentId: string;
  newToken(body?: object): Promise<{ id: string; token: string; command: string; containerCommand: string }>;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into whatever was answered
  hosts(): Promise<any[]>;
  // biome-ignore lint/suspicious/noExplicitAny: as above
  host(name: string): Promise<any>;
  isReady(node: string): Promise<boolean>;
  nodeReady(node: string, withinMs?: number): Promise<unknown>;
  /** Process id of a component on a host, as the API tells it. */
  pidOf(component: string, host: string): Promise<number | null | undefined>;
  remove(): Promise<void>;
}

type Parts = 'network' | 'rancher' | 'environmentId' | 'remove';

/** `name` is the environment's too. */
export async function createJoinable(name: string): Promise<Joinable> {
  const network = await createNetwork();
  const rancher = await createInstallation(name);
  const remove = async () => {
    await network.remove();
    await rancher.purge();
  };
  try {
    const environmentId = await createEnvironment(name, network, rancher);
    return joinableOf({ name, network, rancher, environmentId, remove });
  } catch (error) {
    await remove();
    throw error;
  }
}

async function createEnvironment(name: string, network: TestNetwork, rancher: Installation): Promise<string> {
  rancher.env.RANCHER_LISTEN = `127.0.0.1,${network.address}`;
  rancher.env.RANCHER_ADVERTISE = `${network.address}:${rancher.port}`;
  // No first environment of local hosts: one that was made and deleted is not made again.
  const settings = { defaultEnvironment: { id: 'env_deleted', kubernetesVersion: '1.37.2' } };
  await writeFile(join(rancher.home, 'config.json'), JSON.stringify(settings));
  await rancher.must(['up']);
  const made = await rancher.api('POST', '/v1/environments', {
    name,
    spec: { kubernetesVersion: '1.37.2', hosts: { local: 0 } },
  });
  return made.body.target.id;
}

function joinableOf({ name, ...parts }: Pick<Joinable, Parts> & { name: string }): Joinable {
  const { rancher, environmentId } = parts;
  const joinable: Joinable = {
    ...parts,
    async newToken(body = {}) {
      const path = `/v1/environments/${environmentId}/registrationTokens`;
      const { status, body: token } = await rancher.api('POST', path, body);
      expect(status).toBe(201);
      return token;
    },
    hosts: async () => (await rancher.api('GET', `/v1/hosts?environmentId=${environmentId}`)).body.items,
    host: async (wanted) => (await joinable.hosts()).find((host) => host.name === wanted),
    async isReady(node) {
      const format = 'jsonpath={.status.conditions[?(@.type=="Ready")].status}';
      return (await rancher.kubectl(['get', 'node', node, '-o', format], { environment: name })) === 'True';
    },
    nodeReady: (node, withinMs) => until(`Node ${node} is Ready`, () => joinable.isReady(node), withinMs),
    pidOf: async (component, host) =>
      (await rancher.instances(name)).find((i) => i.component === component && i.host === host)?.pid,
  };
  return joinable;
}
