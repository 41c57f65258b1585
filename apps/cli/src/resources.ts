import type { Condition } from '@rancher/domain';
import type { Client } from './client.ts';
import { Failure } from './errors.ts';

interface Resource {
  id: string;
  kind: string;
  name: string;
  labels: Record<string, string>;
  createdAt: string;
}

export interface Environment extends Resource {
  description: string;
  generation: number;
  spec: { kubernetesVersion: string; podCidr: string; serviceCidr: string; desiredState?: string };
  status: { state: string; health: string; conditions: Condition[] };
}

export interface Host extends Resource {
  environmentId: string | null;
  spec: { kind: string };
  status: {
    state: string;
    address: string | null;
    connected: boolean;
    connectedAt: string | null;
    conditions: Condition[];
  };
}

export interface Instance {
  id: string;
  environmentId: string;
  hostId: string;
  service: string;
  createdAt: string;
  spec: { reason: string };
  status: {
    state: string;
    health: string;
    pid: number | null;
    restarts: number;
    message: string | null;
    startedAt: string | null;
  };
}

export interface Operation {
  id: string;
  kind: 'Operation';
  type: string;
  environmentId: string | null;
  target: { kind: string; id: string; name?: string };
  createdAt: string;
  status: {
    state: 'pending' | 'running' | 'succeeded' | 'failed' | 'canceled';
    steps: { name: string; state: string; message?: string | null }[];
    error?: { detail?: string; message?: string };
    finishedAt: string | null;
  };
}

/**
 * An environment by name or id.
 * @throws Failure naming those that exist.
 */
export async function findEnvironment(client: Client, nameOrId: string): Promise<Environment> {
  const [byName] = await client.all<Environment>('/v1/environments', { name: nameOrId });
  if (byName !== undefined) return byName;
  const all = await client.all<Environment>('/v1/environments');
  const byId = all.find((environment) => environment.id === nameOrId);
  if (byId !== undefined) return byId;
  const names = all.map((environment) => environment.name);
  const there = names.length === 0 ? 'there is none' : `there is: ${names.join(', ')}`;
  throw new Failure(`no environment "${nameOrId}"; ${there}`);
}
