/** Protects pods on machines whose own filter forwards nothing: those with Docker, ufw or a distribution's rules. */
import { expect, it } from 'vitest';
import { forbids } from './forwarding.ts';

it.each([
  ['nothing', '-P FORWARD ACCEPT\n', false],
  ['kube-proxy', '-P FORWARD ACCEPT\n-A FORWARD -m comment --comment "x" -j KUBE-FORWARD\n', false],
  ['Docker', '-P FORWARD DROP\n-A FORWARD -j DOCKER-USER\n', true],
  ['a distribution', '-P FORWARD ACCEPT\n-A FORWARD -j REJECT --reject-with icmp-host-prohibited\n', true],
  ['ufw', '-P FORWARD ACCEPT\n-A FORWARD -j ufw-before-forward\n', true],
])('of rules by %s it says whether they forbid', (_, rules, expected) => {
  expect(forbids(rules)).toBe(expected);
});
