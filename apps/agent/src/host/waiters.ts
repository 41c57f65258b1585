interface Waiter {
  condition: () => boolean;
  resolve: () => void;
}

const tickMs = 100;

/** Waits for conditions of the host: looked at on each change at once, and by the clock for those that time fulfils. */
export class Waiters {
  readonly #waiters = new Set<Waiter>();
  #tick: NodeJS.Timeout | undefined;

  /** Resolves when the condition holds. Rejects with the signal's reason. */
  until(condition: () => boolean, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return Promise.reject(signal.reason);
    if (condition()) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const abort = () => {
        this.#remove(waiter);
        reject(signal.reason);
      };
      const waiter: Waiter = {
        condition,
        resolve: () => {
          signal.removeEventListener('abort', abort);
          this.#remove(waiter);
          resolve();
        },
      };
      signal.addEventListener('abort', abort, { once: true });
      this.#waiters.add(waiter);
      this.#tick ??= setInterval(() => this.look(), tickMs);
    });
  }

  look(): void {
    for (const waiter of this.#waiters) if (waiter.condition()) waiter.resolve();
  }

  #remove(waiter: Waiter): void {
    this.#waiters.delete(waiter);
    if (this.#waiters.size > 0) return;
    clearInterval(this.#tick);
    this.#tick = undefined;
  }
}
