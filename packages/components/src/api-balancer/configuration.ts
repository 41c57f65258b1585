import type { FileSpec, ReloadSpec } from '@rancher/domain';
import { servicePath } from '@rancher/domain';
import type { ComponentContext } from '../component.ts';
import { apiBalancerPort, apiServerPort } from '../shared/kubeconfig.ts';

export const balancerName = 'api-balancer';
export const healthPort = 6445;
const adminSocket = servicePath(balancerName, 'admin.sock');

/** More API servers than an environment has, with those that come while others go. */
const peerSlots = 8;

/** A server of HAProxy: where it leads, or null while nothing is behind it. */
interface Slot {
  name: string;
  address: string | null;
}

/** This host's own API server, and those of other hosts. */
function slotsOf(ctx: ComponentContext): Slot[] {
  const own = ctx.apiServers.some((s) => s.address === ctx.host.address);
  const peers = ctx.apiServers.filter((s) => s.address !== ctx.host.address).map((s) => s.address);
  return [
    { name: 'own', address: own ? '127.0.0.1' : null },
    ...Array.from({ length: peerSlots }, (_, i) => ({ name: `peer${i + 1}`, address: peers[i] ?? null })),
  ];
}

/**
 * TCP from the host's own address to an API server that is ready, nearly always its own. What each line is for:
 *
 * - An API server that says it is not ready gets no new connections, and keeps those that it has: it is being stopped in
 *   order, and ends them itself when what was asked is answered (`error-status L7OKC`). One that is gone, hangs, or
 *   has lost etcd loses them at once, so that its clients go elsewhere (`on-marked-down shutdown-sessions`).
 * - A dead host sends no word of it: what is in flight to it is given up after `tcp-ut`, what is idle by keep-alives, and
 *   the first who fails to connect tells the others (`observe layer4`).
 * - Who fails to connect is sent to another at once (`redispatch`). So the others are weighed, and no `backup`: these are
 *   used only once the host's own is known to be down, and who waits for that is cut off with all that goes to it.
 * - While none is ready any one that takes connections will do: it knows best what it can answer. As nobody looks after
 *   such a connection when another is ready, it ends once it has been silent for 15 s, which is longer than etcd lets an
 *   API server wait for a leader.
 * - Servers have fixed places, which lead elsewhere when API servers come and go (see `reloadOf`). A place that is
 *   not used is drained rather than in maintenance, which would end what still runs over it.
 */
export function configurationFile(ctx: ComponentContext): FileSpec {
  const server = ({ name, address }: Slot, more = '') =>
    `  server ${name} ${address ?? '127.0.0.1'}:${apiServerPort}${more}${address === null ? ' disabled' : ''}`;
  const slots = slotsOf(ctx);
  return {
    path: servicePath(balancerName, 'haproxy.cfg'),
    mode: 0o600,
    live: true,
    content: `global
  maxconn 8192
  stats socket ${adminSocket} mode 600 level admin
  log stdout format raw local0 notice

defaults
  mode tcp
  log global
  timeout connect 700ms
  timeout check 3s
  timeout client 24h
  timeout server 24h
  retries 3
  option redispatch 1
  option clitcpka
  option srvtcpka
  srvtcpka-idle 2s
  srvtcpka-intvl 1s
  srvtcpka-cnt 2

frontend health
  mode http
  timeout client 5s
  bind 127.0.0.1:${healthPort}
  monitor-uri /livez

frontend kubernetes
  bind 127.0.0.1:${apiBalancerPort}
  use_backend ready if { nbsrv(ready) gt 0 }
  default_backend any

backend ready
  balance leastconn
  option httpchk
  http-check send meth GET uri /readyz ver HTTP/1.1 hdr Host kubernetes
  http-check expect ! rstring \\[-\\]etcd
  http-check expect error-status L7OKC status 200
  default-server check check-ssl verify none inter 1s fastinter 250ms downinter 500ms fall 3 rise 1
  default-server observe layer4 error-limit 2 on-error mark-down on-marked-down shutdown-sessions tcp-ut 1500ms
${slots.map((s) => server(s, s.name === 'own' ? ' weight 256' : ' weight 1')).join('\n')}

backend any
  balance roundrobin
  timeout tunnel 15s
  default-server tcp-ut 1500ms
${slots.map((s) => server(s)).join('\n')}
`,
  };
}

/** What brings a running HAProxy to the same: the whole of it each time, so that it does not matter what it was before. */
export function reloadOf(ctx: ComponentContext): ReloadSpec {
  const commands = ['ready', 'any'].flatMap((backend) =>
    slotsOf(ctx).flatMap(({ name, address }) => {
      const server = `set server ${backend}/${name}`;
      const health = (verb: string) => (backend === 'ready' ? [`${verb} health ${backend}/${name}`] : []);
      // One that is not used is looked at no more: each look costs a TLS handshake.
      if (address === null) return [`${server} state drain`, ...health('disable')];
      return [
        `${server} addr ${address} port ${apiServerPort}`,
        ...health('enable'),
        `${server} state ready`,
      ];
    }),
  );
  return {
    socketPath: adminSocket,
    commands: ['set severity-output number', ...commands],
    refused: '^\\[[0-3]\\]:',
  };
}
