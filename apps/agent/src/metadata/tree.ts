import type { Metadata, MetadataHost, MetadataInstance, MetadataService } from '@rancher/domain';

/** Who asks: a process of the host, perhaps of one of its services, or a pod. */
export type Caller = { kind: 'host'; service?: string } | { kind: 'pod'; pod: PodIdentity };

export interface PodIdentity {
  ip: string;
  name: string;
  namespace: string;
  uid: string;
}

export type Tree = string | number | boolean | null | Tree[] | { [key: string]: Tree };

/** Everything that may be asked for, with the names of Rancher 1.x where it had one; `self` by who asks. */
export function treeOf(metadata: Metadata, hostId: string, caller: Caller): { [key: string]: Tree } {
  const names = namesOf(metadata);
  const instances = metadata.instances.map((i) => instanceView(names, i));
  const services = metadata.services.map((s) => serviceView(metadata, names, s));
  const stacks = metadata.stacks.map((stack) => ({
    name: stack.name,
    uuid: stack.id,
    environment_name: metadata.environment.name,
    environment_uuid: metadata.environment.id,
    system: stack.kind === 'system',
    services: metadata.services.filter((s) => s.stackId === stack.id).map((s) => s.name),
  }));
  const hosts = metadata.hosts.map(hostView);
  const { environment } = metadata;
  const own = metadata.services.find((s) => caller.kind === 'host' && s.name === caller.service);
  const instance = metadata.instances.find((i) => i.serviceId === own?.id && i.hostId === hostId);
  const self: Record<string, Tree | undefined> = {
    host: hosts.find((h) => h.uuid === hostId),
    stack: stacks.find((s) => s.uuid === own?.stackId),
    service: services.find((s) => s.uuid === own?.id),
    instance: instances.find((i) => i.uuid === instance?.id),
    pod: caller.kind === 'pod' ? { ...caller.pod } : undefined,
  };
  return {
    version: metadata.version,
    environment: {
      name: environment.name,
      uuid: environment.id,
      kubernetes_version: environment.kubernetesVersion,
      pod_cidr: environment.podCidr,
      service_cidr: environment.serviceCidr,
    },
    self: Object.fromEntries(
      Object.entries(self).filter((entry): entry is [string, Tree] => entry[1] !== undefined),
    ),
    hosts,
    stacks,
    services,
    instances,
  };
}

interface Names {
  hosts: ReadonlyMap<string, MetadataHost>;
  services: ReadonlyMap<string, MetadataService>;
  stacks: ReadonlyMap<string, string>;
}

function namesOf(metadata: Metadata): Names {
  return {
    hosts: new Map(metadata.hosts.map((h) => [h.id, h])),
    services: new Map(metadata.services.map((s) => [s.id, s])),
    stacks: new Map(metadata.stacks.map((s) => [s.id, s.name])),
  };
}

function hostView(host: MetadataHost) {
  return {
    name: host.name,
    hostname: host.name,
    uuid: host.id,
    agent_ip: host.address,
    state: host.state,
    labels: host.labels,
    milli_cpu: host.cores === null ? null : host.cores * 1000,
    memory: host.memoryBytes,
  };
}

function instanceView({ hosts, services, stacks }: Names, instance: MetadataInstance) {
  const host = hosts.get(instance.hostId);
  const service = services.get(instance.serviceId);
  return {
    name: `${service?.name ?? instance.serviceId}-${host?.name ?? instance.hostId}`,
    uuid: instance.id,
    service_name: service?.name ?? null,
    stack_name: stacks.get(service?.stackId ?? '') ?? null,
    host_name: host?.name ?? null,
    host_uuid: instance.hostId,
    primary_ip: host?.address ?? null,
    state: instance.state,
    health_state: instance.health,
    labels: service?.labels ?? {},
  };
}

function serviceView(metadata: Metadata, names: Names, service: MetadataService) {
  const own = metadata.instances.filter((i) => i.serviceId === service.id);
  return {
    name: service.name,
    uuid: service.id,
    stack_name: names.stacks.get(service.stackId) ?? null,
    version: service.version,
    global: service.scale === null,
    scale: service.scale ?? own.length,
    health_state: service.health,
    labels: service.labels,
    instances: own.map((i) => instanceView(names, i)),
  };
}
