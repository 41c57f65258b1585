/** The DNS server that ours is compared with. No cluster runs it: only tests and benchmarks fetch it. */
export const coredns = { name: 'coredns', version: '1.15.0' };
