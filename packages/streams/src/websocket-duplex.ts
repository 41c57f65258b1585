import { Duplex } from 'node:stream';
import type { WebSocket } from 'ws';

/** What `ws` says of a connection that ended without a close frame (RFC 6455, 7.1.5). */
const brokenCode = 1006;

/**
 * The binary frames of a WebSocket as a stream, with backpressure both ways. Unlike `createWebSocketStream` of ws it
 * stays until its reader has read what came before the peer closed, so that whoever is slow loses nothing: TLS on top of
 * a stream drops what it holds as soon as that closes. A peer that is gone without closing is an error.
 */
export class WebSocketDuplex extends Duplex {
  readonly #socket: WebSocket;

  constructor(socket: WebSocket) {
    super({ allowHalfOpen: true });
    this.#socket = socket;
    socket.on('message', (data: Buffer) => {
      if (!this.push(data)) socket.pause();
    });
    socket.on('error', () => socket.terminate());
    socket.on('close', (code) => {
      if (code === brokenCode) this.destroy(new Error('the connection broke'));
      else this.push(null);
    });
  }

  override _read(): void {
    if (this.#socket.isPaused) this.#socket.resume();
  }

  /** What is written when the peer is gone is dropped: the end of reading tells it. */
  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    if (this.#socket.readyState !== this.#socket.OPEN) done();
    else this.#socket.send(chunk, { binary: true }, () => done());
  }

  override _final(done: () => void): void {
    this.#socket.close(1000);
    done();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    if (error === null && this.writableFinished) this.#socket.close(1000);
    else this.#socket.terminate();
    done(error);
  }
}
