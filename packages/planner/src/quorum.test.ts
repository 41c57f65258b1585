import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { allows, hasQuorum, type Member, quorumOf, type Step } from './quorum.ts';

const members = (health: string): Member[] =>
  [...health].map((c, i) => ({ id: `m${i}`, healthy: c === 'h' }));

describe('a step of etcd', () => {
  it.each<[string, Step['kind'], number, boolean]>([
    // members (h healthy, d dead), step, which member, allowed
    ['h', 'restart', 0, true],
    ['d', 'restart', 0, true],
    ['h', 'remove', 0, false],
    ['h', 'add', 9, true],
    ['hh', 'restart', 0, false],
    ['hh', 'remove', 0, true],
    ['hd', 'remove', 1, true],
    ['hd', 'remove', 0, false],
    ['hd', 'add', 9, false],
    ['hhh', 'restart', 0, true],
    ['hhd', 'restart', 0, false],
    ['hhd', 'restart', 2, true],
    ['hhd', 'remove', 2, true],
    ['hhd', 'remove', 0, false],
    ['hdd', 'remove', 1, false],
    ['hhhdd', 'remove', 4, true],
    ['hhhdd', 'restart', 0, false],
  ])('%s: %s of member %i → %s', (health, kind, which, allowed) => {
    expect(allows(members(health), { kind, id: `m${which}` }).allowed).toBe(allowed);
  });

  it('that is allowed leaves a majority of healthy members, if there was one and more than a single member', () => {
    const health = fc.array(fc.boolean(), { minLength: 2, maxLength: 7 });
    fc.assert(
      fc.property(health, fc.constantFrom('restart', 'remove'), fc.nat(6), (bits, kind, pick) => {
        const all = bits.map((healthy, i) => ({ id: `m${i}`, healthy }));
        const target = all[pick % all.length]!;
        if (!hasQuorum(all) || !allows(all, { kind, id: target.id } as Step).allowed) return;
        const others = all.filter((m) => m !== target);
        const voters = kind === 'remove' ? others.length : all.length;
        expect(others.filter((m) => m.healthy).length).toBeGreaterThanOrEqual(quorumOf(voters));
      }),
    );
  });
});
