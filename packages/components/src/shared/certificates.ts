import { type AuthorityName, type CertificateSpec, servicePath } from '@rancher/domain';

interface CertificateParams {
  authority: AuthorityName;
  commonName: string;
  organizations?: string[];
  dnsNames?: string[];
  ipAddresses?: string[];
  usages: ('server' | 'client')[];
}

/** A certificate of a service, kept in its `pki` folder as `<name>.crt` and `.key`, its authority's beside it. */
export function certificate(service: string, name: string, params: CertificateParams): CertificateSpec {
  return {
    certPath: servicePath(service, `pki/${name}.crt`),
    keyPath: servicePath(service, `pki/${name}.key`),
    caPath: servicePath(service, `pki/ca-${params.authority}.crt`),
    authority: params.authority,
    commonName: params.commonName,
    organizations: params.organizations ?? [],
    dnsNames: params.dnsNames ?? [],
    ipAddresses: params.ipAddresses ?? [],
    usages: params.usages,
  };
}

/** Serving certificate for a port that only the host itself reaches. */
export function loopbackCertificate(service: string): CertificateSpec {
  return certificate(service, 'server', {
    authority: 'kubernetes',
    commonName: service,
    dnsNames: ['localhost'],
    ipAddresses: ['127.0.0.1'],
    usages: ['server'],
  });
}

/** Client certificate that the API server takes for a user and groups. */
export function clientCertificate(service: string, user: string, groups: string[] = []): CertificateSpec {
  return certificate(service, 'client', {
    authority: 'kubernetes',
    commonName: user,
    organizations: groups,
    usages: ['client'],
  });
}

/** The folders that {@link certificate} needs. */
export function serviceDirectories(service: string): { path: string; mode: number }[] {
  return [
    { path: servicePath(service), mode: 0o700 },
    { path: servicePath(service, 'pki'), mode: 0o700 },
  ];
}
