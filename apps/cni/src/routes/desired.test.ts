import { describe, expect, it } from 'vitest';
import { desiredRoutes } from './desired.ts';

const podCidr = '10.42.0.0/16';
const self = { name: 'a', address: '172.30.0.2' };
const a = { ...self, podCidr: '10.42.0.0/24' };
const b = { name: 'b', address: '172.30.0.3', podCidr: '10.42.1.0/24' };
const c = { name: 'c', address: '172.30.1.2', podCidr: '10.42.2.0/24' };
const addresses = [{ link: 'eth0', address: '172.30.0.2', prefix: 24, mtu: 1500 }];
const desired = (nodes: (typeof a)[], over: object = {}) =>
  desiredRoutes({ podCidr, self, nodes, addresses, ...over });

describe('routes to the pods of other hosts', () => {
  it('are none for a host that is alone: pod addresses that nobody has are unreachable', () => {
    expect(desired([a])).toEqual({ mtu: 1500, routes: new Map([[podCidr, 'unreachable']]) });
  });

  it('are direct on a shared link, with its whole MTU', () => {
    const { routes, overlay, mtu } = desired([a, b]);
    expect(routes.get('10.42.1.0/24')).toBe('via 172.30.0.3 dev eth0');
    expect(overlay).toBeUndefined();
    expect(mtu).toBe(1500);
  });

  it('lead through VXLAN to where no link leads, 50 bytes smaller', () => {
    const { routes, overlay, mtu } = desired([a, b, c]);
    expect(routes.get('10.42.1.0/24')).toBe('via 172.30.0.3 dev eth0');
    expect(routes.get('10.42.2.0/24')).toBe('via 10.42.2.0 dev rancher-vxlan onlink src 10.42.0.0');
    expect(mtu).toBe(1450);
    expect(overlay).toEqual({
      link: 'rancher-vxlan',
      mac: '0a:72:ac:1e:00:02',
      address: '10.42.0.0',
      mtu: 1450,
      neighbours: new Map([['10.42.2.0', '0a:72:ac:1e:01:02']]),
      forwarding: new Map([['0a:72:ac:1e:01:02', '172.30.1.2']]),
    });
  });

  it('take the link that leads there, of several', () => {
    const second = { link: 'eth1', address: '172.30.1.9', prefix: 25, mtu: 9000 };
    const { routes } = desired([a, c], { addresses: [...addresses, second] });
    expect(routes.get('10.42.2.0/24')).toBe('via 172.30.1.2 dev eth1');
  });

  it('follow the MTU of the host’s own link', () => {
    expect(desired([a, c], { addresses: [{ ...addresses[0]!, mtu: 9000 }] }).mtu).toBe(8950);
  });

  it('need this host’s own block before there is an overlay', () => {
    const { routes, overlay } = desired([c]);
    expect([...routes.keys()]).toEqual([podCidr]);
    expect(overlay).toBeUndefined();
  });
});
