/** Numbers of the protocol: RFC 1035, RFC 6891 (EDNS). */
export const type = {
  A: 1,
  NS: 2,
  CNAME: 5,
  SOA: 6,
  PTR: 12,
  TXT: 16,
  AAAA: 28,
  SRV: 33,
  OPT: 41,
  IXFR: 251,
  AXFR: 252,
} as const;

export const rcode = {
  NOERROR: 0,
  FORMERR: 1,
  SERVFAIL: 2,
  NXDOMAIN: 3,
  NOTIMP: 4,
  REFUSED: 5,
  BADVERS: 16,
} as const;

export const classIn = 1;
export const headerBytes = 12;
/** Longest message over TCP, whose length is told in 16 bits. */
export const maxMessageBytes = 65_535;
/** What a resolver may send over UDP without EDNS. */
export const plainUdpBytes = 512;
/** The largest answer over UDP that we send, and the largest that we say we take: no fragments on any usual path. */
export const ownUdpBytes = 1232;
/** A client on the same host may ask for more. */
export const maxUdpBytes = 4096;
/** A name in wire format: RFC 1035, 3.1. */
export const maxNameBytes = 255;
