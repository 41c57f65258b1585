const timeoutMs = 15_000;

interface Pending {
  resolve: (result: unknown) => void;
  reject: (error: Error) => void;
  timer: NodeJS.Timeout;
}

/** Requests that wait for their replies. */
export class PendingRequests {
  readonly #pending = new Map<number, Pending>();
  #lastId = 0;

  /** Calls `send` with a new id and waits for the reply of that id. */
  ask(send: (id: number) => boolean): Promise<unknown> {
    const id = ++this.#lastId;
    return new Promise((resolve, reject) => {
      if (!send(id)) return reject(new Error('there is no connection to the server'));
      const timer = setTimeout(() => {
        this.#pending.delete(id);
        reject(new Error(`the server gave no answer in ${timeoutMs / 1000} s`));
      }, timeoutMs);
      this.#pending.set(id, { resolve, reject, timer });
    });
  }

  settle(reply: { id: number } & ({ ok: true; result: unknown } | { ok: false; error: string })): void {
    const pending = this.#pending.get(reply.id);
    if (pending === undefined) return;
    this.#pending.delete(reply.id);
    clearTimeout(pending.timer);
    if (reply.ok) pending.resolve(reply.result);
    else pending.reject(new Error(reply.error));
  }

  failAll(reason: string): void {
    for (const { reject, timer } of this.#pending.values()) {
      clearTimeout(timer);
      reject(new Error(reason));
    }
    this.#pending.clear();
  }
}
