import { once } from 'node:events';
import { copyFile } from 'node:fs/promises';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { startKubernetes, type TestKubernetes, until } from '@rancher/testing';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { backoffMs } from './backoff.ts';
import { KubeClient } from './client.ts';
import { type KubeObject, type WatchEvent, type WatchOptions, watchObjects } from './watch.ts';

interface ConfigMap extends KubeObject {
  data?: Record<string, string>;
}

let kubernetes: TestKubernetes;
let relay: Relay;
beforeAll(async () => {
  kubernetes = await startKubernetes();
  relay = await Relay.start(Number(new URL(kubernetes.server).port));
});
afterAll(async () => {
  await relay?.stop();
  await kubernetes?.stop();
});

/** Between client and API server, so that connections can be cut. */
class Relay {
  readonly #sockets = new Set<Socket>();
  readonly #server: Server;
  open = true;
  port = 0;

  private constructor(target: number) {
    this.#server = createServer((socket) => {
      if (!this.open) return socket.destroy();
      const upstream = connect(target, '127.0.0.1');
      for (const s of [socket, upstream]) {
        this.#sockets.add(s);
        s.on('error', () => {});
        s.on('close', () => {
          this.#sockets.delete(s);
          socket.destroy();
          upstream.destroy();
        });
      }
      socket.pipe(upstream).pipe(socket);
    });
  }

  static async start(target: number): Promise<Relay> {
    const started = new Relay(target);
    started.#server.listen(0, '127.0.0.1');
    await once(started.#server, 'listening');
    started.port = (started.#server.address() as AddressInfo).port;
    return started;
  }

  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  async stop(): Promise<void> {
    this.cut();
    this.#server.close();
    await once(this.#server, 'close');
  }
}

let namespaces = 0;
async function newNamespace(): Promise<string> {
  const name = `watch-${++namespaces}`;
  await kubernetes.request('POST', '/api/v1/namespaces', { metadata: { name } });
  return name;
}

const configMaps = (namespace: string) => `/api/v1/namespaces/${namespace}/configmaps`;

async function put(namespace: string, name: string, value: string): Promise<void> {
  await kubernetes
    .request('PATCH', `${configMaps(namespace)}/${name}?fieldManager=test`, { data: { value } })
    .catch(() => kubernetes.request('POST', configMaps(namespace), { metadata: { name }, data: { value } }));
}

function watch(
  namespace: string,
  options: Partial<WatchOptions<ConfigMap, string>> = {},
  files = kubernetes.admin,
) {
  const client = new KubeClient({ server: `https://127.0.0.1:${relay.port}`, ...files });
  const events: WatchEvent<string>[] = [];
  const errors: string[] = [];
  let syncs = 0;
  const watched = watchObjects<ConfigMap, string>({
    client,
    path: configMaps(namespace),
    prune: (object) => object.data?.value,
    onEvent: (event) => void events.push(event),
    onSync: () => void syncs++,
    onError: (message) => void errors.push(message),
    ...options,
  });
  onTestFinished(() => {
    watched.stop();
    client.close();
    relay.open = true;
  });
  return { watched, client, events, errors, syncs: () => syncs };
}

const told = (events: WatchEvent<string>[]) =>
  events.map((e) => (e.type === 'set' ? `${e.key}=${e.object}` : `-${e.key}`));

describe('watchObjects', () => {
  it('lists in pages, keeps what prune gives, and follows what changes', async () => {
    const ns = await newNamespace();
    const names = Array.from({ length: 23 }, (_, i) => `m${String(i).padStart(2, '0')}`);
    for (const name of names) await put(ns, name, '1');
    await kubernetes.request('POST', configMaps(ns), { metadata: { name: 'without-value' } });
    const { watched, events, syncs } = watch(ns, { pageSize: 5 });
    await watched.synced;
    expect([...watched.objects.keys()].sort()).toEqual(names.map((name) => `${ns}/${name}`));
    expect(syncs()).toBe(1);
    events.length = 0;

    await put(ns, 'm00', '2');
    await put(ns, 'new', '3');
    await kubernetes.request('DELETE', `${configMaps(ns)}/m01`);
    await kubernetes.request('PATCH', `${configMaps(ns)}/m02`, { data: null });
    await until('the changes are told', () => events.length === 4);
    expect(told(events)).toEqual([`${ns}/m00=2`, `${ns}/new=3`, `-${ns}/m01`, `-${ns}/m02`]);
    expect(events[0]).toMatchObject({ previous: '1' });
  });

  it('keeps what it knew while the API server is away, and resumes without listing again', async () => {
    const ns = await newNamespace();
    await put(ns, 'a', '1');
    const { watched, events, errors, syncs } = watch(ns);
    await watched.synced;
    relay.open = false;
    relay.cut();
    await until('it notices', () => watched.error !== undefined && errors.length > 1);
    expect([...watched.objects]).toEqual([[`${ns}/a`, '1']]);
    await put(ns, 'b', '2');
    await kubernetes.request('DELETE', `${configMaps(ns)}/a`);
    relay.open = true;
    await until(
      'it is told what it missed',
      () => watched.objects.has(`${ns}/b`) && watched.objects.size === 1,
    );
    expect(told(events)).toEqual([`${ns}/a=1`, `${ns}/b=2`, `-${ns}/a`]);
    expect(syncs()).toBe(1);
    expect(watched.error).toBeUndefined();
  });

  it('lists anew what the server has forgotten, and tells only what is otherwise', async () => {
    const ns = await newNamespace();
    await put(ns, 'a', '1');
    await put(ns, 'b', '1');
    const { watched, events, syncs } = watch(ns);
    await watched.synced;
    relay.open = false;
    relay.cut();
    await kubernetes.request('DELETE', `${configMaps(ns)}/a`);
    await put(ns, 'c', '1');
    const { metadata } = await kubernetes.request<{ metadata: { resourceVersion: string } }>(
      'GET',
      configMaps(ns),
    );
    // A new API server knows only what etcd still has.
    await kubernetes.killApiServer();
    await kubernetes.etcdctl('compact', metadata.resourceVersion);
    await kubernetes.startApiServer();
    relay.open = true;
    await until('it has listed again', () => syncs() === 2);
    expect(told(events)).toEqual([`${ns}/a=1`, `${ns}/b=1`, `${ns}/c=1`, `-${ns}/a`]);
  });

  it('compares what is known from before with the first list', async () => {
    const ns = await newNamespace();
    await put(ns, 'same', '1');
    const known: [string, string][] = [
      [`${ns}/same`, '1'],
      [`${ns}/gone`, '1'],
    ];
    const { watched, events } = watch(ns, { known });
    expect(watched.objects.size).toBe(2);
    await watched.synced;
    expect(told(events)).toEqual([`${ns}/same=1`, `-${ns}/gone`]);
  });

  it('takes up a renewed certificate', async () => {
    const ns = await newNamespace();
    const files = await kubernetes.client('renewed', 'nobody');
    const { watched, errors } = watch(ns, {}, files);
    await until('it is refused', () => errors.some((e) => e.includes('403')));
    await copyFile(kubernetes.admin.keyPath, files.keyPath);
    await copyFile(kubernetes.admin.certPath, files.certPath);
    await watched.synced;
    expect(watched.error).toBeUndefined();
  });

  it('tells again what its listener failed over', async () => {
    const ns = await newNamespace();
    await put(ns, 'a', '1');
    let failures = 0;
    const seen: string[] = [];
    const { watched, errors } = watch(ns, {
      onEvent: (event) => {
        if (failures++ === 0) throw new Error('not now');
        seen.push(event.key);
      },
    });
    await watched.synced;
    expect(seen).toEqual([`${ns}/a`]);
    expect(errors.join()).toContain('not now');
  });

  it('stops', async () => {
    const ns = await newNamespace();
    const { watched, events } = watch(ns);
    await watched.synced;
    watched.stop();
    await put(ns, 'a', '1');
    const other = watch(ns);
    await other.watched.synced;
    expect(events).toEqual([]);
  });
});

describe('KubeClient', () => {
  it('gives answers, and the server’s own words for refusals', async () => {
    const client = new KubeClient({ server: kubernetes.server, ...kubernetes.admin });
    onTestFinished(() => client.close());
    await expect(client.json('/version')).resolves.toMatchObject({ major: '1' });
    await expect(client.json('/api/v1/namespaces/none')).rejects.toMatchObject({
      status: 404,
      message: expect.stringContaining('namespaces "none" not found'),
    });
  });
});

describe('backoff', () => {
  it('grows from 0.2 s to 10 s, of which a random half to all', () => {
    expect([1, 2, 3, 6, 7, 50].map((n) => backoffMs(n, () => 1))).toEqual([
      200, 400, 800, 6400, 10_000, 10_000,
    ]);
    expect([1, 7].map((n) => backoffMs(n, () => 0))).toEqual([100, 5000]);
  });
});
