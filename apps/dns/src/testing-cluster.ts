import type { TestKubernetes } from '@rancher/testing';

export interface Endpoint {
  addresses: string[];
  hostname?: string;
  conditions?: { ready: boolean };
}

/** Writes objects as a user and the controllers would. */
export class Objects {
  readonly #kubernetes: TestKubernetes;

  constructor(kubernetes: TestKubernetes) {
    this.#kubernetes = kubernetes;
  }

  async namespace(name: string): Promise<void> {
    await this.#kubernetes.request('POST', '/api/v1/namespaces', { metadata: { name } });
  }

  async service(namespace: string, name: string, spec: object): Promise<void> {
    await this.#kubernetes.request('POST', `/api/v1/namespaces/${namespace}/services`, {
      metadata: { name },
      spec,
    });
  }

  /** Ports are [name, port] over TCP. */
  async slice(
    namespace: string,
    name: string,
    service: string,
    endpoints: Endpoint[],
    ports: [string, number][] = [['http', 8080]],
    addressType = 'IPv4',
  ): Promise<void> {
    await this.#kubernetes.request(
      'POST',
      `/apis/discovery.k8s.io/v1/namespaces/${namespace}/endpointslices`,
      {
        metadata: { name, labels: { 'kubernetes.io/service-name': service } },
        addressType,
        endpoints,
        ports: ports.map(([portName, port]) => ({ name: portName, port, protocol: 'TCP' })),
      },
    );
  }

  async remove(kind: 'services' | 'endpointslices', namespace: string, name: string): Promise<void> {
    const group = kind === 'services' ? '/api/v1' : '/apis/discovery.k8s.io/v1';
    await this.#kubernetes.request('DELETE', `${group}/namespaces/${namespace}/${kind}/${name}`);
  }

  /** One of everything that has names. */
  async examples(): Promise<void> {
    const headless = { clusterIP: 'None', ports: [{ name: 'http', port: 80 }] };
    for (const namespace of ['alpha', 'beta']) await this.namespace(namespace);
    await this.service('alpha', 'web', {
      clusterIP: '10.43.7.1',
      ports: [
        { name: 'http', port: 80 },
        { name: 'talk', port: 53, protocol: 'UDP' },
      ],
    });
    await this.service('alpha', 'plain', { clusterIP: '10.43.7.2', ports: [{ port: 80 }] });
    await this.service('alpha', 'both', {
      ipFamilyPolicy: 'RequireDualStack',
      clusterIP: '10.43.7.3',
      clusterIPs: ['10.43.7.3', 'fd00:43::73'],
      ports: [{ name: 'http', port: 80 }],
    });
    await this.service('alpha', 'db', headless);
    await this.slice('alpha', 'db-1', 'db', [
      { addresses: ['10.42.1.10'], hostname: 'db-0' },
      { addresses: ['10.42.1.11'], hostname: 'db-1', conditions: { ready: true } },
      { addresses: ['10.42.1.12'], hostname: 'db-2', conditions: { ready: false } },
      { addresses: ['10.42.1.13'] },
    ]);
    await this.slice('alpha', 'db-2', 'db', [{ addresses: ['10.42.2.10'], hostname: 'db-9' }]);
    await this.service('alpha', 'six', headless);
    await this.slice(
      'alpha',
      'six-1',
      'six',
      [{ addresses: ['fd00:42::7'], hostname: 'six-0' }],
      [['http', 8080]],
      'IPv6',
    );
    await this.service('alpha', 'empty', headless);
    await this.service('alpha', 'unready', headless);
    await this.slice('alpha', 'unready-1', 'unready', [
      { addresses: ['10.42.1.20'], conditions: { ready: false } },
    ]);
    await this.service('alpha', 'published', { ...headless, publishNotReadyAddresses: true });
    await this.slice('alpha', 'published-1', 'published', [
      { addresses: ['10.42.1.21'], conditions: { ready: true } },
    ]);
    await this.service('alpha', 'named', { clusterIP: '10.43.7.4', ports: [{ name: 'http', port: 80 }] });
    await this.slice('alpha', 'named-1', 'named', [
      { addresses: ['10.42.1.30'], hostname: 'named-0' },
      { addresses: ['10.42.1.31'] },
    ]);
    await this.service('alpha', 'inside', {
      type: 'ExternalName',
      externalName: 'web.alpha.svc.cluster.local',
    });
    await this.service('alpha', 'outside', { type: 'ExternalName', externalName: 'www.example.test' });
    await this.service('alpha', 'nowhere', { type: 'ExternalName', externalName: 'none.example.test' });
    await this.service('alpha', 'circle', {
      type: 'ExternalName',
      externalName: 'circle.alpha.svc.cluster.local',
    });
  }
}
