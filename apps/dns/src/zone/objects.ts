import type { KubeObject } from '@rancher/kube-watch';

/** What names are made of, as the API server has it. */
export interface ServiceObject extends KubeObject {
  spec: {
    type?: string;
    clusterIP?: string;
    clusterIPs?: string[];
    externalName?: string;
    publishNotReadyAddresses?: boolean;
    ports?: { name?: string; protocol?: string; port: number }[];
  };
}

export interface EndpointSliceObject extends KubeObject {
  addressType?: string;
  endpoints?: { addresses: string[]; hostname?: string; conditions?: { ready?: boolean } }[] | null;
  ports?: { name?: string; protocol?: string; port?: number }[] | null;
}

export interface Port {
  name: string;
  protocol: string;
  port: number;
}

/** A Service, with nothing that no answer tells. */
export interface Service {
  addresses: string[];
  /** Without an address of its own: its names lead to its endpoints. */
  headless: boolean;
  externalName?: string;
  publishNotReady: boolean;
  ports: Port[];
}

export interface EndpointSlice {
  /** `<namespace>/<name>` of its Service. */
  service: string;
  endpoints: { address: string; hostname?: string; ready: boolean }[];
  ports: Port[];
}

export function pruneService({ spec }: ServiceObject): Service {
  const addresses = (spec.clusterIPs ?? [spec.clusterIP ?? '']).filter((a) => a !== '' && a !== 'None');
  const external = spec.type === 'ExternalName' ? spec.externalName : undefined;
  return {
    addresses: external === undefined ? addresses : [],
    headless: external === undefined && addresses.length === 0,
    ...(external === undefined ? {} : { externalName: external }),
    publishNotReady: spec.publishNotReadyAddresses ?? false,
    ports: (spec.ports ?? []).map(portOf),
  };
}

/** Undefined for a slice that belongs to no Service, or whose addresses are names (type FQDN). */
export function pruneSlice({
  metadata,
  addressType,
  endpoints,
  ports,
}: EndpointSliceObject): EndpointSlice | undefined {
  const service = metadata.labels?.['kubernetes.io/service-name'];
  if (service === undefined || addressType === 'FQDN') return undefined;
  return {
    service: `${metadata.namespace}/${service}`,
    endpoints: (endpoints ?? []).flatMap(({ addresses, hostname, conditions }) =>
      // Absent means ready (API of EndpointSlice). All addresses of one endpoint are the same: consumers take the first.
      addresses.slice(0, 1).map((address) => ({
        address,
        ...(hostname === undefined ? {} : { hostname }),
        ready: conditions?.ready !== false,
      })),
    ),
    ports: (ports ?? []).flatMap((p) => (p.port === undefined ? [] : [portOf({ ...p, port: p.port })])),
  };
}

function portOf({ name, protocol, port }: { name?: string; protocol?: string; port: number }): Port {
  return { name: name ?? '', protocol: (protocol ?? 'TCP').toLowerCase(), port };
}
