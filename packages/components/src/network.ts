import { nthAddress, parseCidr } from '@rancher/domain';

export const clusterDomain = 'cluster.local';

/** The cluster DNS address: the tenth of the services' block, in the part that Kubernetes does not hand out by itself. */
export function dnsAddress(serviceCidr: string): string {
  return nthAddress(parseCidr(serviceCidr), 10);
}

/** Address of the Service `kubernetes`: the first of the services' block. */
export function kubernetesServiceAddress(serviceCidr: string): string {
  return nthAddress(parseCidr(serviceCidr), 1);
}

/**
 * Where every host's own DNS server listens, on that host alone. The Service `kube-dns` leads the cluster DNS address
 * here: kube-proxy in nftables mode drops what the host's own processes send to a service address that has no endpoint. 192.0.0.0/24 is reserved by the IETF (RFC 6890), so no network routes it.
 */
export const nodeLocalDnsAddress = '192.0.0.53';
