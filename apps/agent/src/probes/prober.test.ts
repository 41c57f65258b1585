import { type ProbeSpec, probeDefaults } from '@rancher/domain';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Check } from './probe.ts';
import { Prober } from './prober.ts';

/** A check that does what the test says, look by look. */
class ScriptedCheck implements Check {
  readonly what = 'the probe';
  result: 'good' | 'bad' | 'silent' = 'good';
  looks = 0;
  async run(signal: AbortSignal): Promise<void> {
    this.looks++;
    if (this.result === 'bad') throw new Error('status 500');
    if (this.result === 'silent') {
      await new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
    }
  }
  close(): void {}
}

let check: ScriptedCheck;
let changes: [string, string | undefined][];
let prober: Prober;
let frozen: boolean;
beforeEach(() => {
  check = new ScriptedCheck();
  changes = [];
  frozen = false;
});
afterEach(() => prober.stop());

function begin(health: 'initializing' | 'healthy', changed: Partial<ProbeSpec> = {}): void {
  prober = new Prober({
    spec: { ...probeDefaults, periodMs: 5, timeoutMs: 20, ...changed },
    check,
    health,
    startedAt: Date.now(),
    frozen: () => frozen,
    onChange: (next, message) => changes.push([next, message]),
  });
}
const saw = (count: number) => expect.poll(() => changes.length, { interval: 1 }).toBe(count);

describe('health', () => {
  it('is healthy from the first success', async () => {
    check.result = 'bad';
    begin('initializing');
    await expect.poll(() => check.looks).toBeGreaterThan(2);
    expect(changes).toEqual([]);
    check.result = 'good';
    await saw(1);
    expect(changes).toEqual([['healthy', undefined]]);
  });

  it('is unhealthy after three failures in a row, and says which', async () => {
    check.result = 'bad';
    begin('healthy');
    await saw(1);
    expect(check.looks).toBe(3);
    expect(changes).toEqual([['unhealthy', 'the probe: status 500, 3 times']]);
  });

  it('tells silence from refusal, and is healthy again after one success', async () => {
    check.result = 'silent';
    begin('healthy');
    await saw(1);
    expect(changes[0]).toEqual(['unhealthy', 'the probe: no answer in 0.02 s, 3 times']);
    check.result = 'good';
    await saw(2);
    expect(changes[1]).toEqual(['healthy', undefined]);
  });

  it('does not count a silence while the agent itself gets no processor time', async () => {
    check.result = 'silent';
    begin('healthy', { failureThreshold: 1 });
    const until = performance.now() + 700;
    while (performance.now() < until); // nobody else runs meanwhile
    await expect.poll(() => check.looks, { interval: 1 }).toBe(2);
    expect(changes).toEqual([]);
    await saw(1);
  });

  it('needs one silence only when the process is stopped', async () => {
    check.result = 'silent';
    frozen = true;
    begin('healthy');
    await saw(1);
    expect(check.looks).toBe(1);
    expect(changes[0]?.[1]).toBe('the probe: no answer in 0.02 s; its process is stopped by a signal');
  });

  it('is unhealthy when it never was healthy in its time', async () => {
    check.result = 'bad';
    begin('initializing', { initialTimeoutMs: 30 as 60_000 });
    await saw(1);
    expect(changes[0]).toEqual(['unhealthy', 'not healthy 0.03 s after its start; the probe: status 500']);
  });

  it('is not told any more after the end', async () => {
    check.result = 'silent';
    begin('healthy');
    prober.stop();
    const { looks } = check;
    check.result = 'good';
    await new Promise(setImmediate);
    expect(check.looks).toBe(looks);
    expect(changes).toEqual([]);
  });
});
