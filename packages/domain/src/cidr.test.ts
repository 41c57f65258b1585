import { describe, expect, it } from 'vitest';
import { cidrContains, cidrSize, nthAddress, overlaps, parseCidr } from './cidr.ts';

describe('parseCidr', () => {
  it.each([
    ['10.42.0.0/16', 16, 65_536],
    ['0.0.0.0/0', 0, 2 ** 32],
    ['255.255.255.255/32', 32, 1],
    ['192.168.128.0/17', 17, 32_768],
  ])('reads %s', (text, prefix, size) => {
    const cidr = parseCidr(text);
    expect(cidr.prefix).toBe(prefix);
    expect(cidrSize(cidr)).toBe(size);
    expect(nthAddress(cidr, 0)).toBe(text.split('/')[0]);
  });

  it.each([
    '',
    '10.42.0.0',
    '10.42.0/16',
    '10.42.0.0/33',
    '256.0.0.0/8',
    '01.2.3.0/24',
    ' 10.42.0.0/16',
    'fd00::/64',
  ])('refuses %j', (text) => expect(() => parseCidr(text, '/spec/podCidr')).toThrow(/is not an IPv4 CIDR/));

  it('refuses bits behind the prefix, and says what was probably meant', () => {
    expect(() => parseCidr('10.42.1.7/16')).toThrow('10.42.0.0/16');
  });

  it('points to the field', () => {
    expect(() => parseCidr('x', '/spec/podCidr')).toThrow(
      expect.objectContaining({ code: 'invalid_value', pointer: '/spec/podCidr' }),
    );
  });
});

describe('overlaps', () => {
  it.each([
    ['10.42.0.0/16', '10.43.0.0/16', false],
    ['10.42.0.0/15', '10.43.0.0/16', true],
    ['10.42.0.0/16', '10.42.255.0/24', true],
    ['0.0.0.0/0', '200.0.0.0/8', true],
  ])('%s and %s: %s, whichever comes first', (a, b, expected) => {
    expect(overlaps(parseCidr(a), parseCidr(b))).toBe(expected);
    expect(overlaps(parseCidr(b), parseCidr(a))).toBe(expected);
  });
});

describe('addresses', () => {
  it('counts from the base, over octets', () => {
    expect(nthAddress(parseCidr('10.43.0.0/16'), 10)).toBe('10.43.0.10');
    expect(nthAddress(parseCidr('10.43.0.0/16'), 256)).toBe('10.43.1.0');
    expect(nthAddress(parseCidr('200.0.0.0/8'), 2 ** 24 - 1)).toBe('200.255.255.255');
  });

  it('refuses what lies outside', () => {
    expect(() => nthAddress(parseCidr('10.0.0.0/30'), 4)).toThrow(
      expect.objectContaining({ code: 'cidr_too_small' }),
    );
  });

  it('knows what lies inside', () => {
    const cidr = parseCidr('10.43.0.0/16');
    expect(cidrContains(cidr, '10.43.255.255')).toBe(true);
    expect(cidrContains(cidr, '10.44.0.0')).toBe(false);
    expect(cidrContains(cidr, 'host-1')).toBe(false);
  });
});
