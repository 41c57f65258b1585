import { type Duplex, finished } from 'node:stream';

/**
 * How long a joint that has ended one way may be silent the other way before both sides are closed (ms). Closed at once,
 * what its slow side has not read yet would be lost: TCP answers what still arrives on a closed socket with a reset, which
 * takes along what waits to be read (RFC 1122, 4.2.2.13). So it lingers, as nginx' `lingering_close` does.
 */
const lingerMs = 30_000;

/**
 * Joins two streams, both of which stay open for writing when they end (`allowHalfOpen`). What one side sent before its
 * end reaches the other, be that ever so slow. A side that breaks before its end breaks the other; one that has ended and
 * takes nothing more leaves the other to read what came before.
 */
export function splice(a: Duplex, b: Duplex): void {
  let lingering: NodeJS.Timeout | undefined;
  let open = 2;
  const destroy = () => {
    clearTimeout(lingering);
    a.destroy();
    b.destroy();
  };
  const linger = () => {
    open -= 1;
    if (open === 0) clearTimeout(lingering);
    else lingering = setTimeout(destroy, lingerMs).unref();
  };
  const relay = (from: Duplex, to: Duplex) => {
    from.pipe(to);
    from.on('data', () => lingering?.refresh());
    finished(from, { writable: false }, (error) => {
      if (error) destroy();
    });
    finished(to, { readable: false }, (error) => {
      if (error && !to.readableEnded) return destroy();
      from.unpipe(to);
      from.resume(); // what nobody takes any more is read all the same, see above
      linger();
    });
  };
  relay(a, b);
  relay(b, a);
}
