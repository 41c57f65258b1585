/** A web server behind a Service, which scenarios keep asking while they break things. */
import { busyboxImage } from './images.ts';
import { type Installation, until } from './installation.ts';

export function webManifest(name: string, replicas = 2): string {
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'List',
    items: [
      {
        apiVersion: 'apps/v1',
        kind: 'Deployment',
        metadata: { name },
        spec: {
          replicas,
          selector: { matchLabels: { app: name } },
          template: {
            metadata: { labels: { app: name } },
            spec: {
              terminationGracePeriodSeconds: 1,
              containers: [
                {
                  name: 'web',
                  image: busyboxImage,
                  imagePullPolicy: 'Never',
                  command: [
                    'sh',
                    '-c',
                    'mkdir -p /tmp/www; hostname > /tmp/www/index.html; echo serving; exec httpd -f -p 8080 -h /tmp/www',
                  ],
                  ports: [{ containerPort: 8080 }],
                },
              ],
            },
          },
        },
      },
      {
        apiVersion: 'v1',
        kind: 'Service',
        metadata: { name },
        spec: { selector: { app: name }, ports: [{ port: 80, targetPort: 8080 }] },
      },
    ],
  });
}

export interface PodRow {
  name: string;
  uid: string;
  phase: string;
  ready: boolean;
  restarts: number;
  containerIds: string[];
}

interface PodList {
  items: {
    metadata: { name: string; uid: string; deletionTimestamp?: string };
    status: {
      phase: string;
      containerStatuses?: { ready: boolean; restartCount: number; containerID?: string }[];
    };
  }[];
}

export async function pods(
  installation: Installation,
  selector: string,
  environment = 'default',
): Promise<PodRow[]> {
  const text = await installation.kubectl(['get', 'pods', '-l', selector, '-o', 'json'], { environment });
  return (JSON.parse(text) as PodList).items
    .filter((p) => p.metadata.deletionTimestamp === undefined)
    .map((p) => ({
      name: p.metadata.name,
      uid: p.metadata.uid,
      phase: p.status.phase,
      ready:
        (p.status.containerStatuses ?? []).every((c) => c.ready) && p.status.containerStatuses !== undefined,
      restarts: (p.status.containerStatuses ?? []).reduce((sum, c) => sum + c.restartCount, 0),
      containerIds: (p.status.containerStatuses ?? []).map((c) => c.containerID ?? ''),
    }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

export async function podsReady(
  installation: Installation,
  selector: string,
  count: number,
  environment = 'default',
): Promise<PodRow[]> {
  return until(`${count} pods of ${selector} are ready`, async () => {
    const rows = await pods(installation, selector, environment);
    return rows.length === count && rows.every((r) => r.ready) ? rows : undefined;
  });
}
