import type { TestKubernetes } from '@rancher/testing';

export const services = 1000;
export const pods = 5000;
const namespaces = 20;
const podsPerService = pods / services;

const serviceName = (i: number) => `service-${i}`;
const namespaceOf = (i: number) => `ns-${i % namespaces}`;
const isHeadless = (i: number) => i % 10 === 0;
const clusterIp = (i: number) => `10.43.${1 + (i >> 8)}.${i & 255}`;
const podIp = (i: number, k: number) =>
  `10.42.${((i * podsPerService + k) >> 8) + 1}.${(i * podsPerService + k) & 255}`;

/** Writes the objects into a real API server: one Service in ten is headless, with named pods. */
export async function fill(kubernetes: TestKubernetes): Promise<void> {
  for (let n = 0; n < namespaces; n++) {
    await kubernetes.request('POST', '/api/v1/namespaces', { metadata: { name: `ns-${n}` } });
  }
  let next = 0;
  const worker = async () => {
    for (let i = next++; i < services; i = next++) await fillService(kubernetes, i);
  };
  await Promise.all(Array.from({ length: 16 }, worker));
}

async function fillService(kubernetes: TestKubernetes, i: number): Promise<void> {
  const namespace = namespaceOf(i);
  const name = serviceName(i);
  const ports = [{ name: 'http', port: 80, protocol: 'TCP' }];
  const clusterIP = isHeadless(i) ? 'None' : clusterIp(i);
  await kubernetes.request('POST', `/api/v1/namespaces/${namespace}/services`, {
    metadata: { name },
    spec: { clusterIP, ports, selector: { app: name } },
  });
  const indexes = Array.from({ length: podsPerService }, (_, k) => k);
  for (const k of indexes) {
    await kubernetes.request('POST', `/api/v1/namespaces/${namespace}/pods`, {
      metadata: { name: `${name}-${k}`, labels: { app: name } },
      spec: { nodeName: `node-${k}`, containers: [{ name: 'web', image: 'example.test/web:1' }] },
    });
  }
  await kubernetes.request('POST', `/apis/discovery.k8s.io/v1/namespaces/${namespace}/endpointslices`, {
    metadata: { name: `${name}-1`, labels: { 'kubernetes.io/service-name': name } },
    addressType: 'IPv4',
    ports: [{ name: 'http', port: 8080, protocol: 'TCP' }],
    endpoints: indexes.map((k) => ({
      addresses: [podIp(i, k)],
      conditions: { ready: true },
      ...(isHeadless(i) ? { hostname: `pod-${k}` } : {}),
    })),
  });
}

/**
 * Questions in the form of dnsperf's data file: what pods with `ndots: 5` ask. Half are names that exist, among them pods of
 * headless Services; three in ten are outside names that a search path was put to; then SRV and PTR.
 */
export function questions(count = 20_000): string {
  // The same ones each time (a linear congruential generator).
  let state = 42;
  const random = (n: number) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * n);
  };
  const lines = Array.from({ length: count }, () => {
    const kind = random(10);
    const i = random(services);
    const zone = `${namespaceOf(i)}.svc.cluster.local`;
    if (kind < 1)
      return `pod-${random(podsPerService)}.${serviceName(i - (i % 10))}.${namespaceOf(i - (i % 10))}.svc.cluster.local A`;
    if (kind < 5) return `${serviceName(i)}.${zone} A`;
    if (kind < 8) return `www-${random(500)}.example.com.${zone} A`;
    if (kind < 9) return `_http._tcp.${serviceName(i)}.${zone} SRV`;
    const address = isHeadless(i) ? podIp(i, 0) : clusterIp(i);
    return `${address.split('.').reverse().join('.')}.in-addr.arpa PTR`;
  });
  return `${lines.join('\n')}\n`;
}
