import { contentHash, startPart } from '@rancher/domain';
import { describe, expect, it } from 'vitest';
import { bareFacts, contextOf } from '../testing.ts';
import { apiBalancer } from './index.ts';

const here = { name: 'node-1', address: bareFacts.address };
const others = [
  { name: 'node-2', address: '10.0.0.12' },
  { name: 'node-3', address: '10.0.0.13' },
];
const specFor = (apiServers: { name: string; address: string }[]) =>
  apiBalancer.spec(contextOf(bareFacts, { apiServers }));
const configuration = (apiServers: { name: string; address: string }[]) =>
  specFor(apiServers).files[0]!.content;

describe('the balancer', () => {
  it('prefers the API server of its own host, and has the others in reserve', () => {
    const text = configuration([here, ...others]);
    expect(text).toContain(
      '  server own 127.0.0.1:6443 weight 256\n  server peer1 10.0.0.12:6443 weight 1\n',
    );
    expect(text).toContain(
      '  server peer2 10.0.0.13:6443 weight 1\n  server peer3 127.0.0.1:6443 weight 1 disabled\n',
    );
  });

  it('on a host without one goes to all of them alike', () => {
    expect(configuration(others)).toContain(
      '  server own 127.0.0.1:6443 weight 256 disabled\n  server peer1 10.0.0.12:6443 weight 1',
    );
  });

  it('runs on when API servers come and go, and is told all of them each time', () => {
    const [one, three] = [specFor([here]), specFor([here, ...others])];
    expect(contentHash(one)).not.toBe(contentHash(three));
    expect(contentHash(startPart(one))).toBe(contentHash(startPart(three)));
    const commands = three.reload!.commands;
    expect(commands).toContain('set server ready/peer2 addr 10.0.0.13 port 6443');
    expect(commands).toContain('set server ready/peer2 state ready');
    expect(one.reload!.commands).toContain('set server ready/peer2 state drain');
    // HAProxy reads one line of at most tune.bufsize.
    expect(commands.join('; ').length).toBeLessThan(8_000);
  });

  it('listens on loopback alone', () => {
    const binds = configuration([here]).match(/bind .*/g);
    expect(binds).toEqual(['bind 127.0.0.1:6445', 'bind 127.0.0.1:6444']);
  });
});
