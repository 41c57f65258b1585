import { type EnvironmentOptions, supportedVersions } from '@rancher/components';
import {
  type Cidr,
  cidrContains,
  DomainError,
  defaultHostNetwork,
  overlaps,
  parseCidr,
} from '@rancher/domain';
import type { EnvironmentCreate } from './schema.ts';

export const defaultPodCidr = '10.42.0.0/16';
export const defaultServiceCidr = '10.43.0.0/16';

/** Every host takes a block of this prefix out of the pods' block, unless an option says otherwise. */
const defaultNodePrefix = 24;
/** log2 of the hosts that an environment must have room for: 16. */
const roomBits = 4;
/** A /24 of service addresses is the least that is of use; kube-apiserver refuses more than a /12. */
const longestServicePrefix = 24;
const shortestServicePrefix = 12;
/** RFC 1918 and RFC 6598: addresses that mean nothing on the internet. */
const privateBlocks = ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '100.64.0.0/10'].map((c) =>
  parseCidr(c),
);

export interface EnvironmentSpec {
  kubernetesVersion: string;
  podCidr: string;
  serviceCidr: string;
  controlPlaneReplicas: number;
  options: EnvironmentOptions;
  localHosts: number;
  /** Networks that they are spread over in turn. */
  networks: string[];
}

/**
 * Completes a spec with its defaults and judges what a schema cannot.
 * @throws DomainError with a pointer to the field
 */
export function completeSpec(spec: EnvironmentCreate['spec'] = {}): EnvironmentSpec {
  const complete: EnvironmentSpec = {
    kubernetesVersion: knownVersion(spec.kubernetesVersion),
    podCidr: spec.podCidr ?? defaultPodCidr,
    serviceCidr: spec.serviceCidr ?? defaultServiceCidr,
    controlPlaneReplicas: spec.controlPlane?.replicas ?? defaultReplicas(spec.hosts?.local ?? 0),
    options: spec.options ?? {},
    localHosts: spec.hosts?.local ?? 0,
    networks: spec.hosts?.networks ?? [defaultHostNetwork],
  };
  checkCidrs(complete);
  return complete;
}

/** Highly available where there are hosts for it from the start. */
const defaultReplicas = (hosts: number) => (hosts >= 3 ? 3 : 1);

function knownVersion(asked: string | undefined): string {
  const known = supportedVersions.map((v) => v.version);
  if (asked === undefined) {
    return (supportedVersions.find((v) => v.default === true) ?? supportedVersions.at(-1)!).version;
  }
  const version = asked.replace(/^v/, '');
  if (known.includes(version)) return version;
  throw new DomainError(
    'unknown_version',
    `There is no Kubernetes ${asked} here; there is ${known.join(', ')}.`,
    {
      pointer: '/spec/kubernetesVersion',
    },
  );
}

function checkCidrs(spec: EnvironmentSpec): void {
  const pods = privateCidr(spec.podCidr, '/spec/podCidr');
  const services = privateCidr(spec.serviceCidr, '/spec/serviceCidr');
  const nodePrefix = spec.options.nodeCidrMaskSize ?? defaultNodePrefix;
  if (pods.prefix > nodePrefix - roomBits) {
    throw new DomainError(
      'cidr_too_small',
      `${pods.text} is too small for pods: each host takes a /${nodePrefix} of it, so make it a /${nodePrefix - roomBits} or larger.`,
      { pointer: '/spec/podCidr' },
    );
  }
  if (services.prefix > longestServicePrefix) {
    throw new DomainError(
      'cidr_too_small',
      `${services.text} is too small for services: make it a /${longestServicePrefix} or larger.`,
      { pointer: '/spec/serviceCidr' },
    );
  }
  if (services.prefix < shortestServicePrefix) {
    throw new DomainError(
      'invalid_value',
      `${services.text} is too large for services: Kubernetes takes a /${shortestServicePrefix} at most.`,
      { pointer: '/spec/serviceCidr' },
    );
  }
  if (overlaps(pods, services)) {
    throw new DomainError('cidr_overlap', `${services.text} overlaps with the pods' ${pods.text}.`, {
      pointer: '/spec/serviceCidr',
    });
  }
  const room = hostRoom(spec);
  if (spec.localHosts > room) {
    throw new DomainError(
      'cidr_too_small',
      `${pods.text} has room for ${room} hosts, not for ${spec.localHosts}.`,
      {
        pointer: '/spec/podCidr',
      },
    );
  }
}

/** How many hosts the pods' block has room for. */
export function hostRoom(spec: { podCidr: string; options: EnvironmentOptions }): number {
  return 2 ** ((spec.options.nodeCidrMaskSize ?? defaultNodePrefix) - parseCidr(spec.podCidr).prefix);
}

function privateCidr(text: string, pointer: string): Cidr {
  const cidr = parseCidr(text, pointer);
  const first = text.split('/')[0]!;
  if (privateBlocks.some((block) => block.prefix <= cidr.prefix && cidrContains(block, first))) return cidr;
  throw new DomainError(
    'invalid_value',
    `${text} is not within a private block (${privateBlocks.map((b) => b.text).join(', ')}).`,
    {
      pointer,
    },
  );
}
