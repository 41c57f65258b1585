/**
 * The pod network, seen by doing it: four local hosts in two subnets, so that pods reach each other both by direct routes
 * and through VXLAN. Everything is asked from inside the pods' and hosts' own namespaces.
 */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { busyboxImage, loadBusybox } from '../support/images.ts';
import { createInstallation, type Installation, until } from '../support/installation.ts';
import {
  ask,
  at,
  hosts,
  mustAt,
  nodes,
  type Place,
  type PodPlace,
  podPlaces,
} from '../support/pod-network.ts';

/** Where each host is; the first is made by `up`. */
const networks: Record<string, string> = {
  'default-1': 'default',
  'default-2': 'default',
  'default-3': 'other',
  'default-4': 'other',
};
const nodePort = 30080;
const hostPort = 18080;

let rancher: Installation;
let all: Place[];
/** A web server on each host, which says who asks and who answers. */
let pods: PodPlace[];
/** One on default-4 alone, behind a Service of its own. */
let solo: PodPlace;
let soloService: string;

const host = (name: string) => all.find((h) => h.name === name)!;

const container = {
  name: 'web',
  image: busyboxImage,
  imagePullPolicy: 'Never',
  command: [
    'sh',
    '-c',
    'mkdir -p /tmp/www/cgi-bin && cd /tmp/www && printf \'#!/bin/sh\\necho; echo "from=$REMOTE_ADDR at=$(hostname)"\\n\' >cgi-bin/who && busybox chmod 755 cgi-bin/who && exec httpd -f -p 0.0.0.0:8080 -h /tmp/www',
  ],
  ports: [{ containerPort: 8080 }],
};

const manifest = JSON.stringify({
  apiVersion: 'v1',
  kind: 'List',
  items: [
    {
      apiVersion: 'apps/v1',
      kind: 'DaemonSet',
      metadata: { name: 'web' },
      spec: {
        selector: { matchLabels: { app: 'web' } },
        template: {
          metadata: { labels: { app: 'web' } },
          spec: { terminationGracePeriodSeconds: 0, containers: [container] },
        },
      },
    },
    {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'solo', labels: { app: 'solo' } },
      spec: {
        nodeName: 'default-4',
        terminationGracePeriodSeconds: 0,
        containers: [{ ...container, ports: [{ containerPort: 8080, hostPort }] }],
      },
    },
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'solo' },
      spec: {
        type: 'NodePort',
        selector: { app: 'solo' },
        ports: [{ port: 80, targetPort: 8080, nodePort }],
      },
    },
  ],
});

beforeAll(async () => {
  rancher = await createInstallation('network');
  await rancher.must(['up']);
  for (const name of Object.keys(networks).slice(1)) {
    const network = networks[name]!;
    await rancher.must(['host', 'add', '--local', '--name', name, '--network', network, '--wait']);
  }
  await loadBusybox(rancher);
  await rancher.kubectl(['apply', '-f', '-'], { input: manifest });
  pods = await podPlaces(rancher, 'app=web', 4);
  solo = (await podPlaces(rancher, 'app=solo', 1))[0]!;
  all = await hosts(rancher);
  soloService = await rancher.kubectl(['get', 'service', 'solo', '-o', 'jsonpath={.spec.clusterIP}']);
});

afterAll(async () => {
  await rancher?.purge();
});

test('hosts of two networks are in two subnets, with direct routes within and VXLAN between them', async () => {
  const subnet = (name: string) => host(name).address.replace(/\.\d+$/, '');
  expect(subnet('default-1')).toBe(subnet('default-2'));
  expect(subnet('default-3')).toBe(subnet('default-4'));
  expect(subnet('default-1')).not.toBe(subnet('default-3'));
  const known = await nodes(rancher);
  const routes = await mustAt(host('default-1'), ['ip', 'route']);
  for (const { name, address, podCidr } of known.filter((n) => n.name !== 'default-1')) {
    const near = networks[name] === 'default';
    expect(routes).toMatch(
      near ? `${podCidr} via ${address} dev eth0` : new RegExp(`${podCidr} via \\S+ dev rancher-vxlan`),
    );
  }
});

test('every pod reaches every other with its own address, 1,400 bytes at once unbroken', async () => {
  for (const from of pods) {
    await Promise.all(
      pods.map(async (to) => {
        await mustAt(from, ['ping', '-M', 'do', '-s', '1400', '-c1', '-W10', to.address]);
        expect(await ask(from, `${to.address}:8080`)).toContain(`from=${from.address} at=${to.name}`);
      }),
    );
  }
});

test('a Service leads every pod to the one that serves it, the served one itself too (hairpin)', async () => {
  for (const from of pods)
    expect(await ask(from, soloService)).toContain(`from=${from.address} at=${solo.name}`);
  expect(await ask(solo, soloService)).toContain(`at=${solo.name}`);
});

