import { type Environment, type Host, listEnvironmentHosts, listEnvironments } from '@rancher/api-client';
import type { Client } from './client.ts';
import { Failure } from './errors.ts';

/** All environments, or the one of a name. */
export function environmentsOf(client: Client, name?: string): Promise<Environment[]> {
  const filter = name === undefined ? {} : { name };
  return client.all((page) => listEnvironments({ client: client.api, query: { ...page, ...filter } }));
}

/**
 * An environment by name or id.
 * @throws Failure naming those that exist.
 */
export async function findEnvironment(client: Client, nameOrId: string): Promise<Environment> {
  const [byName] = await environmentsOf(client, nameOrId);
  if (byName !== undefined) return byName;
  const all = await environmentsOf(client);
  const byId = all.find((environment) => environment.id === nameOrId);
  if (byId !== undefined) return byId;
  const names = all.map((environment) => environment.name);
  const there = names.length === 0 ? 'there is none' : `there is: ${names.join(', ')}`;
  throw new Failure(`no environment "${nameOrId}"; ${there}`);
}

export function hostsOf(client: Client, environmentId: string): Promise<Host[]> {
  return client.all((query) =>
    listEnvironmentHosts({ client: client.api, path: { id: environmentId }, query }),
  );
}

/** A host of an environment, by name or id. @throws Failure naming those that exist */
export async function findHost(client: Client, environmentName: string, name: string): Promise<Host> {
  const environment = await findEnvironment(client, environmentName);
  const hosts = await hostsOf(client, environment.id);
  const host = hosts.find((h) => h.name === name || h.id === name);
  if (host !== undefined) return host;
  const names = hosts.map((h) => h.name).join(', ') || 'none';
  throw new Failure(`no host "${name}" in environment ${environment.name}; there: ${names}`);
}