test('a NodePort answers on every host, asked from every other; a host port on its host alone', async () => {
  for (const on of all) {
    const from = all.find((other) => other !== on)!;
    expect(await ask(from, `${on.address}:${nodePort}`)).toContain(`at=${solo.name}`);
  }
  const address = `${host('default-4').address}:${hostPort}`;
  expect(await ask(host('default-1'), address)).toContain(
    `from=${host('default-1').address} at=${solo.name}`,
  );
  expect(await ask(pods[0]!, address)).toContain(`at=${solo.name}`);
  expect(await ask(solo, address)).toContain(`at=${solo.name}`);
  const elsewhere = await at(host('default-1'), [
    ...['curl', '-sS', '--max-time', '5', `http://${host('default-3').address}:${hostPort}/`],
  ]);
  expect(elsewhere.code).not.toBe(0);
});

test('towards the outside a pod has its host’s address', async () => {
  // The machine itself is outside: an address of a network's bridge, in the machine's own namespace.
  const address = host('default-1').address.replace(/\.\d+$/, '.1');
  const server: Server = createServer((request, response) => response.end(request.socket.remoteAddress));
  await new Promise<void>((resolve) => server.listen(0, address, resolve));
  try {
    const { port } = server.address() as AddressInfo;
    for (const from of pods) {
      expect(await ask(from, `${address}:${port}`, '/')).toBe(host(from.host).address);
    }
  } finally {
    server.closeAllConnections();
    server.close();
  }
});

test('the plugin answers by hand what the specification asks for', async () => {
  const place = host('default-2');
  const front = '/var/lib/rancher-agent/artifacts/cni-front-1.0.0/rancher';
  const call = (variables: Record<string, string>) =>
    at(
      place,
      [
        'sh',
        '-c',
        `echo '{"cniVersion":"1.1.0","name":"rancher","type":"rancher"}' | exec env "$@" ${front}`,
        'call',
        ...Object.entries(variables).map(([name, value]) => `CNI_${name}=${value}`),
      ],
      { mounts: true },
    );
  expect(await call({ COMMAND: 'STATUS' })).toEqual({ code: 0, stdout: '', stderr: '' });
  expect(JSON.parse((await call({ COMMAND: 'VERSION' })).stdout)).toHaveProperty('supportedVersions');
  const wrong = await call({ COMMAND: 'ADD', CONTAINERID: 'by-hand', IFNAME: 'eth0' });
  expect(wrong.code).toBe(1);
  expect(JSON.parse(wrong.stdout)).toMatchObject({ code: 4, msg: expect.stringContaining('CNI_NETNS') });
  const nowhere = { CONTAINERID: 'by-hand', IFNAME: 'eth0', NETNS: '/run/netns/nowhere' };
  expect((await call({ COMMAND: 'ADD', ...nowhere })).code).toBe(1);
  expect(await call({ COMMAND: 'DEL', ...nowhere })).toEqual({ code: 0, stdout: '', stderr: '' });
});

test('the daemon is killed: traffic goes on, and pods come and go after; no address is lost', async () => {
  const daemon = async () =>
    (await rancher.instances()).find((i) => i.component === 'cni' && i.host === 'default-4')!;
  const before = await daemon();
  process.kill(before.pid!, 'SIGKILL');
  await mustAt(solo, ['ping', '-c3', '-i0.2', '-W10', pods[0]!.address]);
  await rancher.kubectl([
    'delete',
    'pod',
    '-l',
    'app=web',
    '--field-selector=spec.nodeName=default-4',
    '--wait=true',
  ]);
  pods = await podPlaces(rancher, 'app=web', 4);
  const fresh = pods.find((p) => p.host === 'default-4')!;
  await mustAt(fresh, ['ping', '-c1', '-W10', pods[0]!.address]);
  const now = await until('the next daemon is healthy', async () => {
    const found = await daemon();
    return found.pid !== before.pid && found.health === 'healthy' ? found : undefined;
  });
  expect(now.id).not.toBe(before.id);
  // Two pods are on this host: so many addresses are taken.
  await until('as many addresses are taken as there are pods', async () => {
    const listed = await at(host('default-4'), ['ls', '/run/rancher-cni/ipam/rancher'], { mounts: true });
    return listed.stdout.split('\n').filter((line) => /^[\d.]+$/.test(line)).length === 2;
  });
});

test('routes follow a host that comes, and one that goes', async () => {
  await rancher.must(['host', 'add', '--local', '--name', 'default-5', '--network', 'other', '--wait']);
  const added = (await nodes(rancher)).find((n) => n.name === 'default-5')!;
  for (const place of all) {
    await until(`${place.name} has a route to default-5`, async () =>
      (await mustAt(place, ['ip', 'route'])).includes(`${added.podCidr} via`),
    );
  }
  await rancher.must(['host', 'remove', 'default-5', '--wait']);
  for (const place of all) {
    await until(
      `${place.name} has no route to default-5`,
      async () => !(await mustAt(place, ['ip', 'route'])).includes(`${added.podCidr} via`),
    );
  }
  await mustAt(pods[0]!, ['ping', '-c1', '-W10', pods[3]!.address]);
});
